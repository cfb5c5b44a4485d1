"""Runs suites as on another system: `python -m tests.platforms [--here] [PYTEST OPTIONS]`.

Windows and macOS are simulated (`simulation.py`); `--here` runs the same suites on this system as
it is, as .github/workflows/platforms.yml does on the real ones.  `--quick`, as CI runs it, leaves
out those that compute for long, and takes on macOS those only whose code asks for anything that the
systems do differently; `make nightly` runs all of them on both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DIFFERENT = (
    "tests/test_extras.py",
    "tests/config",
    "tests/net/datagrams",
    "tests/trust/disk",
)
"""Suites whose subjects use what the systems do differently, or lock and write files."""
PURE = (
    "tests/media/audio",
    "tests/media/bank",
    "tests/media/quality",
    "tests/personas",
    "tests/rtp",
    "tests/sdp",
    "tests/sip",
    "tests/srtp",
    "tests/test_events.py",
)
"""Suites of packages without I/O."""
LONG = (
    "tests/codecs",
    "tests/media/detection",
    "tests/media/playout",
    "tests/media/tick",
    "tests/provisioning",
)
"""Further ones of these, which take most of the processor time."""
KERNEL = (
    "tests/media/kernel/test_same_as_numpy.py",
    "tests/media/kernel/test_without_recvmmsg.py",
)
"""The media kernel as macOS has it, there only: nowhere else is that build used."""
POSIX = ("others_can_read", "token_comes_from", "a_worker_tells_it_too")
"""Words of tests whose subject is what Windows has not: permissions, links, a media worker."""


def suites(system: str, quick: bool) -> list[str]:
    """Return the suites of a run on a system, "" for this one as it is."""
    if not quick:
        real_macos = not system and sys.platform == "darwin"
        return [*DIFFERENT, *PURE, *LONG, *(KERNEL if real_macos else ())]
    return [*DIFFERENT, *(() if system == "macos" else PURE)]


def run(system: str, options: list[str]) -> int:
    """Run the suites on a simulated system; pytest refuses one that is not there."""
    folders = suites(system, "--quick" in options)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders]
    if system:
        command += ["-p", "tests.platforms.simulation"]
    if system == "windows" or (not system and os.name == "nt"):
        command += ["-k", " and ".join(f"not {word}" for word in POSIX)]
    command += [each for each in options if each not in ("--here", "--quick")]
    print(f"== {system or 'this system'}", flush=True)
    environment = os.environ | {"SOFTPHONE_SIMULATED": system}
    return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode


def main() -> int:
    """Run on each; 1 when anything fails."""
    options = sys.argv[1:]
    systems = [""] if "--here" in options else ["windows", "macos"]
    return max(run(system, options) != 0 for system in systems)


if __name__ == "__main__":
    sys.exit(main())
