"""Summaries of earlier runs: read back whole, and refused with what is wrong."""

from __future__ import annotations

import json

import pytest

from softphone.errors import ConfigurationError
from softphone.load import BLANK_LOAD_SUMMARY
from softphone.load.compare import read_summary
from softphone.load.plan import parse_figure
from tests.load.compare.runs import result, write_run


def test_a_run_is_read_back_as_it_was(tmp_path):
    made = result(answered=0.9, rate=5.0)
    made.total.lost = -1
    found = read_summary(write_run(tmp_path / "run.jsonl", answered=0.9, rate=5.0))
    assert found.tally.served == made.total.served == 900
    assert found.tally.setup_ms.quantile(0.99) == made.total.setup_ms.quantile(0.99)
    assert (found.plan["rate"], found.name) == (5.0, str(tmp_path / "run.jsonl"))
    assert (found.invalid_because, found.interrupted) == ((), False)


def test_the_summary_alone_will_do_however_it_is_laid_out(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(json.dumps(result().summary(), indent=2))
    assert read_summary(file).tally.attempted == 1000


def test_a_run_of_before_packets_that_were_due_were_counted_has_those_that_were_sent(tmp_path):
    summary = result().summary()
    summary["packets"] = {"sent": 100, "received": 100, "lost": 0, "late": 3}
    file = tmp_path / "run.json"
    file.write_text(json.dumps(summary))
    assert parse_figure("late").measure(read_summary(file).tally) == 3.0


def test_an_invalid_run_says_so(tmp_path):
    made = result()
    made.invalid_because.append("it was busy")
    made.interrupted = True
    file = tmp_path / "run.json"
    file.write_text(json.dumps(made.summary()))
    found = read_summary(file)
    assert (found.invalid_because, found.interrupted) == (("it was busy",), True)
    file.write_text(json.dumps(result().summary() | {"valid": False}))
    assert read_summary(file).invalid_because == ("it says so, and gives no reason",)


def changed(**fields):
    return result().summary() | fields


HUGE = 10**400


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither its last line nor the whole is a JSON object"),
        ("[1]", "neither its last line"),
        ("[" * 100_000, "neither its last line"),
        ('{"valid": NaN}', "neither its last line"),
        ('{"event": "second"}', "it ends with 'second'"),
        ("{}", "it lacks 'invalid_because'"),
        (json.dumps(changed(histograms={})), "it lacks 'setup_ms'"),
        (json.dumps(changed(calls=[])), "it lacks|indices"),
        (json.dumps(changed(calls={"attempted": -1})), "'-1' is no count"),
        (json.dumps(changed(calls={"attempted": True})), "'True' is no count"),
        (json.dumps(changed(capacity={})), "it is of a search"),
        (json.dumps(dict(BLANK_LOAD_SUMMARY)), "the run came to no result"),
    ],
)
def test_what_is_no_summary_is_refused_with_what_is_wrong(tmp_path, text, why):
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=f"is no summary of a run: .*({why})"):
        read_summary(file)


@pytest.mark.parametrize(
    "histogram",
    [
        {"unit": 1.0},
        {"unit": 0.1, "counts": {"1": -5}, "sum": 1, "range": [1, 1]},
        {"unit": 0.1, "counts": {"-1": 5}, "sum": 1, "range": [1, 1]},
        {"unit": 0.1, "counts": {"1": 5}, "sum": HUGE, "range": [1, 1]},
        {"unit": 0.1, "counts": {"x": 5}, "sum": 1, "range": [1, 1]},
        {"unit": 0.1, "counts": {"1": 5}, "sum": 1, "range": [1]},
        {"unit": 0.1, "counts": {"9007199254740000": 5}, "sum": 1, "range": [1, 1]},
        {"unit": 0.1, "counts": [1], "sum": 1, "range": [1, 1]},
        [],
    ],
)
def test_a_histogram_that_is_none_is_refused(tmp_path, histogram):
    summary = result().summary()
    summary["histograms"]["setup_ms"] = histogram
    file = tmp_path / "run.json"
    file.write_text(json.dumps(summary))
    with pytest.raises(ConfigurationError, match="is no summary of a run"):
        read_summary(file)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_summary(tmp_path / "run.json")
