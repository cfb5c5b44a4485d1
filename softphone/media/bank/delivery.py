"""What sinks are given of each row: which codec plays, in a pause or not, and its media time."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank.sender import NO_TYPE

BEGUN: Final = 1
FILLED: Final = 2


class DeliveryBank(ArrayGroup):
    """The delivery of `capacity` rows.

    `playing_type` is the payload type that is decoded now; `pause_state` says of a pause of the far
    end's that it is to be filled (1), or filled already (2); media time begins at `opened_frame`;
    `security_generation` is what blocks are stamped with.
    """

    playing_type = column(np.uint8, default=NO_TYPE)
    pause_state = column(np.uint8)
    opened_frame = column(np.int64)
    security_generation = column(np.int64)

    def open_row(self, row: int, frame: int) -> None:
        """Count media time from a frame on."""
        self.opened_frame[row] = frame

    def set_generation(self, row: int, security_generation: int) -> None:
        """Stamp blocks with another security generation."""
        self.security_generation[row] = security_generation

    def set_playing_type(self, row: int, payload_type: int) -> None:
        """Set the payload type that is decoded."""
        self.playing_type[row] = payload_type

    def begin_pause(self, row: int) -> None:
        """Have noise played until there is sound."""
        self.pause_state[row] = max(self.pause_state[row], BEGUN)

    def fill_pauses(
        self, rows: npt.NDArray[np.intp], played: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which of `rows` are to be filled with noise, and where noise begins or ends, bool[k]
        each; where there is sound (`played` bool[k]), the pause is over."""
        pauses = self.pause_state[rows]
        filled = (pauses > 0) & ~played
        edge = filled & (pauses == BEGUN) | (pauses == FILLED) & played
        self.pause_state[rows[played]] = 0
        self.pause_state[rows[filled]] = FILLED
        return filled, edge
