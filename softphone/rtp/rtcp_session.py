"""When RTCP is sent and what it has told: one participant of a two-party session.

RFC 3550 sections 6.2, 6.3 and A.7 (transmission interval, reconsideration, BYE), 6.4.1 (round
trip).  The caller owns the media: it hands in what was sent and received when a report is due.
"""

from __future__ import annotations

from dataclasses import dataclass

from softphone.machine import Entropy
from softphone.rtp.rtcp import ReportBlock, VoipMetrics

__all__ = ["RemoteReport", "RtcpSession", "SenderInformation"]


@dataclass(frozen=True, slots=True)
class SenderInformation:
    """What we have sent, for SR: timestamp of now, packets and payload octets so far."""

    rtp_timestamp: int
    packet_count: int
    octet_count: int


@dataclass(frozen=True, slots=True)
class RemoteReport:
    """What a received compound packet told about us and the far end.

    `fraction_lost` is 0.0 to 1.0, `jitter` in our timestamp units, `round_trip_time` in seconds;
    None: it did not say.  `bye` is the reason of a BYE ("" for none given).
    """

    fraction_lost: float | None = None
    cumulative_lost: int | None = None
    jitter: int | None = None
    round_trip_time: float | None = None
    voip_metrics: VoipMetrics | None = None
    key_frame_requested: bool = False
    bye: str | None = None


class RtcpSession:
    """The RTCP machine of one stream; no socket, no clock.

    `bandwidth` is the session's RTCP share in octets a second, `minimum_interval` in seconds.
    """

    def __init__(
        self,
        *,
        ssrc: int,
        cname: str,
        entropy: Entropy,
        now: float,
        bandwidth: float = 400.0,
        minimum_interval: float = 5.0,
    ) -> None:
        raise NotImplementedError

    def next_timer(self) -> float:
        """When the next report may be due."""
        raise NotImplementedError

    def due(self, *, now: float) -> bool:
        """Whether a report is to be sent now; timer reconsideration (6.3.6) is done here."""
        raise NotImplementedError

    def report(
        self,
        *,
        now: float,
        wall: float,
        sent: SenderInformation | None,
        received: tuple[ReportBlock, ...] = (),
        metrics: VoipMetrics | None = None,
    ) -> bytes:
        """The compound packet of this interval: SR (`sent`) or RR, SDES, XR; arms the next.

        `last_sr` and `delay_since_last_sr` of the blocks are filled in here.
        """
        raise NotImplementedError

    def bye(
        self, *, now: float, wall: float, sent: SenderInformation | None, reason: str = ""
    ) -> bytes:
        """The compound packet that leaves the session."""
        raise NotImplementedError

    def receive(self, data: bytes, *, now: float, wall: float) -> RemoteReport | None:
        """Take a compound packet; None for a malformed one, which is counted in `malformed`."""
        raise NotImplementedError
