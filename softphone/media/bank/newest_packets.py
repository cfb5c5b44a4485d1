"""The newest authenticated SRTP packet of each row's source; symmetric RTP follows newer ones only.

The state belongs to the receive contexts, and so to a key.  These arrays cache it for each row's
last SSRC, so that a batch of consecutive packets costs three array operations.

RFC 3711 sections 3.3.1 and 3.3.2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column, count_nonzero
from softphone.srtp import ReceiveContext

NONE = -1


class NewestPackets(ArrayGroup):
    """The newest packets of `capacity` rows; `contexts` maps rows to their receive contexts."""

    _ssrc = column(np.int64, default=NONE)
    _sequence = column(np.uint16)
    _marked = column(np.bool_)

    def __init__(self, capacity: int, contexts: Mapping[int, ReceiveContext]) -> None:
        super().__init__(capacity)
        self._contexts = contexts

    def note_packets(
        self,
        rows: NDArray[np.intp],
        ssrc: NDArray[np.uint32],
        sequence: NDArray[np.uint16],
        secure: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Note n packets in order; return a mask of those newer than all before of their SSRC.

        `secure` bool[n] marks the authenticated packets.  The result is False for the first packet
        of an SSRC under a key (see `ReceiveContext.note_rtp`), and for clear packets, whose age is
        not known.
        """
        newer: NDArray[np.bool_] = ssrc == self._ssrc[rows]
        newer &= sequence == self._sequence[rows] + np.uint16(1)
        if count_nonzero(newer) == newer.size:
            self._sequence[rows] = sequence
            return newer
        odd = rows[secure & ~newer]
        # All packets of these rows, since the result for each depends on those before it.
        self._marked[odd] = True
        one_by_one = self._marked[rows]
        self._marked[odd] = False
        steady = newer & ~one_by_one
        self._sequence[rows[steady]] = sequence[steady]
        for at in one_by_one.nonzero()[0].tolist():
            newer[at] = self._note(int(rows[at]), int(ssrc[at]), int(sequence[at]))
        return newer

    def _note(self, row: int, ssrc: int, sequence: int) -> bool:
        context = self._contexts[row]
        self.save_row(row)
        newer = context.note_rtp(ssrc, sequence)
        self._ssrc[row], self._sequence[row] = ssrc, context.newest[ssrc]
        return newer

    def save_row(self, row: int) -> None:
        """Write the cached state of `row` to its receive context, before that changes or closes."""
        ssrc = int(self._ssrc[row])
        if ssrc != NONE:
            self._contexts[row].newest[ssrc] = int(self._sequence[row])
            self._ssrc[row] = NONE
