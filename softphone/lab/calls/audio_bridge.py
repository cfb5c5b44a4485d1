"""The lab's audio bridge: every member hears the sum of the others (mix-minus).

Each ordered pair of members has a ring buffer that the media loop fills and empties, so the bridge
needs no clock.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from softphone.media import PcmBlock
from softphone.media.audio import PcmRing


class MemberSink:
    """A `Sink` that passes a member's audio on to all others.

    It is no `TeeSink`, which sorts its sinks for batches once: members come and go during a call.
    """

    def __init__(self) -> None:
        self.rings: dict[Hashable, PcmRing] = {}

    @property
    def clock_rate_hz(self) -> int:
        """8000 Hz, the rate of the lab's codecs."""
        return 8000

    @property
    def dropped_samples(self) -> int:
        """Samples dropped, summed over all listeners."""
        return sum(ring.dropped_samples for ring in self.rings.values())

    def write(self, block: PcmBlock) -> None:
        """Pass one block on."""
        for ring in self.rings.values():
            ring.write(block)


class MemberSource:
    """A `Source` of what a member hears: the sum of all others, clipped to int16."""

    def __init__(self) -> None:
        self.rings: dict[Hashable, PcmRing] = {}

    @property
    def clock_rate_hz(self) -> int:
        """8000 Hz, the rate of the lab's codecs."""
        return 8000

    @property
    def ended(self) -> bool:
        """Always False: the source continues with silence."""
        return False

    def read(self, samples: int) -> NDArray[np.int16]:
        """Read int16[samples]."""
        total = np.zeros(samples, np.int32)
        for ring in self.rings.values():
            part = ring.read(samples)
            total[: len(part)] += part
        return np.clip(total, -32768, 32767).astype(np.int16)


class AudioBridge:
    """The bridge of one call; any hashable key identifies a member."""

    def __init__(self) -> None:
        self._members: dict[Hashable, tuple[MemberSink, MemberSource]] = {}

    def add_member(self, name: Hashable) -> tuple[MemberSink, MemberSource]:
        """Add a member: record its stream into the `MemberSink`, play it the `MemberSource`."""
        sink, source = MemberSink(), MemberSource()
        for other, (other_sink, other_source) in self._members.items():
            other_sink.rings[name] = source.rings[other] = PcmRing(8000, seconds=0.2)
            sink.rings[other] = other_source.rings[name] = PcmRing(8000, seconds=0.2)
        self._members[name] = (sink, source)
        return sink, source

    def remove_member(self, name: Hashable) -> None:
        """Remove a member; does nothing when there is none of that name."""
        if self._members.pop(name, None) is None:
            return
        for sink, source in self._members.values():
            sink.rings.pop(name, None)
            source.rings.pop(name, None)
