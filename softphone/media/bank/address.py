"""Socket addresses as rows of an array, read without a socket.

A padded socket address has 32 octets: family, port in network order, then for IPv4 the address at 4
and zeros, for IPv6 the flow label at 4 and the address at 8.  `softphone.net.datagrams.batched_udp`
writes them.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
import numpy.typing as npt

from softphone.sans_io import Address

__all__ = ["print_address", "same_host", "same_source", "with_port"]

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


def with_port(address: Addresses, port: int) -> Addresses:
    """A copy of one padded socket address, uint8[32], with another port."""
    changed = address.copy()
    changed[2:4] = port >> 8, port & 0xFF
    return changed
