"""A tshark that reads what we capture; in CI `python -m tests.support.tshark` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def install() -> None:
    """Install it where this process may; a failure is told by the test that needs it."""
    if shutil.which("tshark") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["-y", "--no-install-recommends", "install", "tshark"]):
        subprocess.run(["apt-get", "-qq", *command], env=environ, check=False)


def read(capture: Path, *options: str) -> str:
    """What tshark prints of a capture; a test that needs it is skipped, or in CI fails, without."""
    if shutil.which("tshark") is None:
        reason = "needs tshark: apt-get install tshark"
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    command = ["tshark", "-n", "-r", str(capture), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return ended.stdout


if __name__ == "__main__":
    install()
    sys.exit(0)
