"""The libsrtp sessions of each row, for the kernel.

A session belongs to an SRTP context, which stays its owner: it is noted when the context comes into
force, and forgotten before the context is closed.
"""

from __future__ import annotations

import numpy as np

from softphone.media.arrays import ArrayGroup, column
from softphone.srtp import ReceiveContext, SendContext, session_address


class SrtpSessions(ArrayGroup):
    """The sessions of `capacity` rows by address; 0 where the backend has none.

    `receive_trailer` is the number of octets by which an SRTP packet is longer than its RTP.
    `unheard`: no packet has come under the receive context, and none is expected to continue what
    came under another.  It is not cleared by RTP, which `NewestPackets` notes.
    """

    send = column(np.uintp)
    receive = column(np.uintp)
    receive_trailer = column(np.int32)
    unheard = column(np.bool_)

    def note_contexts(
        self, row: int, sending: SendContext | None, receiving: ReceiveContext | None
    ) -> None:
        """Note the contexts in force of a row; None is clear."""
        self.send[row] = 0 if sending is None else session_address(sending.handle)
        self.receive[row] = 0 if receiving is None else session_address(receiving.handle)
        self.receive_trailer[row] = 0 if receiving is None else receiving.suite.rtp_tag_length
        self.unheard[row] = receiving is not None and receiving.unheard

    def note_heard(self, row: int, receiving: ReceiveContext) -> None:
        """Note whether anything came under the receive context, after SRTCP has come."""
        self.unheard[row] = receiving.unheard
