"""Adaptive jitter buffers of a whole bank of streams, as arrays with one row a stream.

Encoded payloads wait in a ring, so that only rows with a reader need to be decoded ("work on
demand").  The ring is addressed by RTP time, not by packet: packets of any ptime may come in, and
frames of one ptime go out.  Concealment of what is missing is `softphone.media.concealment`'s.

RFC 3550 sections 5.1 and 8.2; delays are in seconds unless named otherwise.  No clock in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrivals", "FrameStatus", "Frames", "PlayoutBank", "PlayoutConfig"]


class FrameStatus(IntEnum):
    """What a row plays in this frame."""

    SILENT = 0
    """Nothing to play: before the first packet, in a pause, or after a long loss."""
    PLAYED = 1
    """The payload in `Frames.slot`."""
    CONCEALED = 2
    """A frame is missing: repeat and fade."""


@dataclass(frozen=True, slots=True)
class PlayoutConfig:
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


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Valid RTP packets to be put into the rings, in order of arrival; n of them.

    `row` int32[n], `sequence` uint16[n], `timestamp` uint32[n], `ssrc` uint32[n], `payload_type`
    uint8[n]; the payload of packet i is data[i, offset[i] : offset[i] + length[i]] with `data`
    uint8[n, width], `offset` and `length` int32[n]; `arrival` float64[n] in seconds on the clock
    of `now`.
    """

    row: NDArray[np.int32]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    payload_type: NDArray[np.uint8]
    data: NDArray[np.uint8]
    offset: NDArray[np.int32]
    length: NDArray[np.int32]
    arrival: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frames:
    """What each of the asked rows plays now, n of them.

    `status` uint8[n] of `FrameStatus`; where PLAYED, `slot` int32[n] names the payload for
    `PlayoutBank.payload`, `length` int32[n] its octets, `payload_type` uint8[n] its type.
    """

    status: NDArray[np.uint8]
    slot: NDArray[np.int32]
    length: NDArray[np.int32]
    payload_type: NDArray[np.uint8]


class PlayoutBank:
    """The jitter buffers of `capacity` rows.

    Counters are int64[capacity], read-only to others: `played`, `concealed`, `late` (came after
    their time), `duplicates`, `resynchronized` (SSRC or timestamp jumps), `inserted` and `dropped`
    (frames, to move the delay).  `ssrc` uint32[capacity] is the source played now.
    """

    def __init__(self, capacity: int, config: PlayoutConfig | None = None) -> None:
        raise NotImplementedError

    def open(self, row: int, *, clock_rate_hz: int, frame_ticks: int, octets_per_tick: int) -> None:
        """Start a row afresh, counters included: frames of `frame_ticks` RTP clock ticks.

        `octets_per_tick` 0 means packets that cannot be cut, each one frame long (Opus).
        Raises ConfigurationError when a frame does not fit into a slot.
        """
        raise NotImplementedError

    def close(self, row: int) -> None:
        """Empty a row; packets for it are ignored until it is opened again."""
        raise NotImplementedError

    def insert(self, arrivals: Arrivals) -> None:
        """Put packets into the rings; what is late or double is counted and dropped."""
        raise NotImplementedError

    def get(self, rows: slice | NDArray[np.int32], *, now: float) -> Frames:
        """Advance each of `rows` by one frame, whose time is `now`; each row at most once."""
        raise NotImplementedError

    def payload(
        self, rows: NDArray[np.int32], slots: NDArray[np.int32], octets: int
    ) -> NDArray[np.uint8]:
        """Gather uint8[k, octets] of rows that `get` has just said to play, for decoding."""
        raise NotImplementedError

    def quiet(self, rows: NDArray[np.int32], level: NDArray[np.float32]) -> None:
        """Tell the energy (mean square) of the frames just decoded, so that the delay is changed
        in quiet moments; rows of which nothing is told change it at once."""
        raise NotImplementedError

    def playout_delay(self, rows: slice | NDArray[np.int32]) -> NDArray[np.float64]:
        """Seconds that a packet of least transit waits in the buffer, float64 a row."""
        raise NotImplementedError

    def target_delay(self, rows: slice | NDArray[np.int32]) -> NDArray[np.float64]:
        """Seconds that the buffer aims at, float64 a row."""
        raise NotImplementedError
