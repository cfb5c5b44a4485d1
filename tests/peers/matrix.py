"""The interoperability table of the docs, made of what the peer tests saw.

Tests marked `@pytest.mark.feature("NAME")` fill the cell of NAME and of each peer whose fixture
they use.  `pytest` writes the outcome to `.cache/interop.json`; then

    python -m tests.peers.matrix             prints the table
    python -m tests.peers.matrix --write     puts it into docs/interoperability.md
    python -m tests.peers.matrix --check     fails when that page says something else

The last two want the outcome of all tests so marked, so that part of a run is no table.

Peers of `make nightly` have a table of their own: after their tests

    python -m tests.peers.matrix --record    writes bench/results/interop_nightly.json and the table
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from softphone import openssl_provider
from tests.peers.linphone.phone import version

PROJECT = Path(__file__).resolve().parents[2]
OUTCOME = PROJECT / ".cache" / "interop.json"
RECORDED = PROJECT / "bench" / "results" / "interop_nightly.json"
PAGE = PROJECT / "docs" / "interoperability.md"
PEERS = {
    "asterisk": "Asterisk 22",
    "asterisk_of_its_own": "Asterisk 22",
    "asterisk_of_the_page": "Asterisk 22",
    "baresip": "baresip",
    "kamailio": "Kamailio",
    "kamailio_of_its_own": "Kamailio",
    "kamailio_presence": "Kamailio",
    "prosody": "Prosody 13",
    "prosody_of_its_own": "Prosody 13",
    "rtpengine": "rtpengine",
    "sipp": "SIPp",
}
NIGHTLY = {"linphone": "Linphone"}
"""Peers whose tests `make nightly` runs; other peers in those tests get no cell by them."""
SEVERITY = ("failed", "skipped", "passed")
COLUMNS = tuple(dict.fromkeys(PEERS.values()))
SECOND_TRY = "SOFTPHONE_SECOND_TRY"
"""Set in the environment of a run of what failed before."""
START, END = "<!-- interop -->", "<!-- /interop -->"
NIGHTLY_START, NIGHTLY_END = "<!-- interop nightly -->", "<!-- /interop nightly -->"

Cells = dict[str, dict[str, dict[str, str]]]
"""What came of the tests, by feature, peer and test."""


class Recorder:
    """A pytest plugin; with xdist it collects in the controlling process."""

    def __init__(self) -> None:
        self.cells: Cells = defaultdict(lambda: defaultdict(dict))

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of one test: its call, or a set-up that failed or was skipped."""
        if report.when != "call" and report.outcome == "passed":
            return
        found = dict(report.user_properties)
        for feature in found.get("features", ()):
            for peer in found.get("peers", ()):
                self.cells[feature][peer][report.nodeid] = report.outcome

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write what was seen, once, when anything was; a second look in FIPS mode is not.

        A second try of what failed adds to what the first has written.
        """
        if (
            not self.cells
            or hasattr(session.config, "workerinput")
            or openssl_provider.fips_in_force()
        ):
            return
        if SECOND_TRY in os.environ and OUTCOME.exists():
            seen = json.loads(OUTCOME.read_text())
            for feature, row in self.cells.items():
                for peer, outcomes in row.items():
                    seen.setdefault(feature, {}).setdefault(peer, {}).update(outcomes)
            self.cells = seen
        OUTCOME.parent.mkdir(parents=True, exist_ok=True)
        OUTCOME.write_text(json.dumps(self.cells, indent=1, sort_keys=True) + "\n")


def note(item: pytest.Item) -> None:
    """Put features and peers of a test into its report."""
    features = [str(mark.args[0]) for mark in item.iter_markers("feature")]
    names = getattr(item, "fixturenames", ())
    peers = sorted({PEERS[name] for name in names if name in PEERS and name != "rtpengine"})
    peers = [NIGHTLY[name] for name in names if name in NIGHTLY] or peers
    if "rtpengine" in features or "rtpengine" in item.nodeid:
        peers.append("rtpengine")
    item.user_properties += [("features", features), ("peers", peers)]


def features() -> set[str]:
    """Every feature that a test of this folder is marked with."""
    return {
        node.args[0].value
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "feature"
        and isinstance(node.args[0], ast.Constant)
    }


def table(cells: Cells, columns: Sequence[str] = COLUMNS) -> str:
    """The table in Markdown: a check mark where all tests passed, or what one of them did."""
    lines = ["| feature | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for feature in sorted(cells, key=str.lower):
        row = [_cell(list(cells[feature].get(peer, {}).values())) for peer in columns]
        if any(row):
            lines.append(f"| {feature} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def nightly_table() -> str:
    """The table of the peers of `make nightly`, as recorded."""
    recorded = json.loads(RECORDED.read_text())
    seen = ", ".join(f"{peer} {version}" for peer, version in recorded["versions"].items())
    return f"{seen}, on {recorded['date']}:\n\n{table(recorded['cells'], list(NIGHTLY.values()))}"


def record(cells: Cells) -> None:
    """Keep what the peers of `make nightly` did.  Raises SystemExit where that was not seen."""
    names = set(NIGHTLY.values())
    kept = {
        feature: {peer: outcomes for peer, outcomes in row.items() if peer in names}
        for feature, row in cells.items()
    }
    kept = {feature: row for feature, row in kept.items() if row}
    outcomes = {one for row in kept.values() for tests in row.values() for one in tests.values()}
    if not outcomes or "skipped" in outcomes:
        raise SystemExit("the tests of the nightly peers were not run, or skipped: see their text")
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    found = {"date": date, "versions": {"Linphone": version()}, "cells": kept}
    RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    _put(NIGHTLY_START, NIGHTLY_END, nightly_table())


def shown(start: str, end: str) -> str:
    """What the page has between two marks."""
    return PAGE.read_text().partition(start)[2].partition(end)[0].strip()


def _put(start: str, end: str, text: str) -> None:
    before, _, rest = PAGE.read_text().partition(start)
    PAGE.write_text(f"{before}{start}\n{text}\n{end}{rest.partition(end)[2]}")


def _cell(outcomes: list[str]) -> str:
    if not outcomes:
        return ""
    return min(outcomes, key=SEVERITY.index) if set(outcomes) != {"passed"} else "\N{CHECK MARK}"


def main() -> int:
    """Print the table; write it into its page, or check that it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.peers.matrix",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    action.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    cells = json.loads(OUTCOME.read_text()) if OUTCOME.exists() else {}
    if arguments.record:
        record(cells)
        print(nightly_table())
        return 0
    made = table(cells)
    print(made)
    missing = sorted(features() - set(cells))
    if missing:
        print(f"without an outcome: {', '.join(missing)}")
    if not (arguments.write or arguments.check):
        return 0
    if arguments.write and not missing:
        _put(START, END, made)
    elif not missing and shown(START, END) != made:
        print(
            "docs/interoperability.md has another table: run python -m tests.peers.matrix --write"
        )
        return 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
