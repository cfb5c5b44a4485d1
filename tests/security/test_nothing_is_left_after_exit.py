"""After a phone's exit no task, socket, thread or file descriptor of it is left.

`leavings_of_a_phone.py` looks at its whole process.  It has one of its own here: what other tests
have left in theirs comes and goes at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).with_name("leavings_of_a_phone.py")
CASES = 14


def test_a_phone_leaves_nothing():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", str(FILE)]
    # Its coverage would be written over that of this process.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    ended = subprocess.run(
        command,
        cwd=FILE.parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert f"{CASES} passed" in ended.stdout
