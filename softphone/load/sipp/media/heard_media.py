"""What a call has heard: packets, losses, jitter and MOS (RFC 3550, ITU-T G.107)."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.media.quality.e_model import mean_opinion_score
from softphone.rtp.reception_statistics import ReceptionStatistics, SequenceStatus, extend

MOST_SOURCES = 4
"""The most SSRCs that are measured of one kind in one call; packets of others are not counted."""
PLAYOUT_DELAY = 0.06
"""Seconds that a receiver would hold packets back.

Later ones count as lost in `mos` only; `lost` and `loss_percent` leave them out.
"""
PACKET_TIME = 0.02
"""In seconds."""
_TALK_PAUSE = 0.5
"""Seconds without a packet after which delays are measured from the next packet on."""


@dataclass(slots=True)
class _Source:
    statistics: ReceptionStatistics
    base: tuple[float, int]
    last: float
    late: int = 0


class HeardMedia:
    """Counts the received RTP of one kind; `trusted` packets are authenticated.

    `clock_rate` is in Hz.
    """

    def __init__(self, clock_rate: int, *, trusted: bool) -> None:
        self._rate = clock_rate
        self._trusted = trusted
        self._sources: dict[bytes, _Source] = {}

    def record_packet(self, packet: bytes, now: float) -> None:
        """Count an RTP packet that arrived at `now`, in seconds."""
        ssrc, timestamp = packet[8:12], int.from_bytes(packet[4:8], "big")
        source = self._sources.get(ssrc)
        if source is None:
            if len(self._sources) >= MOST_SOURCES:
                return
            counts = ReceptionStatistics(clock_rate_hz=self._rate, trusted=self._trusted)
            source = self._sources[ssrc] = _Source(counts, (now, timestamp), now)
        sequence = int.from_bytes(packet[2:4], "big")
        status = source.statistics.record_packet(sequence, timestamp, now=now)
        if not status.counts_as_received:
            return
        began, first = source.base
        delay = now - began - (extend(timestamp, first, 32) - first) / self._rate
        paused = now - source.last > _TALK_PAUSE
        if delay < 0 or paused or status is SequenceStatus.RESTARTED:
            source.base = (now, timestamp)
        elif delay > PLAYOUT_DELAY:
            source.late += 1
        source.last = now

    @property
    def received(self) -> int:
        """The packets that came."""
        return sum(source.statistics.received for source in self._sources.values())

    @property
    def lost(self) -> int:
        """The packets that did not come, by their sequence numbers."""
        return sum(max(0, each.statistics.cumulative_lost) for each in self._sources.values())

    @property
    def loss_percent(self) -> float:
        """The share of the expected packets that were lost, in percent."""
        return 100.0 * self.lost / max(1, self.received + self.lost)

    @property
    def jitter_ms(self) -> float:
        """The interarrival jitter of the source that sent the most.

        Raises ValueError before any packet.
        """
        found = max(
            (each.statistics for each in self._sources.values()), key=lambda each: each.received
        )
        return 1e3 * found.jitter / self._rate

    @property
    def mos(self) -> float:
        """The mean opinion score: of G.711 with concealment, without the delay of the network."""
        late = sum(source.late for source in self._sources.values())
        share = (self.lost + late) / max(1, self.received + self.lost)
        return mean_opinion_score(PLAYOUT_DELAY + PACKET_TIME, share)
