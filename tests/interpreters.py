"""The whole suite on the other interpreters of this machine: `python -m tests.interpreters`.

    python -m tests.interpreters [VERSION ...]

Each gets an environment of its own, `.venv-VERSION`, with the extra `test`.  What reads the source
is left out (no interpreter changes it), and so are real peers.  The exit status is 1 if any failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.suite import SITE, environment_group, environment_of, other_pythons, pytest_group

OPTIONS = ("tests", "--ignore=tests/peers", "-m", "not reads_source")


def main(wanted: Sequence[str]) -> int:
    """Run on those that are asked for, or on all that are here."""
    here = other_pythons()
    SITE.mkdir(parents=True, exist_ok=True)
    if missing := [version for version in wanted if version not in here]:
        print(f"Python {', '.join(missing)} is not here", file=sys.stderr)
        return 2
    groups = []
    for version in wanted or here:
        environment = environment_group(version, here[version])
        python = str(environment_of(version) / "bin" / "python")
        tests = pytest_group(f"Python {version}", python, *OPTIONS)
        for group in (environment, tests):
            group.run()
            groups.append(group)
    for group in groups:
        print(f"{group.seconds:8.1f} s  {group.name}{'' if group.status == 0 else '  FAILED'}")
    return 1 if any(group.status for group in groups) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
