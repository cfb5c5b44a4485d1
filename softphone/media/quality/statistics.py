"""A stream's statistics, read from the bank (RFC 3550 section 6.4, RFC 3611 4.7, ITU-T G.107).

`fill_numbers` and `fill_reports` write statistics into rows of an array, which may be in memory
that another process reads; `read_statistics` makes a `StreamStatistics` of such a row.
`stream_statistics` reads one row without arrays, which would take most of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum, auto
from functools import partial

import numpy as np
import numpy.typing as npt

from softphone.events import PacketCounts, StreamStatistics, VoiceQuality
from softphone.media.arrays import count_nonzero
from softphone.media.bank import (
    FRAME,
    FRAME_MS,
    LATENESS_BOUNDS_MS,
    StreamBank,
    StreamObjects,
    is_stateful,
)
from softphone.media.interface import StreamHandle
from softphone.media.playout import JitterBufferConfig
from softphone.media.quality.e_model import mean_opinion_score
from softphone.media.quality.voip_metrics import quality_of, voice_quality
from softphone.rtp import VoipMetrics

Table = npt.NDArray[np.float64]


class Column(IntEnum):
    """The columns of the array before those of the lateness histogram; NaN is None."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        return count

    # The counters of `SenderBank` and `ReceiverBank`, in their order.
    PACKETS_SENT = auto()
    OCTETS_SENT = auto()
    STARVED = auto()
    PACKETS_RECEIVED = auto()
    OCTETS_RECEIVED = auto()
    MALFORMED = auto()
    WRONG_SOURCE = auto()
    # Values read from the reception and playout state, or computed.
    LOST = auto()
    JITTER_MS = auto()
    PLAYOUT_DELAY = auto()
    CONCEALED = auto()
    LATE = auto()
    DUPLICATES = auto()
    REMOTE_SSRC = auto()
    SSRC = auto()
    # Counts of bursts and gaps; NaN in the first for a row that is not measured.
    FRAMES = auto()
    MISSED = auto()
    STRETCHES = auto()
    BURSTS = auto()
    BURST_MISSED = auto()
    BURST_FRAMES = auto()
    IN_BURST = auto()
    EXPECTED = auto()
    TARGET_DELAY = auto()
    SPEECH = auto()
    # From here on the values come from a stream's objects, not from the bank's arrays.
    NOT_AUTHENTIC = auto()
    REPLAYED = auto()
    NOT_SRTP = auto()
    SINK_DROPPED = auto()
    ROUND_TRIP_TIME = auto()
    REMOTE_FRACTION_LOST = auto()
    REMOTE_JITTER_MS = auto()
    REMOTE_LOST = auto()
    NOISE = auto()
    ENHANCED = auto()
    PACKET_TIME = auto()


REMOTE_METRICS = VoipMetrics.__slots__[2:]
"""Fields of the far end's VoIP metrics, in columns after the named ones; all NaN: no report."""

RECEIVED = Column.LOST - Column.PACKETS_RECEIVED
REPORTED = len(Column)
"""The first of these columns."""
LATENESS = REPORTED + len(REMOTE_METRICS)
COLUMNS = LATENESS + len(LATENESS_BOUNDS_MS) + 1
"""The number of columns of a stream's row."""
_MAXIMUM_DELAY = JitterBufferConfig().maximum_delay


def fill_numbers(bank: StreamBank, rows: slice, table: Table) -> None:
    """Write the bank's counters of k `rows` into `table` float64[k, COLUMNS]."""
    fields = (
        (Column.LOST, np.maximum(bank.reception.cumulative_lost(rows), 0)),
        (Column.JITTER_MS, bank.reception.jitter[rows] / bank.sender.clock_rate[rows] * 1e3),
        (Column.PLAYOUT_DELAY, bank.playout.playout_delay(rows)),
        (Column.CONCEALED, bank.playout.concealed[rows]),
        (Column.LATE, bank.playout.late[rows]),
        (Column.DUPLICATES, bank.playout.duplicates[rows]),
        (Column.REMOTE_SSRC, bank.receiver.remote_ssrc[rows]),
        (Column.SSRC, bank.sender.ssrc[rows]),
    )
    first = Column.PACKETS_RECEIVED
    table[:, :first] = bank.sender.block("packets_sent")[:, rows].T
    table[:, first : Column.LOST] = bank.receiver.block("packets_received")[:RECEIVED, rows].T
    for column, values in fields:
        table[:, column] = values
    table[:, LATENESS:] = bank.sender.lateness[rows]
    _fill_bursts(bank, rows, table)


def _fill_bursts(bank: StreamBank, rows: slice, table: Table) -> None:
    bursts = bank.playout.bursts
    if bursts is None or not count_nonzero(bursts.measured[rows]):
        table[:, Column.FRAMES] = math.nan
        return
    first, stop = Column.FRAMES, Column.IN_BURST + 1
    table[:, first:stop] = bursts.burst_counts(rows, bank.playout.played[rows]).T
    table[~bursts.measured[rows], first] = math.nan
    table[:, Column.EXPECTED] = bank.reception.expected(rows)
    table[:, Column.TARGET_DELAY] = bank.playout.target_delay(rows)
    table[:, Column.SPEECH] = bursts.speech[rows]


def _row_numbers(bank: StreamBank, row: int) -> list[float]:
    """Return what `fill_numbers` writes for one row, and NaN for the other columns."""
    playout, bursts = bank.playout, bank.playout.bursts
    expected, lost = bank.reception.row_numbers(row)
    delay, target = playout.row_delays(row)
    numbers = [math.nan] * COLUMNS
    numbers[: Column.FRAMES] = (
        *bank.sender.block("packets_sent")[:, row].tolist(),
        *bank.receiver.block("packets_received")[:RECEIVED, row].tolist(),
        max(lost, 0),
        bank.reception.jitter.item(row) / bank.sender.clock_rate.item(row) * 1e3,
        delay,
        playout.concealed.item(row),
        playout.late.item(row),
        playout.duplicates.item(row),
        bank.receiver.remote_ssrc.item(row),
        bank.sender.ssrc.item(row),
    )
    if bursts is not None and bursts.measured[row]:
        numbers[Column.FRAMES : Column.NOT_AUTHENTIC] = (
            *bursts.row_numbers(row, playout.played.item(row)),
            expected,
            target,
            bursts.speech.item(row),
        )
    numbers[LATENESS:] = bank.sender.lateness[row].tolist()
    return numbers


def fill_reports(bank: StreamBank, stream: StreamObjects, values: Table | list[float]) -> None:
    """Write the counts of a stream's objects and the far end's reports into COLUMNS numbers."""
    failures, remote = stream.receive_keys.failures, stream.remote_report
    rate = int(bank.sender.clock_rate[stream.handle.row])
    reported: tuple[float | None, ...] = (
        failures.authentication,
        failures.replayed,
        failures.malformed,
        0 if stream.sink is None else stream.sink.dropped_samples,
        stream.round_trip_time,
        None if remote is None else remote.fraction_lost,
        None if remote is None or remote.jitter is None else remote.jitter / rate * 1e3,
        None if remote is None else remote.cumulative_lost,
    )
    values[Column.NOT_AUTHENTIC : Column.NOISE] = [
        math.nan if value is None else value for value in reported
    ]
    if not math.isnan(values[Column.FRAMES]):
        values[Column.NOISE : REPORTED] = _heard(bank, stream)
    metrics = stream.remote_metrics
    values[REPORTED:LATENESS] = [
        math.nan if metrics is None else getattr(metrics, name) for name in REMOTE_METRICS
    ]


def _heard(bank: StreamBank, stream: StreamObjects) -> tuple[float, bool, float]:
    """Return the noise energy, whether the codec conceals losses, and the packet time."""
    floor, enhanced, codec = math.nan, False, stream.receive_codec
    if codec is not None and stream.sink is not None:
        concealment = bank.concealment(codec.sample_rate * FRAME_MS // 1000)
        floor = concealment.noise_energy(stream.handle.row)
        enhanced = is_stateful(codec) and codec.conceals
    spec = stream.spec
    return floor, enhanced, FRAME if spec is None else spec.ptime_ms / 1e3


def stream_statistics(bank: StreamBank, handle: StreamHandle) -> StreamStatistics:
    """Return a stream's statistics now.  Raises StaleHandle."""
    return freeze_statistics(bank, handle)()


def stream_quality(bank: StreamBank, stream: StreamObjects) -> VoiceQuality | None:
    """Return the `quality` of a stream's statistics, alone: without what else they have."""
    row, playout, bursts = stream.handle.row, bank.playout, bank.playout.bursts
    if bursts is None or not bursts.measured[row] or not bank.receiver.packets_received[row]:
        return None
    expected, lost = bank.reception.row_numbers(row)
    playout_delay, target_delay = playout.row_delays(row)
    noise, enhanced, packet_time = _heard(bank, stream)
    far = stream.remote_metrics
    return voice_quality(
        bursts.row_numbers(row, playout.played.item(row)),
        expected=expected,
        lost=lost,
        late=playout.late.item(row),
        round_trip=stream.round_trip_time,
        far_delay=None if far is None else far.end_system_delay_ms / 1e3,
        playout_delay=playout_delay,
        target_delay=target_delay,
        maximum_delay=_MAXIMUM_DELAY,
        packet_time=packet_time,
        energy=bursts.speech.item(row),
        noise=_none_if_nan(noise),
        enhanced=enhanced,
    )


def freeze_statistics(bank: StreamBank, handle: StreamHandle) -> Callable[[], StreamStatistics]:
    """Return a function that makes a stream's statistics of now.  Raises StaleHandle.

    Most of the work is in that function, and of most calls nobody reads the last statistics.
    """
    stream = bank.find_stream(handle)
    numbers = _row_numbers(bank, handle.row)
    fill_reports(bank, stream, numbers)
    return partial(_statistics, numbers)


def packet_counts(bank: StreamBank, handle: StreamHandle) -> PacketCounts:
    """Return the packet counts of a stream's statistics now.  Raises StaleHandle."""
    row = bank.find_stream(handle).handle.row
    received = bank.receiver.packets_received.item(row)
    lost = max(bank.reception.row_numbers(row)[1], 0) if received else 0
    return PacketCounts(bank.sender.packets_sent.item(row), received, lost)


def read_packet_counts(values: Table) -> PacketCounts:
    """Return the packet counts in a row of statistics, float64[COLUMNS]."""
    received = int(values[Column.PACKETS_RECEIVED])
    lost = int(values[Column.LOST]) if received else 0
    return PacketCounts(int(values[Column.PACKETS_SENT]), received, lost)


def read_statistics(values: Table) -> StreamStatistics:
    """Make a `StreamStatistics` of a row, float64[COLUMNS]."""
    return _statistics(values.tolist())


def _statistics(numbers: list[float]) -> StreamStatistics:
    # In the order of `Column`, names for those that all have: one is made at the end of every call.
    sent, octets_sent, starved, received, octets, malformed, wrong_source = numbers[:7]
    lost, jitter, delay, concealed, late, duplicates = numbers[7:13]
    not_authentic, replayed, not_srtp, dropped = numbers[_OBJECTS : _OBJECTS + 4]
    round_trip, remote_lost, remote_jitter = map(_none_if_nan, numbers[_OBJECTS + 4 : _OBJECTS + 7])
    remote_quality = _remote_quality(numbers[REPORTED:LATENESS])
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
        remote_mos=_remote_opinion(numbers, remote_quality),
        ssrc=int(numbers[Column.SSRC]),
        remote_ssrc=int(numbers[Column.REMOTE_SSRC]) if received else None,
        quality=_quality(numbers, remote_quality),
        remote_quality=remote_quality,
        lateness_bounds_ms=LATENESS_BOUNDS_MS,
        lateness=tuple(map(int, numbers[LATENESS:])),
    )


_OBJECTS = Column.NOT_AUTHENTIC


def _quality(numbers: Sequence[float], remote: VoiceQuality | None) -> VoiceQuality | None:
    """Return the voice quality of a row; None if it is not measured or has received nothing."""
    if math.isnan(numbers[Column.FRAMES]) or not numbers[Column.PACKETS_RECEIVED]:
        return None
    return voice_quality(
        [int(count) for count in numbers[Column.FRAMES : Column.IN_BURST + 1]],
        expected=int(numbers[Column.EXPECTED]),
        lost=int(numbers[Column.LOST]),
        late=int(numbers[Column.LATE]),
        round_trip=_none_if_nan(numbers[Column.ROUND_TRIP_TIME]),
        far_delay=None if remote is None else remote.end_system_delay_ms / 1e3,
        playout_delay=numbers[Column.PLAYOUT_DELAY],
        target_delay=numbers[Column.TARGET_DELAY],
        maximum_delay=_MAXIMUM_DELAY,
        packet_time=numbers[Column.PACKET_TIME],
        energy=numbers[Column.SPEECH],
        noise=_none_if_nan(numbers[Column.NOISE]),
        enhanced=bool(numbers[Column.ENHANCED]),
    )


def _remote_quality(values: Sequence[float]) -> VoiceQuality | None:
    if math.isnan(values[0]):
        return None
    return quality_of(VoipMetrics(0, 0, *map(int, values)))


def _remote_opinion(numbers: Sequence[float], remote_quality: VoiceQuality | None) -> float | None:
    """MOS at the far end: as it reports, or estimated from its RTCP report blocks.

    Report blocks do not have its playout delay, which is estimated as twice the jitter and a frame.
    """
    if remote_quality is not None and remote_quality.mos_conversational is not None:
        return remote_quality.mos_conversational
    lost, sent = _none_if_nan(numbers[Column.REMOTE_LOST]), numbers[Column.PACKETS_SENT]
    if lost is None or not sent:
        return None
    round_trip = _none_if_nan(numbers[Column.ROUND_TRIP_TIME]) or 0.0
    jitter = (_none_if_nan(numbers[Column.REMOTE_JITTER_MS]) or 0.0) / 1e3
    one_way = round_trip / 2 + 2 * jitter + 2 * FRAME
    return mean_opinion_score(one_way, max(lost, 0.0) / sent)


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _opinion(
    received: int, missing: int, round_trip: float | None, playout_delay: float
) -> float | None:
    """MOS of received audio; the delay is half the round trip, the playout delay and a frame."""
    if not received:
        return None
    one_way = (round_trip or 0.0) / 2 + playout_delay + FRAME
    return mean_opinion_score(one_way, missing / (received + missing))
