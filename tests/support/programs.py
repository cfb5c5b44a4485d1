"""Programs of Debian's that tests call; in CI `python -m tests.support.programs` installs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

PROGRAMS = ("curl", "fish", "openssl", "tshark", "zsh")


def install() -> None:
    """Install them where this process may; a failure is told by the test that needs one."""
    missing = [each for each in PROGRAMS if not shutil.which(each)]
    if not missing or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["-y", "--no-install-recommends", "install", *missing]):
        subprocess.run(["apt-get", "-qq", *command], env=environ, check=False)


def need(program: str) -> None:
    """Skip the test where a program is missing, or in CI fail it."""
    if shutil.which(program) is None:
        reason = f"needs {program}: apt-get install {program}"
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def need_those_of(script: str) -> None:
    """Need each program that a shell script calls."""
    for program in PROGRAMS:
        if re.search(rf"\b{program}\b", script):
            need(program)


if __name__ == "__main__":
    install()
    sys.exit(0)
