"""Runs what is long, part by part: `python -m tests.nightly [PART ...]`, for `make nightly`.

Without a PART all of them run, which takes most of a day on two cores.  As each part ends, its row
of `tests/results/nightly.json` is written: when, on which commit and interpreter, how long it took,
its status and the last lines that it printed.  A part that fails does not keep the others from
running; the exit status is 1 if any failed.

    --list              the parts, with what each was when it last ran
    --minutes COUNT     minutes of fuzzing led by coverage (60)
    --kernel-seconds COUNT   seconds of fuzzing the compiled media kernel (600)
    --runs COUNT        runs of the whole suite, one after the other (20)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "tests" / "results" / "nightly.json"
LOGS = PROJECT / ".cache" / "nightly"
LAST_LINES = 3
"""As many lines of what a part printed are kept in its row."""
LONGEST_LINE = 200
HERE = str(PROJECT)
NIGHT = {"SOFTPHONE_NIGHTLY": "1"}


@dataclass(frozen=True)
class Part:
    """Commands of Python modules, each run to its end, whatever came of the one before it."""

    name: str
    commands: Sequence[Sequence[str]]
    env: Mapping[str, str] = field(default_factory=dict)


def parts(minutes: int = 60, kernel_seconds: int = 600, runs: int = 20) -> list[Part]:
    """Every part, the short ones first."""
    guided = ("--minutes", str(minutes), "--kernel-seconds", str(kernel_seconds))
    linphone = ("pytest", "-q", "tests/peers/test_linphone_calls.py")
    branches = (".cache/coverage/branches",)
    return [
        Part("wheels", [("tests.wheel",)]),
        Part("wheels of other platforms", [("tests.wheel", "--resolve")]),
        Part("linear time", [("tests.sweeps",)]),
        Part("long tests", [("pytest", "-q", "-m", "nightly", "tests")], NIGHT),
        Part("FIPS mode", [("tests.under_fips", "-n", "3")]),
        Part("FIPS mode, lenient", [("tests.under_fips", "--lenient", "-n", "3")]),
        Part("FIPS mode, real peers", [("tests.under_fips", "--peers", "--assert=plain")]),
        Part("simulated platforms", [("tests.platforms",)]),
        Part("branch coverage", [("tests.coverage_report", "--run")]),
        Part("planted faults", [("tests.mutation.planted", "--coverage", *branches)]),
        Part("other interpreters", [("tests.interpreters",)]),
        Part("Home Assistant", [("tests.examples.environments", "home-assistant")]),
        Part("examples", [("tests.examples.environments", "programs")]),
        Part("dashboards", [("tests.dashboards",)]),
        Part("Linphone", [linphone, ("tests.peers.matrix", "--record")], NIGHT),
        Part("installed peers", [("tests.installed_peers",)]),
        Part("container", [("tests.container",)]),
        Part("mutations of messages", [("tests.fuzz.full",)]),
        Part("fuzzing led by coverage", [("tests.fuzz.coverage_guided", *guided)]),
        Part("mutation of security", [("tests.mutation", "--record")]),
        Part("the suite again and again", [("tests.repeat", "--runs", str(runs))]),
    ]


def run(part: Part) -> tuple[int, list[str]]:
    """Run a part, its output shown and kept in a file; its worst status, and its last lines."""
    LOGS.mkdir(parents=True, exist_ok=True)
    status, kept = 0, []
    with (LOGS / f"{part.name.replace(' ', '-')}.log").open("w", encoding="utf-8") as log:
        for command in part.commands:
            print(f"\n== {part.name}: python -m {' '.join(command)}", flush=True)
            with subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=PROJECT,
                env=os.environ | dict(part.env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    print(line, end="", flush=True)
                    log.write(line)
                    kept = [*kept, line.strip().replace(HERE, ".")][-LAST_LINES - 50 :]
            status = max(status, abs(process.returncode))
    said = [line[:LONGEST_LINE] for line in kept if line][-LAST_LINES:]
    return status, said


def head() -> str:
    """The commit that is checked out, for the record; a "+" says that files differ from it."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip()


def read_rows(results: Path) -> dict[str, dict[str, object]]:
    """The rows by part, as they were written last."""
    if not results.exists():
        return {}
    found: dict[str, dict[str, object]] = json.loads(results.read_text("utf-8"))
    return found


def record(name: str, row: dict[str, object], results: Path) -> None:
    """Write the row of a part, and leave the others as they are; parts that are no more go."""
    rows = read_rows(results) | {name: row}
    kept = {part.name: rows[part.name] for part in parts() if part.name in rows}
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def print_table(names: Sequence[str]) -> None:
    """Print the row of each part."""
    rows = read_rows(RESULTS)
    table = Table("part", "date", "commit", "seconds", "came to")
    for name in names:
        row = rows.get(name, {})
        came_to = "" if not row else "ok" if row["status"] == 0 else f"FAILED ({row['status']})"
        table.add_row(
            name, *(str(row.get(key, "")) for key in ("date", "commit", "seconds")), came_to
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.nightly")
    parser.add_argument("parts", nargs="*", metavar="PART", help="see --list")
    parser.add_argument("--list", action="store_true", help="name the parts, and how each ended")
    parser.add_argument("--minutes", type=int, default=60, metavar="COUNT")
    parser.add_argument("--kernel-seconds", type=int, default=600, metavar="COUNT")
    parser.add_argument("--runs", type=int, default=20, metavar="COUNT")
    options = parser.parse_args(arguments)
    known = {
        part.name: part for part in parts(options.minutes, options.kernel_seconds, options.runs)
    }
    if unknown := [name for name in options.parts if name not in known]:
        parser.error(f"there is no part {', '.join(unknown)}; known are {', '.join(known)}")
    chosen = options.parts or list(known)
    failed = False
    for name in [] if options.list else chosen:
        commit, started = head(), time.monotonic()
        status, said = run(known[name])
        failed = failed or status != 0
        seconds = round(time.monotonic() - started)
        row = {"date": f"{datetime.now(UTC):%F}", "commit": commit, "seconds": seconds}
        machine = {"python": platform.python_version(), "processors": os.cpu_count()}
        record(name, {**row, **machine, "status": status, "said": said}, RESULTS)
    print_table(chosen)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
