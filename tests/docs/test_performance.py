"""The tables of docs/explanation/performance.md and of README are those of the result files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "performance.md"
RESULTS = ROOT / "bench" / "results"

RATIOS = {
    "*full*, a socket each; pjsua": "full, per-call, kernel / full, pjsua",
    "*full*, shared; pjsua": "full, shared, kernel / full, pjsua",
    "*play*, a socket each; pjsua": "play, per-call, kernel / play, pjsua",
    "*play*, shared; pjsua": "play, shared, kernel / play, pjsua",
    "*full*, a socket each; baresip": "full, per-call, kernel / full, baresip",
    "*full*, shared; baresip": "full, shared, kernel / full, baresip",
    "*load*, a socket each; the C program": "load, per-call, kernel / floor, per-call",
    "*load*, shared; the C program": "load, shared, kernel / floor, shared",
}
COSTS = {
    "*full*, a socket each": "full, per-call, kernel",
    "*full*, shared": "full, shared, kernel",
    "*full*, pjsua": "full, pjsua",
    "*full*, baresip": "full, baresip",
    "*play*, a socket each": "play, per-call, kernel",
    "*play*, shared": "play, shared, kernel",
    "*play*, pjsua": "play, pjsua",
    "*load*, a socket each": "load, per-call, kernel",
    "*load*, shared": "load, shared, kernel",
    "the C program, a socket each": "floor, per-call",
    "the C program, shared": "floor, shared",
}
OLD = "## Measured before the kernel"
"""The heading of what was measured before results named the interpreter's build."""
NUMBERS = ("100", "300", "600")


def beside_peers() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / "beside_peers.json").read_text())["results"]
    return found


def results_shown() -> list[dict[str, Any]]:
    """The results of 100, 300 and 600 calls."""
    return [beside_peers()[number] for number in NUMBERS]


def shown_ratio(result: dict[str, Any], name: str) -> str:
    """The cell of a ratio: its median and range."""
    ratio = result["ratios"].get(name)
    if ratio is None:
        return "-"
    low, high = ratio["range"]
    return f"{ratio['median']:.2f} ({low:.2f} to {high:.2f})"


def shown_cost(result: dict[str, Any], name: str) -> str:
    """The cell of a cost."""
    row = result["rows"].get(name)
    return "-" if row is None else f"{row['ms_a_call_second']:.2f}"


def expected_rows() -> Iterator[str]:
    """The lines of the three tables."""
    for names, shown in ((RATIOS, shown_ratio), (COSTS, shown_cost)):
        for title, name in names.items():
            cells = " | ".join(shown(result, name) for result in results_shown())
            yield f"| {title} | {cells} |"
    spent = json.loads((RESULTS / "where_time_goes.json").read_text())
    for title, microseconds in {**spent["rows"], "all": spent["all"]}.items():
        yield f"| {title} | {microseconds:.0f} |"


def test_the_tables_are_those_of_the_results() -> None:
    lines = PAGE.read_text().splitlines()
    assert [row for row in expected_rows() if row not in lines] == []


def test_the_readme_has_the_same_ratios() -> None:
    ratios = (
        result["ratios"]["full, per-call, kernel / full, pjsua"] for result in results_shown()
    )
    first, second, third = (f"{each['median']:.2f}" for each in ratios)
    sentence = f"takes {first}, {second} and {third} of [pjsua's processor time]"
    assert sentence in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(\w+)\.json`", PAGE.read_text().partition(OLD)[0])))
)
def test_each_result_says_what_it_was_measured_on(name: str) -> None:
    """An unoptimised interpreter is up to 1.25 times slower, and NumPy's path several times."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    parts = found["results"].values() if name == "beside_peers" else [found]
    if name == "churn":
        parts = found["rows"].values()
    for part in parts:
        assert {"python", "python_build", "machine", "commit"} <= set(part)


if __name__ == "__main__":
    print("\n".join(expected_rows()))
