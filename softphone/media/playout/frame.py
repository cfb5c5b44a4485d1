"""What goes into a bank's jitter buffers, and what comes out: packets and frames as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError

__all__ = [
    "CONCEALED",
    "PLAYED",
    "SILENT",
    "FrameStatus",
    "JitterBufferConfig",
    "PlayoutFrames",
    "ReceivedPackets",
]


class FrameStatus(IntEnum):
    """What a row plays in this frame."""

    SILENT = 0
    """Nothing to play: before the first packet, in a pause, or after a long loss."""
    PLAYED = 1
    """The payload in `PlayoutFrames.slot`."""
    CONCEALED = 2
    """A frame is missing: repeat and fade."""


SILENT, PLAYED, CONCEALED = (np.uint8(status) for status in FrameStatus)
"""The same for arrays: of a member of an enum NumPy asks the class first, in vain and slowly, how
to compute."""


@dataclass(frozen=True, slots=True)
class JitterBufferConfig:
    """Bounds of every jitter buffer of a bank.

    A ring holds `slots` frames (a power of two) of `slot_octets` octets a row.  The target delay
    is the `percentile` of recent transit variation, within `minimum_delay` (None: one frame) and
    `maximum_delay`.
    """

    slots: int = 32
    slot_octets: int = 320
    minimum_delay: float | None = None
    maximum_delay: float = 0.2
    percentile: float = 0.97

    def __post_init__(self) -> None:
        if self.slots < 8 or self.slots & (self.slots - 1):
            raise ConfigurationError(f"{self.slots} slots are not a power of two from 8 on")
        if not 0.0 < self.maximum_delay <= 1.0 or not 0.0 < self.percentile < 1.0:
            raise ConfigurationError("a playout delay is at most 1 s, its percentile 0 to 1")


@dataclass(frozen=True, slots=True)
class ReceivedPackets:
    """Valid RTP packets to be put into the rings, in order of arrival; n of them.

    `row` intp[n], `sequence` uint16[n], `timestamp` uint32[n], `ssrc` uint32[n], `payload_type`
    uint8[n]; the payload of packet i is data[i, offset[i] : offset[i] + length[i]] with `data`
    uint8[n, width], `offset` and `length` int32[n]; `arrival` float64[n] in seconds on the clock
    of `now`.  A packet of length 0 (one that is not sound, as a telephone-event) only counts in
    the sequence.
    """

    row: NDArray[np.intp]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    payload_type: NDArray[np.uint8]
    data: NDArray[np.uint8]
    offset: NDArray[np.int32]
    length: NDArray[np.int32]
    arrival: NDArray[np.float64]

    def select(self, chosen: NDArray[np.intp]) -> ReceivedPackets:
        """Some of them, copied."""
        return ReceivedPackets(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class PlayoutFrames:
    """What each of the asked rows plays now, n of them.

    `status` uint8[n] of `FrameStatus`; where PLAYED, `slot` int32[n] names the payload for
    `JitterBufferBank.payload`, `length` int32[n] its octets, `payload_type` uint8[n] its type.
    Where a frame is lost and the one behind it is here already, they are that one's, which may have
    the lost sound once more; else `slot` is -1 and `length` 0.  `spliced` bool[n]: frames were
    skipped before it, so that it does not follow what was played last.
    """

    status: NDArray[np.uint8]
    slot: NDArray[np.int32]
    length: NDArray[np.int32]
    payload_type: NDArray[np.uint8]
    spliced: NDArray[np.bool_]
