"""The table "Tests by package" of CONTRIBUTING, from the reports of a whole run of the suite.

    python -m tests.seconds [--write] [REPORT ...]

`make test` leaves the reports (JUnit XML) in `.cache/suite`.  The seconds are processor time, which
`tests/support/processor_time.py` writes there.  The packages of tests that no report has keep their
rows.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "CONTRIBUTING.md"
RUNS = ("bare-machine", "with-everything", "all-tests")
REPORTS = tuple(PROJECT / ".cache" / "suite" / f"{name}.xml" for name in RUNS)
"""What was skipped on a bare machine has run with everything."""
HEAD = "| tests | seconds | how many |\n|---|---|---|\n"
ROW = re.compile(r"^\| `(tests/[\w*.]+)` \| (\d+) \| ([\d,]+) \|\n", re.M)


def by_package(reports: Iterable[Path]) -> dict[str, tuple[float, int]]:
    """The processor seconds and the number of the tests of each folder below `tests`."""
    seconds: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)
    for report in filter(Path.exists, reports):
        for case in ElementTree.parse(report).iter("testcase"):
            if case.find("skipped") is not None:
                continue
            parts = case.get("classname", "").split(".")
            if parts[0] == "tests" and len(parts) > 1:
                inner = len(parts) > 2 and not parts[1].startswith("test_")
                package = f"tests/{parts[1]}" if inner else "tests/*.py"
                spent = case.find("./properties/property[@name='cpu']")
                seconds[package] += 0.0 if spent is None else float(spent.get("value", "0"))
                count[package] += 1
    return {package: (seconds[package], count[package]) for package in count}


def renewed(page: str, measured: dict[str, tuple[float, int]]) -> str:
    """The page with the rows of what was measured; `tests/peers` has none."""
    head, _, rest = page.partition(HEAD)
    rows = {
        package: (float(took), int(many.replace(",", "")))
        for package, took, many in ROW.findall(rest)
    }
    rows |= {package: found for package, found in measured.items() if package != "tests/peers"}
    after = ROW.sub("", rest)
    table = "".join(
        f"| `{package}` | {max(1, round(took))} | {many:,} |\n"
        for package, (took, many) in sorted(rows.items())
    )
    return head + HEAD + table + after


def main(arguments: list[str] | None = None) -> int:
    """Print the page's new table, or write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.seconds", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write it into CONTRIBUTING.md")
    parser.add_argument("reports", nargs="*", type=Path, default=REPORTS, metavar="REPORT")
    options = parser.parse_args(arguments)
    page = renewed(PAGE.read_text(), by_package(options.reports))
    if options.write:
        PAGE.write_text(page)
    else:
        print("".join(found[0] for found in ROW.finditer(page)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
