"""`make check`: style, types and the tests of what changed, within a minute and a half.

    python -m tests.check [--since REVISION]

What changed is what differs from REVISION; by default what is not committed yet, or with nothing
of that the last commit.  The tests of `softphone/a/b/c.py` are each `test_c.py` below `tests/a`,
else all of `tests/a/b`, else of `tests/a`; those of `examples` are `tests/examples`.  `make test`
is the whole suite.  Of the pages only those that changed have their programs run
(`SOFTPHONE_PAGES`): those of all pages take two minutes alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.suite import static_groups

PROJECT = Path(__file__).resolve().parent.parent
ALWAYS = ("tests/test_names.py", "tests/test_exports.py", "tests/docs/test_api_pages.py")


def git(*arguments: str) -> list[str]:
    """The lines that git prints."""
    command = ["git", *arguments]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def changed_files(since: str | None) -> list[str]:
    """The files that differ, as paths within the project."""
    new = git("ls-files", "--others", "--exclude-standard")
    if since is None and not (new or git("diff", "--name-only", "HEAD")):
        since = "HEAD~1"
    return sorted({*new, *git("diff", "--name-only", since or "HEAD")})


def tests_of(path: str) -> set[str]:
    """The test files or folders of one changed file; none where it has no tests."""
    parts = Path(path).parts
    if parts[0] == "tests":
        own = Path(path).name.startswith("test_") and path.endswith(".py")
        return {path} if own and (PROJECT / path).exists() else set()
    if parts[0] == "docs" or path.endswith(".md"):
        return {"tests/docs"}
    if parts[0] == "examples":
        return {"tests/examples"}
    if parts[0] not in ("softphone", "codecs") or not path.endswith(".py"):
        return set()
    folder = "tests/codecs" if parts[0] == "codecs" else "/".join(("tests", *parts[1:2]))
    name = f"test_{Path(path).stem}.py"
    if folder.endswith(".py"):
        return {f"tests/{name}"} if (PROJECT / "tests" / name).exists() else set()
    named = [each.relative_to(PROJECT) for each in (PROJECT / folder).rglob(name)]
    if named:
        return {each.as_posix() for each in named}
    inner = "/".join(("tests", *parts[1:-1]))
    return set([each for each in (inner, folder) if (PROJECT / each).is_dir()][:1])


def pages_in(changed: Iterable[str]) -> str:
    """The changed pages, as `tests/docs` takes them from the environment."""
    return " ".join(path for path in changed if path.endswith(".md"))


def narrowed(places: Iterable[str]) -> list[str]:
    """The places without those that lie in another one of them."""
    given = set(places)
    return sorted(
        each for each in given if not any(above.as_posix() in given for above in Path(each).parents)
    )


def main() -> int:
    """Run all of it; 1 when anything fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.check", description=__doc__)
    parser.add_argument("--since", metavar="REVISION", help="what to compare with")
    changed = changed_files(parser.parse_args().since)
    tests = narrowed({*ALWAYS, *(each for path in changed for each in tests_of(path))})
    print(f"{len(changed)} files changed; their tests: {', '.join(tests)}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--ignore=tests/peers", *tests]
    environ = os.environ | {"SOFTPHONE_PAGES": pages_in(changed)}
    # Types take one processor a minute where nothing is kept of the last time.
    tools = static_groups()
    beside = threading.Thread(target=lambda: [tool.run() for tool in tools])
    beside.start()
    status = subprocess.run(command, cwd=PROJECT, env=environ, check=False).returncode
    beside.join()
    failed = [tool.name for tool in tools if tool.status] + (["tests"] if status else [])
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
