"""The seconds of a run as CSV: stable columns, whole lines as they come."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from softphone.errors import ConfigurationError
from softphone.load.measure import RunSecond, Tally
from softphone.load.report import SeriesFile

HEADER = (
    "trial,at_s,calls_up,attempted,answered,failed,dropped,registered,setup_p50_ms,setup_p99_ms,"
    "mos_p5,mos_p50,jitter_p50_ms,jitter_p95_ms,packets_sent,packets_received,packets_lost,"
    "packets_late,cpu_cores,lateness_p99_ms,workers,packets_too_late,packets_skipped"
)


def second(at, **counts):
    made = RunSecond(at, up=2, tally=Tally(attempted=3, answered=2, sent=100, **counts), cpu=0.25)
    made.tally.failed["486 Busy Here"] = 1
    made.tally.setup_ms.record_value(12.5)
    made.mos_now.record_value(4.4)
    return made


def test_each_row_is_there_as_soon_as_its_second_was(tmp_path):
    file = tmp_path / "load.csv"
    file.write_text("before")
    with SeriesFile(file) as series:
        assert file.read_text() == f"{HEADER}\n"
        series.add_second(second(1.0))
        first = file.read_text()
        assert first.endswith("\n")
        series.add_second(second(2.004, lost=-1, too_late=4, skipped=2))
    assert file.read_text().startswith(first)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["at_s"] for row in rows] == ["1.00", "2.00"]
    assert rows[0] == rows[0] | {
        "trial": "1",
        "calls_up": "2",
        "failed": "1",
        "setup_p99_ms": "12.5",
        "mos_p5": "4.40",
        "cpu_cores": "0.250",
        "jitter_p50_ms": "",
    }
    assert rows[1]["packets_lost"] == "-1"
    assert (rows[1]["packets_too_late"], rows[1]["packets_skipped"]) == ("4", "2")


def test_trials_of_a_search_are_counted(tmp_path):
    file = tmp_path / "load.csv"
    with SeriesFile(file) as series:
        for _ in range(3):
            series.begin_trial()
            series.add_second(second(1.0))
    assert [row["trial"] for row in csv.DictReader(file.read_text().splitlines())] == [
        "1",
        "2",
        "3",
    ]


def test_without_a_file_nothing_is_written():
    with SeriesFile(None) as series:
        series.add_second(second(1.0))
    assert series.error == ""


def test_a_file_that_cannot_be_opened_is_said_before_the_run(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be written"), SeriesFile(tmp_path):
        pass


def test_a_full_disk_ends_the_series_and_not_the_run():
    """/dev/full takes the opening, and no octet."""
    with SeriesFile(Path("/dev/full")) as series:
        series.add_second(second(1.0))
    assert series.error == "/dev/full cannot be written: No space left on device"
