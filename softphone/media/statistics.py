"""A stream's statistics, read from the bank (RFC 3550 section 6.4, ITU-T G.107)."""

from __future__ import annotations

import numpy as np

from softphone.events import StreamStatistics
from softphone.media.bank import FRAME, LATENESS_BOUNDS_MS, StreamBank
from softphone.media.port import StreamHandle
from softphone.media.quality import mean_opinion_score
from softphone.media.stream import Stream

__all__ = ["snapshot"]


def snapshot(bank: StreamBank, handle: StreamHandle) -> StreamStatistics:
    """What there is to say about a stream now.  Raises StaleHandle."""
    stream = bank.stream(handle)
    row = handle.row
    rows = np.array([row], dtype=np.int32)
    received = int(bank.packets_received[row])
    lost = max(0, int(bank.reception.cumulative_lost(rows)[0])) if received else 0
    late = int(bank.playout.late[row])
    delay = float(bank.playout.playout_delay(rows)[0]) if received else 0.0
    failures = stream.failures()
    remote, rate = stream.remote_report, int(bank.clock_rate[row])
    remote_jitter = None if remote is None or remote.jitter is None else remote.jitter / rate * 1e3
    return StreamStatistics(
        packets_sent=int(bank.packets_sent[row]),
        octets_sent=int(bank.octets_sent[row]),
        packets_received=received,
        octets_received=int(bank.octets_received[row]),
        cumulative_lost=lost,
        fraction_lost=lost / (lost + received) if received else 0.0,
        interarrival_jitter_ms=float(bank.reception.jitter[row]) / rate * 1e3,
        round_trip_time_ms=_milliseconds(stream.round_trip_time),
        playout_delay_ms=delay * 1e3,
        concealed=int(bank.playout.concealed[row]),
        discarded_late=late,
        duplicates=int(bank.playout.duplicates[row]),
        authentication_failures=failures.authentication,
        replayed=failures.replayed,
        malformed=int(bank.malformed[row]) + failures.malformed,
        wrong_source=int(bank.wrong_source[row]),
        sink_dropped_samples=0 if stream.sink is None else stream.sink.dropped_samples,
        source_starved_frames=int(bank.starved[row]),
        remote_fraction_lost=None if remote is None else remote.fraction_lost,
        remote_jitter_ms=remote_jitter,
        mos=_opinion(stream, received, lost + late, delay),
        lateness_bounds_ms=LATENESS_BOUNDS_MS,
        lateness=tuple(bank.lateness[row].tolist()),
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _opinion(stream: Stream, received: int, missing: int, playout_delay: float) -> float | None:
    """MOS of what is heard here: half the round trip, the buffer and a frame are the delay."""
    if not received:
        return None
    one_way = (stream.round_trip_time or 0.0) / 2 + playout_delay + FRAME
    return float(mean_opinion_score(one_way, missing / (received + missing)))
