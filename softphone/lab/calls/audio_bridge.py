"""The lab's audio bridge: every member hears the sum of the others (mix-minus).

One ring for each ordered pair of members, filled by the media loop and emptied by it, so nothing
here has a clock.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from softphone.media import PcmBlock
from softphone.media.audio import PcmRing

__all__ = ["Ear", "Hub", "Mouth"]


class Ear:
    """A `Sink`: what a member says, given to everybody else."""

    def __init__(self) -> None:
        self.rings: dict[Hashable, PcmRing] = {}

    @property
    def clock_rate_hz(self) -> int:
        """8 kHz, as the lab's codecs have it."""
        return 8000

    @property
    def dropped_samples(self) -> int:
        """The sum over all listeners."""
        return sum(ring.dropped_samples for ring in self.rings.values())

    def write(self, block: PcmBlock) -> None:
        """Take one block."""
        for ring in self.rings.values():
            ring.write(block)


class Mouth:
    """A `Source`: what a member hears, the sum of all others, clipped."""

    def __init__(self) -> None:
        self.rings: dict[Hashable, PcmRing] = {}

    @property
    def clock_rate_hz(self) -> int:
        """8 kHz, as the lab's codecs have it."""
        return 8000

    @property
    def ended(self) -> bool:
        """Never: silence goes on."""
        return False

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out int16[samples]."""
        total = np.zeros(samples, np.int32)
        for ring in self.rings.values():
            part = ring.read(samples)
            total[: len(part)] += part
        return np.clip(total, -32768, 32767).astype(np.int16)


class Hub:
    """The bridge of one call; members come and go by whatever names them."""

    def __init__(self) -> None:
        self._members: dict[Hashable, tuple[Ear, Mouth]] = {}

    def join(self, name: Hashable) -> tuple[Ear, Mouth]:
        """Add a member: record its stream into the Ear, play the Mouth to it."""
        ear, mouth = Ear(), Mouth()
        for other, (other_ear, other_mouth) in self._members.items():
            other_ear.rings[name] = mouth.rings[other] = PcmRing(8000, seconds=0.2)
            ear.rings[other] = other_mouth.rings[name] = PcmRing(8000, seconds=0.2)
        self._members[name] = (ear, mouth)
        return ear, mouth

    def leave(self, name: Hashable) -> None:
        """Take a member out."""
        if self._members.pop(name, None) is None:
            return
        for ear, mouth in self._members.values():
            ear.rings.pop(name, None)
            mouth.rings.pop(name, None)
