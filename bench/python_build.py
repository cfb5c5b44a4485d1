"""What a bench was measured on, for its result.

How the interpreter was built stands beside its version: an unoptimised one is up to 1.25 times
slower.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
from typing import Any

from softphone._version import __version__

__all__ = ["measured_on", "python_build"]


def python_build() -> list[str]:
    """The compiler and its options, without the folders of the machine that built it."""
    flags = [str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS")]
    words = [word.strip("'\"") for word in " ".join(flags).split()]
    found = [word for word in dict.fromkeys(words) if word and "/" not in word]
    return [platform.python_compiler(), *found]


def measured_on() -> dict[str, Any]:
    """Versions, commit and machine, as a result has them."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "softphone": __version__,
        "commit": commit,
        "python": platform.python_version(),
        "python_build": python_build(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release()}",
    }
