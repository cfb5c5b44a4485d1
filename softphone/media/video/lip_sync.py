"""Lip sync: delays pictures to match the audio playout, and aligns both on one time line.

Each stream's sender reports relate its timestamps to its sender's clock (RFC 3550 section 6.4.1),
which all streams of a sender (the same CNAME) share.  This module reads no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softphone.media.interface import PcmBlock

MOST_HELD = 0.5
"""The most seconds to hold a picture; audio is later than that only if the clocks differ."""
FRESH = 2.0
"""Seconds without audio after which pictures no longer wait for it."""
SHARE = 1.0 / 16.0
"""The weight of a new measurement in the average of the audio delay."""
STEP = 0.1
"""Seconds of change in the audio delay that are followed at once: the playout has moved."""
MOST_SKEW = 1.0
"""The most seconds by which clocks and arrivals may differ; beyond it arrivals decide."""
ASTRAY = 10.0
"""Seconds by which a block's position may differ from its arrival before its stream restarts."""


class LipSync:
    """Holds pictures back until the sound that was captured with them is heard.

    Capture times are by the far end's clock, `now` is by ours; both in seconds.
    """

    def __init__(self) -> None:
        self.delay: float | None = None
        """Playout time of audio by our clock minus its capture time; None: unknown."""
        self._heard = 0.0

    def audio_played(self, captured: float, *, now: float) -> None:
        """Note that audio captured at `captured` is played at `now`."""
        delay = now - captured
        stale = now - self._heard > FRESH
        if self.delay is None or stale or abs(delay - self.delay) > STEP:
            self.delay = delay
        else:
            self.delay += SHARE * (delay - self.delay)
        self._heard = now

    def delivery_time(self, captured: float | None, *, now: float) -> float:
        """Return when to deliver a picture: at `now`, or up to half a second later.

        It is `now` if either stream's clock is unknown, no audio is played, or the clocks are
        unrelated.
        """
        if captured is None or self.delay is None or now - self._heard > FRESH:
            return now
        wait = captured + self.delay - now
        return now + wait if 0.0 < wait <= MOST_HELD else now


class LipSyncSink:
    """A `Sink` that reports the played audio to a `LipSync`, at the time of `clock`."""

    def __init__(self, lip_sync: LipSync, clock: Callable[[], float]) -> None:
        self._lip_sync = lip_sync
        self._clock = clock
        self.clock_rate_hz = 0
        self.dropped_samples = 0

    def write(self, block: PcmBlock) -> None:
        """Report a block that has a capture time by the sender's clock."""
        if block.captured_by_sender:
            self._lip_sync.audio_played(block.captured, now=self._clock())


@dataclass(frozen=True, slots=True)
class BlockTiming:
    """The times of a block in seconds: media time, capture by the far end's clock (None: unknown),
    and arrival by our clock."""

    media: float
    captured: float | None
    arrived: float


@dataclass(slots=True)
class _TimelineStream:
    first: BlockTiming
    shift: float | None = None
    """Capture time minus media time."""


class SharedTimeline:
    """Aligns two streams, "audio" and "video", on one time line that begins at 0.

    The far end's clock aligns them if both streams report it within `patience` seconds, else their
    arrival does.  Call `observe_block` for each block until `decided`, then `position_of`.
    """

    def __init__(self, kinds: tuple[str, ...] = ("audio", "video"), patience: float = 6.0) -> None:
        self._kinds = kinds
        self._patience = patience
        self._streams: dict[str, _TimelineStream] = {}
        self._origin: float | None = None
        self._shifts: dict[str, float] = {}
        self._behind = 0.0
        self.by_clock = False
        """Whether the far end's clock aligns the streams."""

    @property
    def decided(self) -> bool:
        """Whether `position_of` can be called."""
        return self._origin is not None

    def observe_block(self, kind: str, moment: BlockTiming) -> None:
        """Note the times of a block, and decide if that is possible now."""
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
        """Decide the alignment by the blocks observed so far."""
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
        """Return a block's position in seconds.

        It follows clock drift.  A stream that begins after the decision is placed by its arrival,
        and so is one whose timestamps jump: the far end sets them, and they must not cause long
        waits or a file full of silence.  Raises ValueError before the decision.
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
            # The same distance from arrival as in the first stream.
            shift = self._shifts[kind] = moment.arrived - moment.media - self._behind
        return moment.media + shift - origin


def _agree(clock: dict[str, float], arrival: dict[str, float]) -> bool:
    """Whether clocks and arrivals place the streams alike, within `MOST_SKEW`."""
    apart = [clock[kind] - arrival[kind] for kind in clock]
    return max(apart) - min(apart) <= MOST_SKEW
