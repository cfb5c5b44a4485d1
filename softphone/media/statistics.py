"""A stream's statistics, read from the bank (RFC 3550 section 6.4, ITU-T G.107).

`fill_numbers` and `fill_reports` write them into rows of an array, which may lie in memory that
another process reads; `read` makes a `StreamStatistics` of such a row.
"""

from __future__ import annotations

import math
from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt

from softphone.events import StreamStatistics
from softphone.media.bank import FRAME, LATENESS_BOUNDS_MS, StreamBank
from softphone.media.port import StreamHandle
from softphone.media.quality import mean_opinion_score
from softphone.media.stream import Stream

__all__ = ["COLUMNS", "Column", "fill_numbers", "fill_reports", "read", "snapshot"]

Table = npt.NDArray[np.float64]


class Column(IntEnum):
    """The columns of the array before those of the lateness histogram; NaN is None."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        return count

    PACKETS_SENT = auto()
    OCTETS_SENT = auto()
    PACKETS_RECEIVED = auto()
    OCTETS_RECEIVED = auto()
    LOST = auto()
    JITTER_MS = auto()
    PLAYOUT_DELAY = auto()
    CONCEALED = auto()
    LATE = auto()
    DUPLICATES = auto()
    MALFORMED = auto()
    WRONG_SOURCE = auto()
    STARVED = auto()
    # From here on they are a stream's objects', not the bank's arrays'.
    NOT_AUTHENTIC = auto()
    REPLAYED = auto()
    NOT_SRTP = auto()
    SINK_DROPPED = auto()
    ROUND_TRIP_TIME = auto()
    REMOTE_FRACTION_LOST = auto()
    REMOTE_JITTER_MS = auto()


COLUMNS = len(Column) + len(LATENESS_BOUNDS_MS) + 1
"""How many numbers there are of a stream."""


def fill_numbers(bank: StreamBank, rows: slice, table: Table) -> None:
    """Write what the bank counts of `rows`, k of them, into `table` float64[k, COLUMNS]."""
    fields = (
        (Column.PACKETS_SENT, bank.packets_sent[rows]),
        (Column.OCTETS_SENT, bank.octets_sent[rows]),
        (Column.PACKETS_RECEIVED, bank.packets_received[rows]),
        (Column.OCTETS_RECEIVED, bank.octets_received[rows]),
        (Column.LOST, np.maximum(bank.reception.cumulative_lost(rows), 0)),
        (Column.JITTER_MS, bank.reception.jitter[rows] / bank.clock_rate[rows] * 1e3),
        (Column.PLAYOUT_DELAY, bank.playout.playout_delay(rows)),
        (Column.CONCEALED, bank.playout.concealed[rows]),
        (Column.LATE, bank.playout.late[rows]),
        (Column.DUPLICATES, bank.playout.duplicates[rows]),
        (Column.MALFORMED, bank.malformed[rows]),
        (Column.WRONG_SOURCE, bank.wrong_source[rows]),
        (Column.STARVED, bank.starved[rows]),
    )
    for column, values in fields:
        table[:, column] = values
    table[:, len(Column) :] = bank.lateness[rows]


def fill_reports(bank: StreamBank, stream: Stream, values: Table) -> None:
    """Write what a stream's objects count, and the far end reports, into float64[COLUMNS]."""
    failures, remote = stream.failures(), stream.remote_report
    rate = int(bank.clock_rate[stream.handle.row])
    told: tuple[float | None, ...] = (
        failures.authentication,
        failures.replayed,
        failures.malformed,
        0 if stream.sink is None else stream.sink.dropped_samples,
        stream.round_trip_time,
        None if remote is None else remote.fraction_lost,
        None if remote is None or remote.jitter is None else remote.jitter / rate * 1e3,
    )
    values[Column.NOT_AUTHENTIC : len(Column)] = [
        math.nan if value is None else value for value in told
    ]


def snapshot(bank: StreamBank, handle: StreamHandle) -> StreamStatistics:
    """What there is to say about a stream now.  Raises StaleHandle."""
    stream, row = bank.stream(handle), handle.row
    table = np.empty((1, COLUMNS))
    fill_numbers(bank, slice(row, row + 1), table)
    fill_reports(bank, stream, table[0])
    return read(table[0])


def read(values: Table) -> StreamStatistics:
    """The statistics that float64[COLUMNS] say."""
    numbers = values.tolist()

    # In the order of `Column`: one is made at the end of every call.
    sent, octets_sent, received, octets, lost, jitter, delay, concealed, late = numbers[:9]
    duplicates, malformed, wrong_source, starved = numbers[9:13]
    not_authentic, replayed, not_srtp, dropped = numbers[13:17]
    round_trip, remote_lost, remote_jitter = map(_told, numbers[17 : len(Column)])
    if not received:
        lost = delay = 0.0
    return StreamStatistics(
        packets_sent=int(sent),
        octets_sent=int(octets_sent),
        packets_received=int(received),
        octets_received=int(octets),
        cumulative_lost=int(lost),
        fraction_lost=lost / (lost + received) if received else 0.0,
        interarrival_jitter_ms=jitter,
        round_trip_time_ms=None if round_trip is None else round_trip * 1e3,
        playout_delay_ms=delay * 1e3,
        concealed=int(concealed),
        discarded_late=int(late),
        duplicates=int(duplicates),
        authentication_failures=int(not_authentic),
        replayed=int(replayed),
        malformed=int(malformed) + int(not_srtp),
        wrong_source=int(wrong_source),
        sink_dropped_samples=int(dropped),
        source_starved_frames=int(starved),
        remote_fraction_lost=remote_lost,
        remote_jitter_ms=remote_jitter,
        mos=_opinion(int(received), int(lost + late), round_trip, delay),
        lateness_bounds_ms=LATENESS_BOUNDS_MS,
        lateness=tuple(map(int, numbers[len(Column) :])),
    )


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value


def _opinion(
    received: int, missing: int, round_trip: float | None, playout_delay: float
) -> float | None:
    """MOS of what is heard here: half the round trip, the buffer and a frame are the delay."""
    if not received:
        return None
    one_way = (round_trip or 0.0) / 2 + playout_delay + FRAME
    return float(mean_opinion_score(one_way, missing / (received + missing)))
