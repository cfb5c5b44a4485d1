"""What tshark reads in our captures."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import programs


def read(capture: Path, *options: str) -> str:
    """What tshark prints of a capture; a test that needs it is skipped, or in CI fails, without."""
    programs.need("tshark")
    command = ["tshark", "-n", "-r", str(capture), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return ended.stdout
