"""The compiled media kernel as a target of fuzzing: tests/media/kernel/fuzz_kernel.c.

It is a program of its own, which keeps its inputs in memory; the seed repeats them.  Nothing of
`softphone` is imported here: what is loaded before atheris is not watched.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "media kernel"
PROJECT: Final = Path(__file__).resolve().parents[2]
KERNEL: Final = PROJECT / "softphone/media/kernel"
SOURCE: Final = PROJECT / "tests/media/kernel/fuzz_kernel.c"
SANITIZED: Final = (
    "-std=c11", "-g", "-O1", "-ffp-contract=off", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all", "-fsanitize-coverage=trace-pc",
)  # fmt: skip
BEFORE_AND_AFTER_S: Final = 60
"""The most that beginning and ending may take beside the seconds asked for."""


@dataclass(frozen=True)
class KernelRun:
    """Inputs run, edges reached, inputs kept, and what it said of a fault (else nothing)."""

    executions: int
    edges: int
    inputs: int
    fault: str


def fuzz_kernel(seconds: float, seed: int) -> KernelRun:
    """Compile the program with sanitizers, and run it.

    Raises OSError without a C compiler (`CC`, else `cc`), CalledProcessError where it fails.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "fuzz_kernel")
        command = [*compiler, *SANITIZED, f"-I{KERNEL}", str(SOURCE), "-o", str(program), "-lm"]
        subprocess.run(command, check=True, timeout=120)
        ended = subprocess.run(
            [str(program), str(seconds), str(seed)],
            env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},
            capture_output=True,
            text=True,
            timeout=seconds + BEFORE_AND_AFTER_S,
            check=False,
        )
    if ended.returncode:
        return KernelRun(0, 0, 0, ended.stderr[-4000:] or f"it ended with {ended.returncode}")
    return KernelRun(**json.loads(ended.stdout), fault="")
