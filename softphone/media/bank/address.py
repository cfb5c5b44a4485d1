"""Socket addresses as rows of an array, read without a socket, and the far end of each row.

A padded socket address has 32 octets: family, port in network order, then for IPv4 the address at 4
and zeros, for IPv6 the flow label at 4 and the address at 8.  `softphone.net.datagrams.batched_udp`
writes them.
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
    """Host and port of one padded socket address."""
    port = int.from_bytes(raw[2:4], "big")
    if any(raw[8:24]):
        return str(IPv6Address(raw[8:24])), port
    return str(IPv4Address(raw[4:8])), port


def same_host(one: Addresses, other: Addresses) -> npt.NDArray[np.bool_]:
    """Where uint8[n, 32] name the same host, bool[n]."""
    same: npt.NDArray[np.bool_] = (one[:, 4:24] == other[:, 4:24]).all(axis=1)
    return same


def same_source(one: Addresses, other: Addresses) -> npt.NDArray[np.bool_]:
    """Where uint8[n, 32] name the same host and port, bool[n]."""
    left, right = one.view(np.uint64), other.view(np.uint64)
    same: npt.NDArray[np.bool_] = left[:, 0] == right[:, 0]
    same &= left[:, 1] == right[:, 1]
    same &= left[:, 2] == right[:, 2]
    return same


class AddressBank(ArrayGroup):
    """Where the packets of `capacity` rows go and come from; addresses are padded.

    `remote` and `remote_rtcp` are where RTP and RTCP go, `signaled` where RTP was said to go;
    `rtp_port` and `rtcp_port` are the keys of our sockets.  `latched`: media has been followed to
    `remote`, RTCP where `rtcp_latched`.  `adopting`: another host than the signaled one may be
    followed, `adopted`: one was.  `mux`: RTCP goes with RTP (RFC 5761).  Who may move a row is
    `softphone.media.tick.symmetric_rtp`'s to say.
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
        """The key of the socket that RTCP leaves by, and where it goes, uint8[32]."""
        return int(self.rtcp_port[row]), self.remote_rtcp[row]

    def set_rules(self, row: int, *, symmetric: bool, mux: bool) -> None:
        """Set whether media is sent back to where it comes from, and RTCP goes with RTP."""
        self.symmetric[row], self.mux[row] = symmetric, mux

    def signal_remote(self, row: int, rtp: bytes, rtcp: bytes) -> None:
        """Send to where the far end says; every address is forgotten that media was followed to."""
        self.signaled[row] = self.remote[row] = np.frombuffer(rtp, dtype=np.uint8)
        self.remote_rtcp[row] = np.frombuffer(rtcp, dtype=np.uint8)
        self.latched[row] = self.rtcp_latched[row] = False
        self.adopted[row] = self.adopting[row] = False

    def allow_adoption(self, row: int, allowed: bool) -> None:
        """Say whether another host than the signaled one may be followed."""
        self.adopting[row] = allowed

    def move_remote(self, row: int, address: Addresses, *, adopted: bool) -> None:
        """Send media, and RTCP that goes with it, to an `address` uint8[32] that it came from; that
        of another host than the signaled one is `adopted`."""
        self.remote[row] = address
        self.latched[row], self.rtcp_latched[row] = True, False
        self.adopted[row] = adopted
        if self.mux[row]:
            self.remote_rtcp[row] = address

    def move_rtcp(self, row: int, address: Addresses) -> None:
        """Send RTCP to an `address` uint8[32] that it came from."""
        self.remote_rtcp[row], self.rtcp_latched[row] = address, True
