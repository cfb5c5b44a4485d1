"""The tables of the guide to hearing, from what `bench/media/bench_hearing.py` has measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results" / "hearing.json"
BOTH = ("spectral", "neural")


def rows_of(part: str) -> list[Row]:
    """The rows of one part of the results."""
    rows: list[Row] = json.loads(RESULTS.read_text())[part]
    return rows


def pairs(part: str, *keys: str) -> Iterator[tuple[Row, Row]]:
    """The rows of both detectors for the same values of `keys`, in order."""
    rows = rows_of(part)
    for spectral in (row for row in rows if row["detector"] == BOTH[0]):
        same = [row for row in rows if all(row[key] == spectral[key] for key in keys)]
        yield spectral, next(row for row in same if row["detector"] == BOTH[1])


def each_of(pair: tuple[Row, Row], cell: Callable[[Row], str]) -> tuple[str, str]:
    """The cell of each detector."""
    return cell(pair[0]), cell(pair[1])


def lines(*cells: str) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"


def of_noise(row: Row) -> str:
    """The noise in words."""
    if row["noise"] == "none":
        return "none"
    return f"{row['noise'].replace('-', ' ')}, {row['snr_db']} dB below"


def hearing_accuracy() -> Iterator[str]:
    """Speech that is missed and imagined, and when its beginning and end are reported."""
    yield lines(
        "noise", "missed, spectral", "neural", "imagined, spectral", "neural",
        "end reported after, spectral", "neural",
    )  # fmt: skip
    yield lines(*["---"] * 7)
    for pair in pairs("accuracy", "noise", "snr_db"):
        yield lines(
            of_noise(pair[0]),
            *each_of(pair, lambda row: f"{row['missed_percent']:.1f} %"),
            *each_of(pair, lambda row: f"{row['imagined_percent']:.1f} %"),
            *each_of(pair, end_of),
        )


def end_of(row: Row) -> str:
    """Median and 95th percentile of the time until the end is reported, and of how many."""
    after = row["end_reported_after_ms"]
    if not after["n"]:
        return "never"
    return f"{after['p50']}, {after['p95']} ms ({after['n']} of {row['utterances']})"


def hearing_noise() -> Iterator[str]:
    """What is taken for speech in a minute of noise alone."""
    yield lines("a minute of", "taken for speech, spectral", "neural")
    yield lines(*["---"] * 3)
    for pair in pairs("noise_alone", "noise"):
        taken = each_of(pair, lambda row: f"{row['seconds_taken_for_speech']:g} s")
        yield lines(pair[0]["noise"].replace("-", " "), *taken)


def hearing_answers() -> Iterator[str]:
    """How many answers are classified right at once, and after what time."""
    yield lines("answered by", "noise", "right, spectral", "neural", "after, spectral", "neural")
    yield lines(*["---"] * 6)
    for pair in pairs("answering", "answered_by", "snr_db"):
        row = pair[0]
        yield lines(
            f"a {row['answered_by']}",
            "none" if row["snr_db"] is None else f"white, {row['snr_db']} dB below",
            *each_of(pair, lambda row: f"{row['right_at_once']} of {row['calls']}"),
            *each_of(
                pair,
                lambda row: (
                    "{p50}, {p95} ms".format(**row["verdict_after_ms"])
                    if row["right_at_once"]
                    else "never"
                ),
            ),
        )


def hearing_cost() -> Iterator[str]:
    """The processor time of a second of one call."""
    yield lines("calls at once", "spectral", "neural")
    yield lines(*["---"] * 3)
    for pair in pairs("cost", "calls"):
        spent = each_of(pair, lambda row: f"{row['us_a_second'] / 1000:.1f} ms")
        yield lines(str(pair[0]["calls"]), *spent)


def hearing_echo() -> Iterator[str]:
    """By how much echo is lowered, and who speaks meanwhile."""
    yield lines("rate", "delay of the echo", "echo", "who speaks meanwhile", "processor time")
    yield lines(*["---"] * 5)
    for row in rows_of("echo"):
        yield lines(
            f"{row['rate_hz']:,} Hz",
            f"{row['delay_ms']} ms",
            f"{-row['echo_lower_by_db']:.0f} dB",
            f"{row['near_speech_meanwhile_db']:.0f} dB",
            f"{row['us_a_second'] / 1000:.0f} ms a second",
        )
