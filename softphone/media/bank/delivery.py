"""The delivery state of each row: decoded payload type, pause, media time, security generation."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank.sender import NO_TYPE

BEGUN: Final = 1
FILLED: Final = 2


class DeliveryBank(ArrayGroup):
    """The delivery state of `capacity` rows.

    `playing_type` is the payload type decoded now.  `pause_state` is 0 outside a pause of the far
    end, 1 (BEGUN) before comfort noise has filled a frame, 2 (FILLED) after.  Media time starts at
    `opened_frame`.  `security_generation` is stamped on delivered blocks.
    """

    playing_type = column(np.uint8, default=NO_TYPE)
    pause_state = column(np.uint8)
    opened_frame = column(np.int64)
    security_generation = column(np.int64)

    def open_row(self, row: int, frame: int) -> None:
        """Start media time at `frame`."""
        self.opened_frame[row] = frame

    def set_generation(self, row: int, security_generation: int) -> None:
        """Set the security generation of the blocks delivered from now on."""
        self.security_generation[row] = security_generation

    def set_playing_type(self, row: int, payload_type: int) -> None:
        """Set the payload type decoded now."""
        self.playing_type[row] = payload_type

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
