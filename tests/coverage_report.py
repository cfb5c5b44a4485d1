"""Branch coverage of each package, against its floor: `python -m tests.coverage_report`.

`--run`, as `make nightly` has it, first runs the tests with branches recorded
(tests/support/branch_coverage.py), which takes twice their time, and media on the NumPy path, all
of which is to be covered.  It prints a table and fails when a package is under its floor, has none,
or is gone.  The floors stand in tests/coverage_floors.toml: what was measured, less a point, or
less two branches where these are more (clocks decide single branches).  `--write-floors` writes
them from what the last run recorded, or from the lowest of several runs whose folders are given; a
floor that falls is to be explained in the commit.

Interpreters count branches differently: the floors hold on the one they were measured with, and the
table is only shown on another, or with `--show`, where tests were skipped for want of something.

A package is a folder of the product, at most two levels below `softphone`; files that no test has
loaded count as well.  Processes that tests start (media workers, some commands) are not measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.branch_coverage import PROJECT, new_coverage

RECORDED = PROJECT / ".cache" / "coverage" / "branches"
FLOORS = PROJECT / "tests" / "coverage_floors.toml"
DEPTH = 3
MARGIN = 1.0
BRANCHES = 2
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
HEAD = "# Branch coverage in percent that no package falls under: python -m tests.coverage_report\n"


@dataclass(frozen=True)
class Branches:
    """How many branches there are, and how many of them were taken."""

    taken: int = 0
    total: int = 0

    def __add__(self, other: Branches) -> Branches:
        return Branches(self.taken + other.taken, self.total + other.total)

    @property
    def percent(self) -> float:
        """The share that was taken; of a package without a branch, all."""
        return 100.0 * self.taken / self.total if self.total else 100.0


def package_of(path: str) -> str:
    """Give the package of a file: its folder, at most two levels below the top."""
    folders = path.removeprefix("codecs/").split("/")[:-1]
    return ".".join(folders[:DEPTH])


def measured(recorded: Path) -> dict[str, Branches]:
    """Add up, package by package, what all processes recorded."""
    with tempfile.TemporaryDirectory() as scratch:
        coverage = new_coverage(scratch)
        coverage.combine([str(recorded)], keep=True)
        report = Path(scratch) / "report.json"
        coverage.json_report(outfile=str(report), ignore_errors=True)
        files = json.loads(report.read_text())["files"]
    found: dict[str, Branches] = {}
    for name, each in files.items():
        path = Path(name).resolve().relative_to(PROJECT).as_posix()
        summary = each["summary"]
        branches = Branches(summary["covered_branches"], summary["num_branches"])
        package = package_of(path)
        found[package] = found.get(package, Branches()) + branches
    return found


def lowest(runs: Iterable[dict[str, Branches]]) -> dict[str, Branches]:
    """Take of each package the run that covers it least: clocks decide some branches."""
    found: dict[str, Branches] = {}
    for package, branches in (pair for run in runs for pair in run.items()):
        found[package] = min(found.get(package, branches), branches, key=lambda one: one.percent)
    return found


def floor_of(branches: Branches) -> float:
    """Give the floor of what was measured: a point or two branches less, cut to a tenth."""
    margin = max(MARGIN, 100.0 * BRANCHES / branches.total) if branches.total else MARGIN
    return max(0.0, math.floor((branches.percent - margin) * 10) / 10)


def read_floors(text: str) -> tuple[str, dict[str, float]]:
    """Read the interpreter's version and the lines `"package" = percent`."""
    document = tomllib.loads(text)
    floors = {package: float(floor) for package, floor in document["floors"].items()}
    return str(document["python"]), floors


def written_floors(found: dict[str, Branches]) -> str:
    """Give the text of the file of floors."""
    lines = [f'"{package}" = {floor_of(found[package]):.1f}\n' for package in sorted(found)]
    return f'{HEAD}python = "{PYTHON}"\n\n[floors]\n{"".join(lines)}'


def table(found: dict[str, Branches], floors: dict[str, float]) -> str:
    """Draw what was found beside the floors, a package a line."""
    width = max(map(len, [*found, *floors, "package"]))
    lines = [f"{'package':{width}}  branches  covered    floor  difference"]
    for package in sorted({*found, *floors}):
        branches, floor = found.get(package), floors.get(package)
        count = f"{branches.total:8d}" if branches else f"{'-':>8}"
        percent = f"{branches.percent:6.1f} %" if branches else f"{'-':>8}"
        limit = f"{floor:6.1f} %" if floor is not None else f"{'-':>8}"
        known = branches is not None and floor is not None
        difference = f"{branches.percent - floor:+10.1f}" if known else f"{'-':>10}"
        lines.append(f"{package:{width}}  {count} {percent} {limit}  {difference}")
    return "\n".join(lines)


def faults(found: dict[str, Branches], floors: dict[str, float]) -> list[str]:
    """Say what is wrong: who is under its floor, has none, or is no more."""
    again = "run python -m tests.coverage_report --write-floors"
    wrong = [
        f"{package}: {found[package].percent:.2f} % of the branches, under its floor of {floor} %"
        for package, floor in floors.items()
        if package in found and found[package].percent < floor
    ]
    wrong += [f"{package}: has no floor ({again})" for package in found if package not in floors]
    wrong += [f"{package}: is no package ({again})" for package in floors if package not in found]
    return sorted(wrong)


def record() -> int:
    """Run the tests that need no real peer, and record the branches they take; pytest's status."""
    shutil.rmtree(RECORDED.parent, ignore_errors=True)
    RECORDED.mkdir(parents=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "3"]
    command += ["--dist", "worksteal", f"--junitxml={RECORDED.parent / 'report.xml'}", "tests"]
    # What is judged by processor times costs four times as much where branches are recorded.
    command += ["--ignore=tests/peers", "--ignore=tests/security/linear_time"]
    environ = os.environ | {"SOFTPHONE_COVERAGE": str(RECORDED), "SOFTPHONE_KERNEL": "off"}
    return subprocess.run(command, cwd=PROJECT, env=environ, check=False).returncode


def main(arguments: Iterable[str] | None = None) -> int:
    """Print the table; the exit status is 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage_report", description=__doc__)
    parser.add_argument("recorded", nargs="*", type=Path, default=[RECORDED])
    parser.add_argument("--run", action="store_true", help="run the tests first")
    parser.add_argument("--write-floors", action="store_true")
    parser.add_argument("--show", action="store_true", help="hold no package to its floor")
    options = parser.parse_args(arguments)
    status = record() if options.run else 0
    found = lowest(map(measured, options.recorded))
    if options.write_floors:
        FLOORS.write_text(written_floors(found))
    python, floors = read_floors(FLOORS.read_text())
    print(table(found, floors))
    if options.show or python != PYTHON:
        print(f"shown only: the floors hold on Python {python}, with no test skipped")
        return status
    wrong = faults(found, floors)
    for line in wrong:
        print(line)
    return 1 if wrong else status


if __name__ == "__main__":
    sys.exit(main())
