"""What streams send, told to whoever listens: the samples as they are encoded, with media time.

A monitor hears the source, silence where there is none, and silence while the stream is muted; not
digits, which are no sound (RFC 4733).  Its blocks have the same media time as those received, so
that both sides of a call can be laid side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softphone.media.bank import FRAME_MS, SourceFeed, StreamBank
from softphone.media.interface import PcmBlock, Sink

__all__ = ["SendMonitor", "write_monitors"]

logger = logging.getLogger("softphone.media")


@dataclass(frozen=True, slots=True)
class SendMonitor:
    """One row that is listened to, what it sends, and who listens."""

    row: int
    feed: SourceFeed
    sink: Sink


def write_monitors(
    bank: StreamBank, monitored: Sequence[SendMonitor], number: int, ptime_ms: int
) -> None:
    """Give the sinks what their rows send in packet `number` of `ptime_ms`, before encoding."""
    for each in monitored:
        rate, reader = each.feed.codec.sample_rate, each.feed.reader
        if reader is None:
            pcm = np.zeros(rate * ptime_ms // 1000, dtype=np.int16)
        else:
            pcm = reader.pcm.copy()
        milliseconds = number * ptime_ms - int(bank.delivery.opened_frame[each.row]) * FRAME_MS
        generation = int(bank.delivery.security_generation[each.row])
        try:
            each.sink.write(PcmBlock(pcm, rate, milliseconds * rate // 1000, generation))
        except Exception:
            # The sink is the application's; its fault must not stop other streams' media.
            logger.exception("a monitor of what is sent failed; it is taken off its stream")
            _detach_monitor(bank, each)


def _detach_monitor(bank: StreamBank, each: SendMonitor) -> None:
    stream = bank.streams[each.row]
    if stream is not None and stream.monitor is each.sink:
        stream.monitor = None
        bank.invalidate_plan(each.row)
