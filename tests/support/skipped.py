"""A pytest plugin: what was skipped, in ten lines at most that say what to install.

`--skipped-to FILE` has it written to a file, too: JSON, the reason of each test, or of each file
that was skipped as a whole, by the name with which pytest runs it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

MOST_LINES = 10
APT = re.compile(r"apt-get install ((?:[a-z0-9][a-z0-9.+-]*[a-z0-9+] ?)+)")
PIP = re.compile(r"(?:pip install |or )'?((?:\.|softphone)?\[[\w-]+\])'?")
ROOT = re.compile(r"\broot\b|CAP_NET_RAW|PEERS=install")
SHOWN = 90
"""Characters of a reason that no program and no package would mend."""


def remedy(reason: str) -> tuple[str, tuple[str, ...]]:
    """What would have the test run: a kind of remedy, and its packages."""
    if "real peer" in reason or ROOT.search(reason):
        return "real peers and captures: sudo PEERS=install make test", ()
    if found := APT.search(reason):
        return "apt-get install", tuple(found[1].split())
    if found := PIP.search(reason):
        return "pip install", (f"'softphone{found[1][found[1].index('[') :]}'",)
    return reason if len(reason) <= SHOWN else f"{reason[: SHOWN - 3]}...", ()


def summary(reasons: Mapping[str, str]) -> list[str]:
    """The lines; the last one counts what has no line of its own."""
    counts: Counter[str] = Counter()
    packages: dict[str, set[str]] = {}
    for reason in reasons.values():
        kind, needed = remedy(reason)
        counts[kind] += 1
        packages.setdefault(kind, set()).update(needed)
    lines = [
        f"{count:6d}  {' '.join([kind, *sorted(packages[kind])])}"
        for kind, count in counts.most_common()
    ]
    if len(lines) <= MOST_LINES:
        return lines
    rest = sum(count for _, count in counts.most_common()[MOST_LINES - 1 :])
    return [*lines[: MOST_LINES - 1], f"{rest:6d}  for other reasons (pytest -rs tells each)"]


class SkippedTests:
    """Collects the reasons, in the process that controls the workers."""

    def __init__(self, target: Path | None) -> None:
        self.target = target
        self.reasons: dict[str, str] = {}

    def _take(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test says, or its fixture."""
        self._take(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take what a whole file says."""
        self._take(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the lines, and write the file."""
        if self.target is not None:
            self.target.write_text(json.dumps(self.reasons, indent=1) + "\n", encoding="utf-8")
        if self.reasons:
            terminalreporter.section(f"{len(self.reasons)} skipped")
            for line in summary(self.reasons):
                terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the option."""
    parser.addoption("--skipped-to", type=Path, metavar="FILE", help="write what was skipped")


def pytest_configure(config: pytest.Config) -> None:
    """Collect, but in no worker: all of them tell the process that started them."""
    if not hasattr(config, "workerinput"):
        target = config.getoption("--skipped-to")
        config.pluginmanager.register(SkippedTests(target), "skipped-tests")
