"""The page of a comparison: whole in one file, and true to the figures."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from softphone.load.compare import compare_runs, judge_changes, parse_rule
from softphone.load.report import write_comparison
from tests.load.compare.runs import record

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOSTILE = "<img src=x>"


def page(tmp_path, before, *after):
    compared = []
    for each in after:
        comparison = compare_runs(before, each)
        compared.append((comparison, judge_changes(comparison, [parse_rule("regression")])))
    write_comparison(tmp_path / "compare.html", compared, wall=WALL)
    return (tmp_path / "compare.html").read_text()


def test_everything_is_in_the_one_file(tmp_path):
    slow = record(2, name="slow", setup_ms=30.0, rate=5.0)
    text = page(tmp_path, record(name="first"), record(3, name="same"), slow)
    assert not re.search(r'(src|href)="|url\(|@import|<script|https?:', text)
    assert text.count("<svg") == 2, "nothing measured jitter"
    assert "<h2>slow</h2>" in text
    assert "Asked for differently: rate 10.0 and 5.0" in text
    assert '<td class="bad">worse</td>' in text
    assert "setup_p50 not worse than before" in text
    assert "<title>first</title>" in text, "a curve has the name of its run"


def test_a_run_that_proves_nothing_is_said_in_the_first_place(tmp_path):
    busy = replace(record(name=HOSTILE), invalid_because=("it was busy",), interrupted=True)
    text = page(tmp_path, record(), busy)
    assert text.index("it was busy") < text.index("<table>")
    assert "it was interrupted" in text
    assert "<img" not in text
