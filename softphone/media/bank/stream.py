"""What a stream has beside its numbers: the objects of one row.

The numbers are in `softphone.media.bank.stream_bank`, as arrays; these are touched on demand only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.media.bank.codec_lookup import AnyCodec
from softphone.media.bank.source_feed import Feed
from softphone.media.bank.stateful_decoder import Voice
from softphone.media.interface import MediaEvent, Sink, Source, StreamHandle, StreamSpec
from softphone.rtp import (
    EventReceiver,
    EventSender,
    RemoteReport,
    RtcpSession,
    SenderClock,
    VoipMetrics,
)
from softphone.srtp import FailureCounts, ReceiveContext, SendContext
from softphone_codecs import RowEncoder

__all__ = ["Stream"]


@dataclass(slots=True)
class Stream:
    """One row's objects; `spec` is None until the stream is opened.

    `codec` is what it sends and `receive_codec` what it plays; where they remember, `encoder` and
    `voice` are their memories.  `spent` holds what contexts that were replaced had counted.
    """

    handle: StreamHandle
    on_event: Callable[[MediaEvent], None] | None = None
    spec: StreamSpec | None = None
    codec: AnyCodec | None = None
    receive_codec: AnyCodec | None = None
    encoder: RowEncoder | None = None
    voice: Voice | None = None
    send_context: SendContext | None = None
    receive_context: ReceiveContext | None = None
    source: Source | None = None
    feed: Feed | None = None
    sink: Sink | None = None
    monitor: Sink | None = None
    rtcp: RtcpSession | None = None
    event_sender: EventSender | None = None
    event_receiver: EventReceiver | None = None
    remote_report: RemoteReport | None = None
    remote_metrics: VoipMetrics | None = None
    round_trip_time: float | None = None
    reported_packets: int = 0
    restart_reports: bool = False
    sender_clock: SenderClock | None = None
    changed_at: int | None = None
    told_type: int | None = None
    spent: FailureCounts = field(default_factory=FailureCounts)
    conflicts: tuple[bytes, ...] = ()
    send_fingerprint: bytes = b""
    receive_fingerprint: bytes = b""

    def failures(self) -> FailureCounts:
        """Packets that were dropped, under all keys that the stream has had."""
        if self.receive_context is None:
            return self.spent
        return _sum(self.spent, self.receive_context.failures)

    def keep_failures(self) -> None:
        """Keep what the receive context has counted, before it is replaced."""
        self.spent = self.failures()


def _sum(one: FailureCounts, other: FailureCounts) -> FailureCounts:
    return FailureCounts(
        *[getattr(one, name) + getattr(other, name) for name in FailureCounts.__slots__]
    )
