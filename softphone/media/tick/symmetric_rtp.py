"""Where valid media may come from, and whether ours follows it (symmetric RTP, RFC 4961).

Under SRTP authentication decides: a packet from anywhere may prove itself, and only one that did,
and that is newer than all that were authenticated of its SSRC, moves the stream: not the first of
an SSRC, and none that somebody has held back.  RTCP moves by its own index.  In clear the signaled
host decides: another host is never listened to, and another port of it is followed once, until the
next `set_remote`.  A stream on a shared socket is told by its far end's address and never follows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softphone.media.bank import PacketBatch, StreamBank, print_address, same_host, same_source
from softphone.media.interface import RemoteLatched
from softphone.media.tick.rtp_headers import RtpHeaders

__all__ = ["accept_rtcp_source", "accept_source", "follow_source"]


def accept_source(
    bank: StreamBank, packets: PacketBatch, headers: RtpHeaders
) -> tuple[RtpHeaders, bool]:
    """Drop, and count, what comes in clear from elsewhere than its stream's far end; whether there
    is anything from elsewhere, which `follow_source` is to be asked about."""
    row = headers.row
    address = packets.address[headers.at]
    same = same_source(address, bank.remote.take(row, axis=0))
    if np.count_nonzero(same) == same.size:
        return headers, False
    # Before it has latched, a clear stream may hear any port of the signaled host; afterwards
    # only the port that it has latched to.
    near = same_host(address, bank.signaled.take(row, axis=0)) & ~bank.latched[row]
    keep = same | near | bank.secure[row]
    if np.count_nonzero(keep) != keep.size:
        np.add.at(bank.wrong_source, row[~keep], 1)
    return headers.select(keep), True


def follow_source(
    bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, newer: npt.NDArray[np.bool_]
) -> None:
    """Let symmetric streams follow these valid packets' sources: under SRTP those of `newer`
    bool[n], as `NewestPackets` has it."""
    row = headers.row
    moved = ~same_source(packets.address[headers.at], bank.remote.take(row, axis=0))
    moved &= bank.symmetric[row]
    moved &= np.where(bank.secure[row], newer, ~bank.latched[row])
    if not np.count_nonzero(moved):
        return
    # Whole rows: one packet may move the stream, and the next move it back.
    for at in np.flatnonzero(np.isin(row, row[moved])).tolist():
        if newer[at] or not bank.secure[row[at]]:
            _follow(bank, packets, headers, at)


def _follow(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, at: int) -> None:
    row = int(headers.row[at])
    stream = bank.streams[row]
    address = packets.address[headers.index[at]]
    if stream is None or (bank.latched[row] and not bank.secure[row]):
        return
    if (address == bank.remote[row]).all():
        return
    bank.remote[row] = address
    bank.latched[row] = True
    bank.invalidate_plan(row)
    if bank.mux[row]:
        bank.remote_rtcp[row] = address
    bank.emit(RemoteLatched(stream.handle, print_address(address.tobytes())))


def accept_rtcp_source(
    bank: StreamBank, packets: PacketBatch, index: int, row: int, *, newer: bool
) -> bool:
    """Whether a datagram of RTCP is from the far end; under SRTP it must have been authenticated.

    A symmetric stream's RTCP follows it, by the rules above; `newer` is what the receive context's
    `note_rtcp` says of it.
    """
    address = packets.address[index][None]
    if same_source(address, bank.remote_rtcp[row][None])[0]:
        return True
    if not bank.secure[row] and not same_host(address, bank.signaled[row][None])[0]:
        bank.wrong_source[row] += 1
        return False
    if bank.symmetric[row] and (newer or not bank.secure[row]):
        bank.remote_rtcp[row] = address[0]
    return True
