"""`python -m softphone` is the command `softphone`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = [sys.executable, "-m", "softphone"]
COMMAND = [str(Path(sys.executable).parent / "softphone")]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["call", "--help"], 0), (["dance"], 2), ([], 2)]
)
def test_package_and_command_are_the_same(arguments, status):
    package, command = run(*PACKAGE, *arguments), run(*COMMAND, *arguments)
    assert package.returncode == command.returncode == status
    shown = package.stdout.replace("python -m softphone", "softphone")
    assert (shown, package.stderr.replace("python -m softphone", "softphone")) == (
        command.stdout,
        command.stderr,
    )
