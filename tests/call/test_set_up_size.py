"""How many Python calls a call's set-up takes: a count, whatever the machine's speed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 1200


def test_a_set_up_takes_at_most_1200_python_calls_at_either_end() -> None:
    paths = [str(ROOT), str(ROOT / "codecs"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench/call/count_set_up.py"), "--top", "0"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = dict(re.findall(r"(caller|lab): (\d+) Python calls", done.stdout))
    assert set(found) == {"caller", "lab"}
    assert {end for end, count in found.items() if int(count) > MOST} == set()
