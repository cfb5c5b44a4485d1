"""Socket addresses in the form of the system calls: octets, in rows of one width.

IPv4 and IPv6 (RFC 791, RFC 4291); a zone is a number or the name of an interface (RFC 4007).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.sans_io import Address

SOCKADDR: Final = 32
"""Octets of a row for one socket address: sockaddr_in6 has 28, padded to whole words."""

TURNOVER: Final = 32_768
"""Look-ups in one generation of the address cache."""


def encode_address(address: Address) -> bytes:
    """The socket address of a numeric host and port, padded to SOCKADDR octets.

    Raises ValueError for a host that is not numeric.
    """
    host, port = address
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is out of range")
    try:
        if ":" in host:
            plain, _, zone = host.partition("%")
            scope = (
                (socket.if_nametoindex(zone) if not zone.isdigit() else int(zone)) if zone else 0
            )
            raw = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0)
            raw += socket.inet_pton(socket.AF_INET6, plain) + struct.pack("=I", scope)
        else:
            raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port)
            raw += socket.inet_pton(socket.AF_INET, host)
    except OSError as error:
        raise ValueError(f"{host[:64]!r} is not a numeric address") from error
    return raw.ljust(SOCKADDR, b"\0")


def decode_address(raw: bytes) -> Address:
    """The host and port of a padded socket address; ("", 0) for one that is neither v4 nor v6."""
    (family,) = struct.unpack_from("=H", raw)
    (port,) = struct.unpack_from("!H", raw, 2)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port
    return "", 0


class AddressCache:
    """A cache of decoded addresses.

    Calls come and go with ports of their own, so an address that is not looked up during a whole
    generation is dropped at the next one.
    """

    def __init__(self) -> None:
        self._now: dict[Hashable, Address] = {}
        self._before: dict[Hashable, Address] = {}
        self._asked = 0

    def __len__(self) -> int:
        return len(self._now) + len(self._before)

    def decoded(self, names: Sequence[Hashable], rows: npt.NDArray[np.uint8]) -> list[Address]:
        """The address of each of `rows` (uint8[n, SOCKADDR]), cached under its hashable name."""
        self._asked += len(names)
        if self._asked > TURNOVER:
            self._asked = 0
            self._before, self._now = self._now, {}
        known = self._now
        for row, name in enumerate(names):
            if name not in known:
                known[name] = self._before.get(name) or decode_address(rows[row].tobytes())
        return [known[name] for name in names]
