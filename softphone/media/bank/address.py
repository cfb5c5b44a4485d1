"""Padded socket addresses as array rows, and the local and remote addresses of each stream.

A padded socket address has 32 octets: family, port in network order, then for IPv4 the address at
offset 4 and zeros, for IPv6 the flow label at 4 and the address at 8.
`softphone.net.datagrams.batched_udp` writes them.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank.batch import SOCKADDR_OCTETS
from softphone.sans_io import Address

Addresses = npt.NDArray[np.uint8]


def print_address(raw: bytes) -> Address:
    """Return host and port of one padded socket address."""
    port = int.from_bytes(raw[2:4], "big")
    if any(raw[8:24]):
        return str(IPv6Address(raw[8:24])), port
    return str(IPv4Address(raw[4:8])), port


def same_host(one: Addresses, other: Addresses) -> npt.NDArray[np.bool_]:
    """Compare two uint8[n, 32] row by row: bool[n], the same host."""
    same: npt.NDArray[np.bool_] = (one[:, 4:24] == other[:, 4:24]).all(axis=1)
    return same


def same_source(one: Addresses, other: Addresses) -> npt.NDArray[np.bool_]:
    """Compare two uint8[n, 32] row by row: bool[n], the same host and port."""
    left, right = one.view(np.uint64), other.view(np.uint64)
    same: npt.NDArray[np.bool_] = left[:, 0] == right[:, 0]
    same &= left[:, 1] == right[:, 1]
    same &= left[:, 2] == right[:, 2]
    return same


def is_same_source(one: Addresses, other: Addresses) -> bool:
    """Compare two uint8[32] as `same_source` does; for a single address, it takes a tenth of the
    calls."""
    return one[:24].tobytes() == other[:24].tobytes()


class AddressBank(ArrayGroup):
    """The addresses of `capacity` rows, padded.

    `remote` and `remote_rtcp` are the destinations of RTP and RTCP, `signaled` is the RTP address
    from signaling.  `rtp_port` and `rtcp_port` are the keys of our sockets.  `latched`: `remote` is
    the source of received media; `rtcp_latched`: the same of `remote_rtcp`.  `adopting`: another
    host than the signaled one may be adopted; `adopted`: `remote` is such a host.  `symmetric`:
    media follows its source (RFC 4961).  `mux`: RTCP uses the RTP port (RFC 5761).
    `softphone.media.tick.symmetric_rtp` decides when a row moves.
    """

    remote = column(np.uint8, SOCKADDR_OCTETS)
    remote_rtcp = column(np.uint8, SOCKADDR_OCTETS)
    signaled = column(np.uint8, SOCKADDR_OCTETS)
    rtp_port = column(np.int32, default=-1)
    rtcp_port = column(np.int32, default=-1)
    symmetric = column(np.bool_)
    mux = column(np.bool_)
    latched = column(np.bool_)
    rtcp_latched = column(np.bool_)
    adopting = column(np.bool_)
    adopted = column(np.bool_)

    def set_ports(self, row: int, rtp: int, rtcp: int) -> None:
        """Set the keys of the sockets of a row."""
        self.rtp_port[row], self.rtcp_port[row] = rtp, rtcp

    def rtcp_place(self, row: int) -> tuple[int, Addresses]:
        """Return the key of the socket that sends RTCP, and the destination, uint8[32]."""
        return int(self.rtcp_port[row]), self.remote_rtcp[row]

    def set_rules(self, row: int, *, symmetric: bool, mux: bool) -> None:
        """Set whether media is sent back to its source, and whether RTCP uses the RTP port."""
        self.symmetric[row], self.mux[row] = symmetric, mux

    def signal_remote(self, row: int, rtp: bytes, rtcp: bytes) -> None:
        """Send to the signaled addresses, and forget latched and adopted ones."""
        self.signaled[row] = self.remote[row] = np.frombuffer(rtp, dtype=np.uint8)
        self.remote_rtcp[row] = np.frombuffer(rtcp, dtype=np.uint8)
        self.latched[row] = self.rtcp_latched[row] = False
        self.adopted[row] = self.adopting[row] = False

    def allow_adoption(self, row: int, allowed: bool) -> None:
        """Set whether another host than the signaled one may be adopted."""
        self.adopting[row] = allowed

    def move_remote(self, row: int, address: Addresses, *, adopted: bool) -> None:
        """Latch RTP, and with `mux` RTCP, to the source `address` uint8[32]; `adopted` says whether
        that is another host than the signaled one."""
        self.remote[row] = address
        self.latched[row], self.rtcp_latched[row] = True, False
        self.adopted[row] = adopted
        if self.mux[row]:
            self.remote_rtcp[row] = address

    def move_rtcp(self, row: int, address: Addresses) -> None:
        """Latch RTCP to its source `address` uint8[32]."""
        self.remote_rtcp[row], self.rtcp_latched[row] = address, True
