"""Symmetric RTP (RFC 4961): which sources are accepted, and when media is sent back to them.

SRTP: a packet from any source is accepted if it authenticates.  The destination moves to its source
only if the packet is also newer than all authenticated ones of its SSRC.  The first packet of an
SSRC does not move it, nor does one that an attacker has delayed.  RTCP moves by the SRTCP index.

Clear RTP: only the signaled host is accepted.  Another port of it is followed once, until the next
`set_remote`.  Another host is accepted only if `clear_latching` allows to adopt it.

A stream on a shared socket is identified by its far end's address and never moves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.bank import (
    PacketBatch,
    StreamBank,
    StreamObjects,
    is_same_source,
    print_address,
    same_host,
    same_source,
)
from softphone.media.interface import LatchCause, RemoteLatched
from softphone.media.tick.rtp_headers import RtpHeaders


def accept_source(
    bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, *, now: float
) -> tuple[RtpHeaders, bool]:
    """Drop and count clear packets from a wrong source; return the rest, and whether any packet of
    the batch came from another address than its row's remote (then call `follow_source`)."""
    row, addresses = headers.row, bank.addresses
    address = packets.address[headers.at]
    same = same_source(address, addresses.remote.take(row, axis=0))
    if count_nonzero(same) == same.size:
        return headers, False
    # Before it has latched, a clear stream accepts any port of the signaled host; afterwards only
    # the latched port, unless that is on an adopted host.
    near = same_host(address, addresses.signaled.take(row, axis=0))
    near &= ~addresses.latched[row] | addresses.adopted[row]
    signaled = same | near
    keep = signaled | bank.receiver.secure[row]
    # Once the signaled host has sent media, none is adopted: not in the same batch either.
    spoken: set[int] = set()
    for at in addresses.adopting[row].nonzero()[0].tolist() if not keep.all() else ():
        if signaled[at]:
            spoken.add(int(row[at]))
        elif int(row[at]) not in spoken:
            keep[at] = _adopt(bank, packets, headers, at, now=now)
    if count_nonzero(keep) != keep.size:
        bank.receiver.count_wrong_source(row[~keep])
    return headers.select(keep), True


def _adopt(
    bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, at: int, *, now: float
) -> bool:
    """Return whether to accept a clear packet from another host than the signaled one; adopt its
    source once it qualifies."""
    row, stream = int(headers.row[at]), bank.streams[int(headers.row[at])]
    address = packets.address[headers.index[at]]
    if stream is None or stream.spec is None or stream.clear_latching is None:
        return False
    if bank.addresses.adopted[row]:
        return is_same_source(address, bank.addresses.remote[row])
    count = int(bank.receiver.packets_received[row])
    if stream.clear_latching.is_over(now=now, packets_received=count):
        stream.clear_latching = None
        bank.addresses.allow_adoption(row, False)
        return False
    payload_type = int(headers.payload_type[at])
    if not bank.receiver.receives[row] or payload_type not in stream.spec.received_codecs:
        return False
    source, ssrc = print_address(address.tobytes()), int(headers.ssrc[at])
    if not stream.clear_latching.note_packet(source, ssrc, int(headers.sequence[at])):
        return False
    bank.addresses.allow_adoption(row, False)
    _move(bank, stream, address, LatchCause.ADOPTED)
    return True


def _move(
    bank: StreamBank, stream: StreamObjects, address: npt.NDArray[np.uint8], cause: LatchCause
) -> None:
    row, addresses = stream.handle.row, bank.addresses
    # The signaled host takes precedence over an adopted one, and keeps it.
    keeps = cause is LatchCause.AUTHENTICATED and bool(addresses.adopted[row])
    addresses.move_remote(row, address, adopted=keeps or cause is LatchCause.ADOPTED)
    bank.invalidate_plan(row)
    bank.emit(RemoteLatched(stream.handle, print_address(address.tobytes()), cause))


def follow_source(
    bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, newer: npt.NDArray[np.bool_]
) -> None:
    """Move symmetric streams to the sources of these valid packets; under SRTP only for packets
    that are `newer` bool[n], from `NewestPackets.note_packets`."""
    row, addresses = headers.row, bank.addresses
    moved = ~same_source(packets.address[headers.at], addresses.remote.take(row, axis=0))
    moved &= addresses.symmetric[row]
    free = ~addresses.latched[row] | addresses.adopted[row]
    moved &= np.where(bank.receiver.secure[row], newer, free)
    if not count_nonzero(moved):
        return
    # All packets of these rows, because one may move the stream and the next move it back.
    for at in np.isin(row, row[moved]).nonzero()[0].tolist():
        if newer[at] or not bank.receiver.secure[row[at]]:
            _follow(bank, packets, headers, at)


def _follow(bank: StreamBank, packets: PacketBatch, headers: RtpHeaders, at: int) -> None:
    row, addresses = int(headers.row[at]), bank.addresses
    stream = bank.streams[row]
    address = packets.address[headers.index[at]]
    if stream is None or is_same_source(address, addresses.remote[row]):
        return
    cause = LatchCause.AUTHENTICATED
    if not bank.receiver.secure[row]:
        if addresses.latched[row] and not addresses.adopted[row]:
            return
        cause = LatchCause.RETURNED if addresses.adopted[row] else LatchCause.PORT
    _move(bank, stream, address, cause)


def accept_rtcp_source(
    bank: StreamBank, packets: PacketBatch, index: int, row: int, *, newer: bool
) -> bool:
    """Return whether to accept an RTCP datagram by its source; an SRTCP one is already
    authenticated.

    The RTCP destination of a symmetric stream moves by the rules of the module: in clear once, and
    only within the host that RTP goes to.  `newer` is the result of the receive context's
    `note_rtcp`.
    """
    address, addresses = packets.address[index], bank.addresses
    if is_same_source(address, addresses.remote_rtcp[row]):
        return True
    if bank.receiver.secure[row]:
        follows = newer
    elif same_host(address[None], addresses.remote[row][None])[0]:
        follows = not addresses.rtcp_latched[row]
    else:
        bank.receiver.count_wrong_source(row)
        return False
    if addresses.symmetric[row] and follows:
        addresses.move_rtcp(row, address)
    return True
