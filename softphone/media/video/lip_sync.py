"""Lip sync: when a picture belongs to the sound that is heard, and one time line of both.

RFC 3550 section 6.4.1: each stream's sender reports say which of its timestamps is which time of
its sender's clock; that clock is one for all streams of a sender (the same CNAME).  No clock here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softphone.media.interface import PcmBlock

MOST_HELD = 0.5
"""Seconds that a picture is held back at most; sound is never more behind, unless clocks differ."""
FRESH = 2.0
"""Seconds after which the sound has been away for too long to wait for."""
SHARE = 1.0 / 16.0
"""Of a new measure of the sound's delay; the rest is what was known."""
STEP = 0.1
"""A change of the sound's delay that is followed at once: the playout has moved."""
MOST_SKEW = 1.0
"""Seconds by which clocks and arrivals may differ before the clocks are not believed."""
ASTRAY = 10.0
"""Seconds that a piece may lie beside when it came; beyond them its stream begins anew there."""


class LipSync:
    """Holds pictures back until the sound that was captured with them is heard.

    All times of capture are by the far end's clock, `now` is ours; both in seconds.
    """

    def __init__(self) -> None:
        self.delay: float | None = None
        """What our clock shows when sound is heard, less the time of its capture; None: unknown."""
        self._heard = 0.0

    def audio_played(self, captured: float, *, now: float) -> None:
        """Sound that was captured then is handed out now."""
        delay = now - captured
        stale = now - self._heard > FRESH
        if self.delay is None or stale or abs(delay - self.delay) > STEP:
            self.delay = delay
        else:
            self.delay += SHARE * (delay - self.delay)
        self._heard = now

    def delivery_time(self, captured: float | None, *, now: float) -> float:
        """When a picture is to be handed out: now, or up to half a second later.

        At once where either stream's clock is unknown, nothing is heard, or the clocks have
        nothing to do with one another.
        """
        if captured is None or self.delay is None or now - self._heard > FRESH:
            return now
        wait = captured + self.delay - now
        return now + wait if 0.0 < wait <= MOST_HELD else now


class LipSyncSink:
    """A `Sink` that tells lip sync which sound is heard, by `clock`."""

    def __init__(self, lip_sync: LipSync, clock: Callable[[], float]) -> None:
        self._lip_sync = lip_sync
        self._clock = clock
        self.clock_rate_hz = 0
        self.dropped_samples = 0

    def write(self, block: PcmBlock) -> None:
        """Take a block."""
        if block.captured_by_sender:
            self._lip_sync.audio_played(block.captured, now=self._clock())


@dataclass(frozen=True, slots=True)
class BlockTiming:
    """A piece of a stream: its media time, when the far end captured it if that is known, and when
    it came, by our clock; in seconds."""

    media: float
    captured: float | None
    arrived: float


@dataclass(slots=True)
class _TimelineStream:
    first: BlockTiming
    shift: float | None = None
    """Time of capture less media time."""


class SharedTimeline:
    """Puts two streams, "audio" and "video", on one time line that begins at 0.

    By the far end's clock where both streams have told it within `patience` seconds, else by when
    they came.  `observe_block` of every piece until `decided`; from then on each has its
    `position_of`.
    """

    def __init__(self, kinds: tuple[str, ...] = ("audio", "video"), patience: float = 6.0) -> None:
        self._kinds = kinds
        self._patience = patience
        self._streams: dict[str, _TimelineStream] = {}
        self._origin: float | None = None
        self._shifts: dict[str, float] = {}
        self._behind = 0.0
        self.by_clock = False
        """Whether the far end's clock decides."""

    @property
    def decided(self) -> bool:
        """Whether `position_of` can be asked."""
        return self._origin is not None

    def observe_block(self, kind: str, moment: BlockTiming) -> None:
        """Take note of a piece."""
        if self.decided:
            return
        stream = self._streams.setdefault(kind, _TimelineStream(moment))
        if moment.captured is not None:
            stream.shift = moment.captured - moment.media
        known = all(k in self._streams and self._streams[k].shift is not None for k in self._kinds)
        began = min(each.first.arrived for each in self._streams.values())
        if known or moment.arrived - began >= self._patience:
            self.decide()

    def decide(self) -> None:
        """Decide with what is known."""
        if self.decided or not self._streams:
            return
        streams = self._streams
        arrival = {kind: each.first.arrived - each.first.media for kind, each in streams.items()}
        clock = {kind: each.shift for kind, each in streams.items() if each.shift is not None}
        self.by_clock = len(clock) == len(streams) and _agree(clock, arrival)
        self._shifts = clock if self.by_clock else arrival
        self._origin = min(each.first.media + self._shifts[k] for k, each in streams.items())
        kind, known = next(iter(streams.items()))
        self._behind = known.first.arrived - known.first.media - self._shifts[kind]

    def position_of(self, kind: str, moment: BlockTiming) -> float:
        """Seconds from the beginning.

        Clocks that run apart are followed.  A stream that begins later than the decision is put
        where it came, and so is one whose timestamps have jumped: they are the far end's, and
        nobody waits, or fills a file with silence, for what they claim.
        """
        origin = self._origin
        if origin is None:
            raise ValueError("nothing is decided yet")
        came = moment.arrived - self._behind - origin
        if self.by_clock and moment.captured is not None:
            at = moment.captured - origin
            if abs(at - came) <= ASTRAY:
                return at
            self.by_clock = False
        shift = self._shifts.get(kind)
        if shift is None or abs(moment.media + shift - origin - came) > ASTRAY:
            # As far behind its arrival as the first stream was.
            shift = self._shifts[kind] = moment.arrived - moment.media - self._behind
        return moment.media + shift - origin


def _agree(clock: dict[str, float], arrival: dict[str, float]) -> bool:
    """Whether the streams lie to one another by the clocks about as they came."""
    apart = [clock[kind] - arrival[kind] for kind in clock]
    return max(apart) - min(apart) <= MOST_SKEW
