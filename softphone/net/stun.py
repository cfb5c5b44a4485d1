"""STUN Binding: how a socket of ours is seen from outside (RFC 8489, without authentication).

`binding_request` and `parse_binding_response` are pure.  `find_mapping` asks one server from a
given socket.  An answer counts if it comes from the server and has the request's transaction id of
96 random bits; its address goes into session descriptions and decides nothing else.

RFC 8489 sections 5, 6.2.1, 6.3.3 and 14.2 (XOR-MAPPED-ADDRESS); RFC 5780 section 7.4
(OTHER-ADDRESS), to tell a NAT that maps each destination to another port.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from softphone.errors import TransportError, TransportTimeout
from softphone.net.stream import address_of
from softphone.sans_io import Address, Entropy

PORT: Final = 3478
COOKIE: Final = 0x2112A442
TRANSACTION: Final = 12
"""Octets of a transaction id."""
WAITS: Final = (0.5, 1.0, 2.0)
"""Seconds to wait after each sending: RTO and its doubles (RFC 8489 section 6.2.1), fewer of them,
since a caller waits."""

_HEADER = struct.Struct("!HHI12s")
_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111
_MAPPED, _ERROR_CODE, _XOR_MAPPED, _OTHER = 0x0001, 0x0009, 0x0020, 0x802C
_UNDERSTOOD = frozenset({_MAPPED, _ERROR_CODE, _XOR_MAPPED})
_LONGEST = 1500
_MOST_STRANGERS = 64
"""The most foreign datagrams accepted during one request; with more, the request fails."""


@dataclass(frozen=True, slots=True)
class BindingResponse:
    """An answer: our address as the server sees it, and another address of the server's.

    `mapped` is None where the server refused, for the reason `error`.
    """

    mapped: Address | None
    other: Address | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Mapping:
    """The address of a socket as seen from outside.

    `symmetric` is whether another port of the server saw another one; None: it could not be asked.
    """

    address: Address
    symmetric: bool | None = None


def binding_request(transaction: bytes) -> bytes:
    """Return a Binding request with this transaction id of 12 octets."""
    return _HEADER.pack(_REQUEST, 0, COOKIE, transaction)


def parse_binding_response(data: bytes, transaction: bytes) -> BindingResponse | None:
    """Parse the response to a request; None for anything else, which is to be ignored."""
    if not _HEADER.size <= len(data) <= _LONGEST:
        return None
    kind, length, cookie, found = _HEADER.unpack_from(data)
    if kind not in (_SUCCESS, _ERROR) or cookie != COOKIE or found != transaction:
        return None
    attributes = _attributes(data[_HEADER.size :], length)
    if attributes is None:
        return None
    if kind == _ERROR:
        return BindingResponse(None, error=_error_text(attributes.get(_ERROR_CODE, b"")))
    if any(each < 0x8000 and each not in _UNDERSTOOD for each in attributes):
        return BindingResponse(None, error="its response has attributes that are not understood")
    mask = COOKIE.to_bytes(4, "big") + transaction
    mapped = _address(attributes.get(_XOR_MAPPED, b""), mask)
    if mapped is None:
        return BindingResponse(None, error="its response has no address")
    return BindingResponse(mapped, _address(attributes.get(_OTHER, b""), bytes(16)))


def _attributes(body: bytes, length: int) -> dict[int, bytes] | None:
    """The first value of each attribute; None where lengths do not add up."""
    if length != len(body) or length % 4:
        return None
    found: dict[int, bytes] = {}
    at = 0
    while at < length:
        kind, size = struct.unpack_from("!HH", body, at)
        at += 4
        if at + size > length:
            return None
        found.setdefault(kind, body[at : at + size])
        at += size + -size % 4
    return found


def _address(value: bytes, mask: bytes) -> Address | None:
    """An address attribute, with each octet XORed by the mask (RFC 8489 sections 14.1 and 14.2)."""
    size = {1: 4, 2: 16}.get(value[1] if len(value) > 4 else 0)
    if size is None or len(value) != 4 + size:
        return None
    port = int.from_bytes(value[2:4], "big") ^ int.from_bytes(mask[:2], "big")
    octets = bytes(one ^ other for one, other in zip(value[4:], mask, strict=False))
    return (str(ipaddress.ip_address(octets)), port) if port else None


def _error_text(value: bytes) -> str:
    """An ERROR-CODE (RFC 8489 section 14.8) in words."""
    if len(value) < 4:
        return "it refused"
    code = (value[2] & 7) * 100 + value[3]
    reason = value[4:68].decode("utf-8", "replace")
    return f"{code} {''.join(each for each in reason if each.isprintable())}".strip()


async def find_mapping(
    sock: socket.socket, server: Address, *, entropy: Entropy, waits: Sequence[float] = WAITS
) -> Mapping:
    """Ask how `server` sees a non-blocking UDP socket; nothing else may read it meanwhile.

    Raises TransportTimeout when the server does not answer, TransportError when it refuses.
    """
    response = await _ask(sock, server, entropy, waits)
    if response.mapped is None:
        raise TransportError(f"the STUN server {server[0]} port {server[1]}: {response.error}")
    other = response.other
    # Only another port is asked: an answer that is not authenticated must not make us send to
    # another host.
    if other is None or other[0] != server[0] or other[1] == server[1]:
        return Mapping(response.mapped)
    try:
        again = await _ask(sock, other, entropy, waits[:1])
    except TransportError:
        return Mapping(response.mapped)
    return Mapping(
        response.mapped, None if again.mapped is None else again.mapped != response.mapped
    )


async def mapping_of_host(server: Address, source: str | None, *, entropy: Entropy) -> Mapping:
    """Ask how `server` sees this host, from a port of its own at `source`, or any address.

    Raises as `find_mapping` does.
    """
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((source or ("::" if family == socket.AF_INET6 else "0.0.0.0"), 0))
        return await find_mapping(sock, server, entropy=entropy)


async def _ask(
    sock: socket.socket, server: Address, entropy: Entropy, waits: Sequence[float]
) -> BindingResponse:
    loop = asyncio.get_running_loop()
    transaction = entropy(TRANSACTION)
    request = binding_request(transaction)
    strangers = 0
    for wait in waits:
        try:
            async with asyncio.timeout(wait):
                await loop.sock_sendto(sock, request, server)
                while strangers < _MOST_STRANGERS:
                    data, source = await loop.sock_recvfrom(sock, _LONGEST + 1)
                    if address_of(source) == server:
                        response = parse_binding_response(data, transaction)
                        if response is not None:
                            return response
                    strangers += 1
        except TimeoutError:
            continue
        except OSError as exc:
            raise TransportError(
                f"the STUN server {server[0]} port {server[1]} cannot be asked: {exc.strerror}"
            ) from exc
    raise TransportTimeout(f"the STUN server {server[0]} port {server[1]} did not answer")
