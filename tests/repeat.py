"""The whole suite again and again: `python -m tests.repeat [--runs COUNT]`.

Tells which tests passed at a second try only, or failed, and in how many of the runs: each of them
depends on what else the machine does, and is to be mended or to leave.  The result is
`tests/results/repeat.json`; the exit status is 1 if there is any such test.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
RESULT = PROJECT / "tests" / "results" / "repeat.json"
AGAIN = re.compile(r"^passed at the second try only, alone: (.+)$", re.M)
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.M)


def main() -> int:
    """Run, count, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.repeat")
    parser.add_argument("--runs", type=int, default=20, metavar="COUNT")
    runs = parser.parse_args().runs
    again: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    seconds = []
    for number in range(runs):
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "tests.suite"],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        seconds.append(round(time.monotonic() - began))
        second = set(AGAIN.findall(ended.stdout))
        again.update(second)
        failed.update(set(FAILED.findall(ended.stdout)) - second)
        print(f"run {number + 1} of {runs}: status {ended.returncode}, {seconds[-1]} s", flush=True)
        document = {
            "date": f"{datetime.now(UTC):%F}",
            "runs": number + 1,
            "seconds": {"median": statistics.median(seconds), "worst": max(seconds)},
            "passed at the second try only": dict(again.most_common()),
            "failed": dict(failed.most_common()),
        }
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, count in (again + failed).most_common():
        print(f"{count:3d} of {runs}  {name}")
    return 1 if again or failed else 0


if __name__ == "__main__":
    sys.exit(main())
