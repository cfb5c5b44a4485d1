"""What a bench was measured on, for its result.

How the interpreter was built stands beside its version: an unoptimised one is up to 1.25 times
slower.  So does what others took of the machine meanwhile: other processes, and other machines of
the same host.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from softphone._version import __version__

__all__ = ["foreign_load", "measured_on", "python_build", "watch_machine"]

LIBRARIES = ("numpy", "pylibsrtp", "cryptography")
STAT = Path("/proc/stat")


def _machine_seconds() -> tuple[float, float, float]:
    """Since the machine's start: seconds of all cores, those in use, those the host gave to others.

    Zeros where the system does not say.
    """
    try:
        fields = STAT.read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0, 0.0, 0.0
    user, nice, system, idle, waiting, hard, soft, stolen = map(int, fields[1:9])
    used = user + nice + system + hard + soft
    ticks = os.sysconf("SC_CLK_TCK")
    return (used + idle + waiting + stolen) / ticks, used / ticks, stolen / ticks


def _own_seconds() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def watch_machine() -> Callable[[], dict[str, float] | None]:
    """Begin to watch; the function returned gives the shares since now, as `foreign_load` does."""
    before, own = _machine_seconds(), _own_seconds()

    def shares() -> dict[str, float] | None:
        total, used, stolen = (
            now - then for now, then in zip(_machine_seconds(), before, strict=True)
        )
        if total <= 0.0:
            return None
        others = max(0.0, used - (_own_seconds() - own))
        return {"others": round(others / total, 4), "stolen": round(stolen / total, 4)}

    return shares


foreign_load = watch_machine()
"""The shares of all cores since this import that other processes had, and other machines of the
host (`stolen`); None where the system does not say.  Children count as others until they are
waited for."""


def python_build() -> list[str]:
    """The compiler and its options, without the folders of the machine that built it."""
    flags = [str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS")]
    words = [word.strip("'\"") for word in " ".join(flags).split()]
    found = [word for word in dict.fromkeys(words) if word and "/" not in word]
    return [platform.python_compiler(), *found]


def _processor() -> str:
    """The processor's model, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def measured_on(watched: Callable[[], dict[str, float] | None] = foreign_load) -> dict[str, Any]:
    """The path of media, versions, commit and machine, as a result has them.

    The foreign load is that since the import, or what `watched` gives.
    """
    # Not above: what is imported before a bench begins is part of what bench_start_up measures.
    from softphone.media.kernel import describe_path

    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "path": describe_path(),
        "softphone": __version__,
        "commit": commit,
        "python": platform.python_version(),
        "python_build": python_build(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release()}",
        "processor": _processor(),
        "foreign_load": watched(),
    }
