"""The input, output and configuration of the jitter buffers: packets and frames as arrays."""

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
    """What a row plays in a frame."""

    SILENT = 0
    """Nothing to play: before the first packet, in a pause, or after a long loss."""
    PLAYED = 1
    """The payload in `PlayoutFrames.slot`."""
    CONCEALED = 2
    """The frame is missing and is to be concealed."""


SILENT, PLAYED, CONCEALED = (np.uint8(status) for status in FrameStatus)
"""The statuses as uint8, because NumPy operations on enum members are slow."""


@dataclass(frozen=True, slots=True)
class JitterBufferConfig:
    """The configuration of all jitter buffers of a bank.

    The ring of a row holds `slots` frames (a power of two, 8 at least) of `slot_octets` octets.
    The target delay is the `percentile` of recent transit variation, from `minimum_delay` (None:
    one frame) to `maximum_delay` (1 at most), in seconds.  Raises ConfigurationError for values
    out of range.
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
    """n valid RTP packets to insert into the jitter buffers, in order of arrival.

    `row` intp[n], `sequence` uint16[n], `timestamp` uint32[n], `ssrc` uint32[n], `payload_type`
    uint8[n]; the payload of packet i is data[i, offset[i] : offset[i] + length[i]] with `data`
    uint8[n, width], `offset` and `length` int32[n]; `arrival` float64[n] in seconds on the clock
    of `now`.  A packet of length 0 (no sound, for example a telephone-event) only counts in the
    sequence.
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
        """Return the packets at the indices `chosen`, copied."""
        return ReceivedPackets(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class PlayoutFrames:
    """The frames that n rows play now.

    `status` uint8[n] is the `FrameStatus`.  Where it is PLAYED, `slot` int32[n] is the payload's
    slot for `JitterBufferBank.payload`, `length` int32[n] its octets, `payload_type` uint8[n] its
    type.  Where a frame is lost and the one after it is in the ring, they are those of that frame,
    which may carry the lost sound (forward error correction); else `slot` is -1 and `length` 0.
    `spliced` bool[n]: frames were skipped, so the frame does not follow the last one played.
    """

    status: NDArray[np.uint8]
    slot: NDArray[np.int32]
    length: NDArray[np.int32]
    payload_type: NDArray[np.uint8]
    spliced: NDArray[np.bool_]
