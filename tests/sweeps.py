"""Every generated case of the tests of linear time: `python -m tests.sweeps`.

`make test` tries a share of them.  The result is `bench/results/linear_time.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.support.linear_time import WHOLE_SWEEPS

PROJECT = Path(__file__).resolve().parent.parent
RESULT = PROJECT / "bench" / "results" / "linear_time.json"


def main() -> int:
    """Run them, and write how many passed; pytest's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"]
        command += ["--dist", "worksteal", f"--junitxml={report}", "tests/security/linear_time"]
        environ = os.environ | {WHOLE_SWEEPS: "1"}
        status = subprocess.run(command, cwd=PROJECT, env=environ, check=False).returncode
        if report.exists():
            suite = next(ElementTree.parse(report).iter("testsuite"))
            count = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors")}
            failed, skipped = count["failures"] + count["errors"], int(suite.get("skipped", "0"))
            passed = count["tests"] - failed - skipped
            document = {"python": sys.version, "passed": passed}
            document |= {"failed": failed, "skipped": skipped}
            RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
