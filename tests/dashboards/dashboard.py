"""Reads a Grafana dashboard: its panels, and what their expressions name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.container.recipe import PROJECT

FOLDER = PROJECT / "docs" / "deploy" / "grafana"
DASHBOARDS = tuple(sorted(FOLDER.glob("*.json")))
INTERVAL = "10s"
"""What stands for Grafana's own `$__rate_interval` where an expression is evaluated."""
METRIC = re.compile(r"\b(softphone_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"')
GROUPED = re.compile(r"\b(?:by|without|on) \(([^)]*)\)")
OF_SCRAPE = {"instance", "job"}
"""Labels that Prometheus itself adds."""


def read(path: Path) -> dict[str, Any]:
    """The dashboard in a file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@dataclass(frozen=True)
class Expression:
    """One expression of a panel."""

    panel: str
    text: str

    @property
    def evaluable(self) -> str:
        """The expression with a value for each of Grafana's variables."""
        return self.text.replace("$__rate_interval", INTERVAL).replace("$instance", ".*")

    @property
    def metrics(self) -> set[str]:
        """The names of its metrics."""
        return {name for name, _ in METRIC.findall(self.text)}

    @property
    def labels(self) -> set[str]:
        """The labels that it selects or groups by."""
        selected = {
            label for _, braces in METRIC.findall(self.text) for label in MATCHER.findall(braces)
        }
        grouped = {
            label.strip() for group in GROUPED.findall(self.text) for label in group.split(",")
        }
        return selected | grouped


def expressions(dashboard: dict[str, Any]) -> list[Expression]:
    """Every expression of every panel."""
    return [
        Expression(panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def samples(text: str) -> dict[str, set[str]]:
    """The labels of each sample name that a page in Prometheus' format serves."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? ", line)
        if match is not None:
            found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return found
