"""The delivery state of each row: decoded payload type, pause, media time, security generation and
the far end's clock."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank.sender import NO_TYPE
from softphone.rtp import SenderClock

BEGUN: Final = 1
FILLED: Final = 2


class DeliveryBank(ArrayGroup):
    """The delivery state of `capacity` rows.

    `playing_type` is the payload type decoded now.  `pause_state` is 0 outside a pause of the far
    end, 1 (BEGUN) before comfort noise has filled a frame, 2 (FILLED) after.  Media time starts at
    `opened_frame`.  `security_generation` is stamped on delivered blocks.  At `clock_timestamp` of
    the source `clock_ssrc` (-1: unknown) the far end's own clock showed `clock_wall`, in seconds
    since 1970 (`SenderClock`).
    """

    playing_type = column(np.uint8, default=NO_TYPE)
    pause_state = column(np.uint8)
    opened_frame = column(np.int64)
    security_generation = column(np.int64)
    clock_ssrc = column(np.int64, default=-1)
    clock_timestamp = column(np.int64)
    clock_wall = column(np.float64)

    def open_row(self, row: int, frame: int) -> None:
        """Start media time at `frame`."""
        self.opened_frame[row] = frame

    def set_generation(self, row: int, security_generation: int) -> None:
        """Set the security generation of the blocks delivered from now on."""
        self.security_generation[row] = security_generation

    def set_playing_type(self, row: int, payload_type: int) -> None:
        """Set the payload type decoded now."""
        self.playing_type[row] = payload_type

    def set_clock(self, row: int, clock: SenderClock | None) -> None:
        """Note the far end's clock as an SR gave it; None: it is unknown."""
        self.clock_ssrc[row] = -1
        if clock is not None:
            self.clock_ssrc[row], self.clock_wall[row] = clock.ssrc, clock.wall
            self.clock_timestamp[row] = clock.rtp_timestamp

    def capture_times(
        self,
        rows: npt.NDArray[np.intp],
        ssrc: npt.NDArray[np.uint32],
        timestamp: npt.NDArray[np.int64],
        clock_rate_hz: int,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Return what the far ends' clocks showed at `timestamp` int64[k], and a mask of those
        that are known for the source `ssrc` uint32[k]."""
        ahead = (timestamp - self.clock_timestamp[rows] + (1 << 31)) % (1 << 32) - (1 << 31)
        known: npt.NDArray[np.bool_] = self.clock_ssrc[rows] == ssrc
        return self.clock_wall[rows] + ahead / clock_rate_hz, known

    def begin_pause(self, row: int) -> None:
        """Play comfort noise until there is sound."""
        self.pause_state[row] = max(self.pause_state[row], BEGUN)

    def fill_pauses(
        self, rows: npt.NDArray[np.intp], played: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return masks of the rows to fill with noise and of those where noise begins or ends,
        bool[k] each.  End the pause of rows with sound (`played` bool[k])."""
        pauses = self.pause_state[rows]
        filled = (pauses > 0) & ~played
        edge = filled & (pauses == BEGUN) | (pauses == FILLED) & played
        self.pause_state[rows[played]] = 0
        self.pause_state[rows[filled]] = FILLED
        return filled, edge
