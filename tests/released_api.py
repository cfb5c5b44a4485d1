"""What the stable tier has broken since the last release, found by griffe in both sources.

    python -m tests.released_api [--repository FOLDER]

The last release is the highest tag `vX.Y.Z` among the ancestors of the commit that is checked
out, but for a tag of this very commit: a release is compared with the one before it.  Neither
source is imported.  A break is allowed where docs/reference/versioning.md allows it: the version
has another minor number (before 1.0) or major number, and the CHANGELOG names what broke below
Removed or Changed.  Without a release there is nothing to compare with, and `tests.stable_api`
alone holds what is promised.

Exit codes: 0 nothing is broken, or all of it is allowed; 1 something is.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from tests.stable_api import STABLE

PROJECT = Path(__file__).resolve().parent.parent
RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def numbers(tag: str) -> tuple[int, ...]:
    """The numbers of a release's tag; none of any other one."""
    found = RELEASE.fullmatch(tag)
    return tuple(map(int, found.groups())) if found else ()


def tags(repository: Path, *which: str) -> list[str]:
    """The tags of releases that git lists."""
    command = ["git", "tag", "--list", *which]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    return [each for each in ended.stdout.split() if numbers(each)]


def last_release(repository: Path) -> str | None:
    """The tag of the last release before what is checked out; None before the first one.

    Raises CalledProcessError where there is no repository.
    """
    here = tags(repository, "--points-at", "HEAD")
    before = [each for each in tags(repository, "--merged", "HEAD") if each not in here]
    return max(before, key=numbers, default=None)


def stable_names(package: Any) -> Iterator[tuple[str, Any, str]]:
    """Each stable name that a source exports: its module's path, the module, the name."""
    for path, listed in STABLE.items():
        inner = path.partition(".")[2]
        if inner and inner not in package.members:
            continue
        module = package[inner] if inner else package
        exported = [str(each) for each in module.exports or ()]
        for name in exported:
            if name != "__version__" and name in (listed or exported):
                yield path, module, name


def stable_objects(package: Any) -> Iterator[Any]:
    """The objects of the stable names of a source, and the bases of their classes."""
    for _, module, name in stable_names(package):
        if name in module.members:
            stable = module.members[name]
            target = stable.final_target if stable.is_alias else stable
            yield from (stable, target)
            if target.is_class:
                yield from target.mro()


def breaks(repository: Path, tag: str) -> list[str]:
    """What of the stable tier is not as it was at a tag: `PATH: what griffe calls it`, sorted."""
    before = griffe.load_git(
        "softphone",
        ref=tag,
        repo=repository,
        search_paths=["."],
        resolve_aliases=True,
        allow_inspection=False,
    )
    now = griffe.load(
        "softphone",
        search_paths=[repository],
        try_relative_path=False,
        resolve_aliases=True,
        allow_inspection=False,
    )
    stable = {each.path for tree in (before, now) for each in stable_objects(tree)}
    gone = {f"{name} is not exported" for name in exported(before) - exported(now)}
    found = {
        f"{each.obj.path}: {each.kind.value}"
        for each in griffe.find_breaking_changes(before, now)
        if is_stable(each.obj, stable)
    }
    return sorted(gone | found)


def exported(package: Any) -> set[str]:
    """The paths of the stable names that a source exports."""
    return {f"{path}.{name}" for path, _, name in stable_names(package)}


def is_stable(broken: Any, stable: set[str]) -> bool:
    """Whether an object is stable, or a member of what is; what the engine calls is not."""
    if ":meta private:" in (broken.docstring.value if broken.docstring else ""):
        return False
    parts = broken.path.split(".")
    return any(".".join(parts[:end]) in stable for end in range(2, len(parts) + 1))


def may_break(tag: str, version: str) -> bool:
    """Whether a version may break what a release promised (docs/reference/versioning.md)."""
    before, now = numbers(tag), numbers("v" + ".".join(version.split(".")[:3]))
    return bool(now) and (now[:2] > before[:2] if before[0] == 0 else now[0] > before[0])


def told(changelog: str, since: str) -> str:
    """What the CHANGELOG has below Removed and Changed, above the release `since`."""
    new = changelog.partition(f"\n## [{since.removeprefix('v')}]")[0]
    return "".join(re.findall(r"^### (?:Removed|Changed)\n(.*?)(?=^##|\Z)", new, re.M | re.S))


def untold(found: list[str], text: str) -> list[str]:
    """The breaks whose function, class or member no word of a text names."""
    words = set(re.findall(r"\w+", text))
    paths = {each: each.replace(":", " ").split()[0].removesuffix(".__init__") for each in found}
    return [each for each, path in paths.items() if path.rpartition(".")[2] not in words]


def main(arguments: list[str] | None = None) -> int:
    """Compare, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.released_api", description=__doc__)
    parser.add_argument("--repository", metavar="FOLDER", type=Path, default=PROJECT)
    repository = parser.parse_args(arguments).repository
    tag = last_release(repository)
    if tag is None:
        print("no release yet: nothing to compare with")
        return 0
    found = breaks(repository, tag)
    print("\n".join([f"{len(found)} breaks of the stable tier since {tag}", *found]))
    if not found:
        return 0
    version = (repository / "softphone" / "_version.py").read_text().split('"')[-2]
    if not may_break(tag, version):
        print(f"version {version} may break nothing: see docs/reference/versioning.md")
        return 1
    silent = untold(found, told((repository / "CHANGELOG.md").read_text(), tag))
    print("\n".join(f"the CHANGELOG does not tell: {each}" for each in silent))
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
