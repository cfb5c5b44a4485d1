"""Where valid media may come from, and whether ours follows it (symmetric RTP, RFC 4961).

Under SRTP authentication decides: a packet from anywhere may prove itself, and only one that did,
and that is newer than the last that moved the stream, moves it.  In clear the signaled host
decides: another host is never listened to, and another port of it is followed once, until the
next `set_remote`.  A stream on a shared socket is told by its far end's address and never follows.
"""

from __future__ import annotations

import numpy as np

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


def follow_source(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders) -> None:
    """Let symmetric streams follow these valid (under SRTP: authenticated) packets' sources."""
    row = headers.row
    moved = ~same_source(packets.address[headers.at], bank.remote.take(row, axis=0))
    moved &= bank.symmetric[row]
    if not np.count_nonzero(moved):
        return
    for at in np.flatnonzero(moved).tolist():
        _follow(bank, packets, headers, at)


def _follow(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, at: int) -> None:
    row, sequence = int(headers.row[at]), int(headers.sequence[at])
    stream = bank.streams[row]
    address = packets.address[headers.index[at]]
    if stream is None or (address == bank.remote[row]).all():
        return
    if bank.latched[row]:
        # A straggler of the old path, or a packet held back by an attacker, moves nothing.
        ahead = (sequence - int(bank.latch_sequence[row])) & 0xFFFF
        if not bank.secure[row] or not 0 < ahead < 0x8000:
            return
    bank.remote[row] = address
    bank.latched[row] = True
    bank.latch_sequence[row] = sequence
    bank.invalidate_plan(row)
    if bank.mux[row]:
        bank.remote_rtcp[row] = address
    bank.emit(RemoteLatched(stream.handle, print_address(address.tobytes())))


def accept_rtcp_source(bank: StreamBank, packets: PacketBatch, index: int, row: int) -> bool:
    """Whether a datagram of RTCP is from the far end; under SRTP it must have been authenticated.

    A symmetric stream's RTCP follows it, by the rules above.
    """
    address = packets.address[index][None]
    if same_source(address, bank.remote_rtcp[row][None])[0]:
        return True
    if not bank.secure[row] and not same_host(address, bank.signaled[row][None])[0]:
        bank.wrong_source[row] += 1
        return False
    if bank.symmetric[row]:
        bank.remote_rtcp[row] = address[0]
    return True
