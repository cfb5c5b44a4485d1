"""The kernel's memory under sanitizers: hostile packets and states, led by coverage."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from softphone.media.kernel.build import FOLDER

SANITIZED = (
    "-std=c11", "-g", "-O1", "-ffp-contract=off", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all", "-fsanitize-coverage=trace-pc",
)  # fmt: skip
SECONDS = float(os.environ.get("SOFTPHONE_FUZZ_SECONDS", "5"))


def test_no_script_of_packets_and_states_leaves_the_arrays(compiler: str, tmp_path: Path) -> None:
    program = tmp_path / "fuzz_kernel"
    source = Path(__file__).with_name("fuzz_kernel.c")
    command = [compiler, *SANITIZED, f"-I{FOLDER}", str(source), "-o", str(program), "-lm"]
    subprocess.run(command, check=True, timeout=120)
    ended = subprocess.run(
        [str(program), str(SECONDS), "1"],
        env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert json.loads(ended.stdout)["edges"] > 300
