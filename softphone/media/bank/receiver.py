"""The receive state of each row: source, payload types, counters, and time of the last packet.

RFC 3550 sections 5.1, 8.2 and A.1.  Loss and jitter are in `softphone.media.bank.reception`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank.sender import NO_TYPE
from softphone.media.interface import StreamSpec

Rows: TypeAlias = npt.NDArray[np.intp]


class ReceiverBank(ArrayGroup):
    """The receive state of `capacity` rows.

    The order of the first four counters is that of their columns in statistics.  `active` rows are
    open; `secure` rows use SRTP; the direction of `receives` rows receives.  `receive_type` is the
    payload type of arriving sound; the one decoded may still be another
    (`DeliveryBank.playing_type`).  `heard`: a source has been accepted, and `remote_ssrc` is its
    SSRC.  `last_received` is in monotonic seconds; a row that receives may be silent for
    `patience` seconds, 0 without limit.
    """

    packets_received = column(np.int64)
    octets_received = column(np.int64)
    malformed = column(np.int64)
    wrong_source = column(np.int64)
    unknown_type = column(np.int64)
    looped = column(np.int64)
    active = column(np.bool_)
    secure = column(np.bool_)
    receives = column(np.bool_)
    heard = column(np.bool_)
    timed_out = column(np.bool_)
    receive_type = column(np.uint8, default=NO_TYPE)
    receive_event = column(np.uint8, default=NO_TYPE)
    remote_ssrc = column(np.uint32)
    probation_ssrc = column(np.uint32)
    probation_sequence = column(np.int32, default=-1)
    last_received = column(np.float64)
    patience = column(np.float64)

    def activate_row(self, row: int) -> None:
        """Accept packets for a row."""
        self.active[row] = True

    def close_row(self, row: int) -> None:
        """Accept no more packets for a row."""
        self.active[row] = self.receives[row] = False

    def set_types(self, row: int, spec: StreamSpec) -> None:
        """Set whether a row uses SRTP, and its payload type of telephone-events."""
        self.secure[row] = spec.secure
        event = spec.receive_telephone_event
        event = spec.telephone_event if event is None else event
        self.receive_event[row] = NO_TYPE if event is None else event

    def set_type(self, row: int, payload_type: int) -> None:
        """Set the payload type of arriving sound."""
        self.receive_type[row] = payload_type

    def set_flow(self, row: int, receives: bool, *, now: float) -> None:
        """Set whether a row receives; when it starts to, restart its timeout."""
        if receives and not self.receives[row]:
            self.note_alive(row, now)
        self.receives[row] = receives

    def note_alive(self, row: int, now: float) -> None:
        """Restart the timeout of a row at `now`."""
        self.last_received[row] = now
        self.timed_out[row] = False

    def expect_packets(self, row: int, patience: float, *, now: float) -> None:
        """Set how long a row may be silent, in seconds (0: without limit), counted from `now`."""
        self.patience[row] = patience
        self.note_alive(row, now)

    def note_timeout(self, row: int) -> None:
        """Note that the timeout of a row has been reported."""
        self.timed_out[row] = True

    def account(self, rows: Rows, length: npt.NDArray[np.int32], *, now: float) -> None:
        """Count valid packets of `length` octets each; a row may occur more than once."""
        # Of the column's own type, what is added needs no buffer of 8 kB for its conversion.
        np.add.at(self.packets_received, rows, np.int64(1))
        np.add.at(self.octets_received, rows, length.astype(np.int64))
        self.last_received[rows] = now
        self.timed_out[rows] = False

    def count_malformed(self, rows: int | Rows, count: int = 1) -> None:
        """Count malformed packets; a row may occur more than once."""
        np.add.at(self.malformed, rows, count)

    def count_wrong_source(self, rows: int | Rows) -> None:
        """Count clear packets from another source than the far end."""
        np.add.at(self.wrong_source, rows, 1)

    def count_unknown_type(self, row: int) -> None:
        """Count a packet with a payload type that was not agreed."""
        self.unknown_type[row] += 1

    def count_looped(self, row: int) -> None:
        """Count a packet with our own SSRC."""
        self.looped[row] += 1

    def prove_source(self, row: int, ssrc: int, sequence: int) -> bool:
        """Return whether a new source passes probation: whether its packet follows the one noted
        by the last call (RFC 3550 A.1).  Note this packet for the next call."""
        proven = (
            ssrc == int(self.probation_ssrc[row])
            and sequence == (int(self.probation_sequence[row]) + 1) & 0xFFFF
        )
        self.probation_ssrc[row] = ssrc
        self.probation_sequence[row] = sequence
        return proven

    def hear_source(self, row: int, ssrc: int) -> None:
        """Accept `ssrc` as the source of a row from now on."""
        self.remote_ssrc[row] = ssrc
        self.heard[row] = True
