"""Waiting for a whole ClientHello before anything is spent on it (RFC 8446 sections 4.1.2, 5.1).

What has come is looked at and left in the kernel's buffer, where it costs us no slot, no TLS
session and no copy: the handshake reads it from there.  What is no ClientHello at all is whole at
once, so that the handshake can say so.
"""

from __future__ import annotations

import asyncio
import socket

from softphone.errors import TransportError, TransportTimeout

LARGEST_HELLO = 16 * 1024
"""Octets of a ClientHello; with tickets and keys of post-quantum groups they have 2 to 4 KiB."""
_MOST_RECORDS = 16
"""Records that one may be cut into, each of which costs another look at all of them."""
_RECORD, _HANDSHAKE = 5, 4  # octets of their headers
_HANDSHAKE_RECORD, _CLIENT_HELLO = 22, 1
_LOOK = LARGEST_HELLO + _HANDSHAKE + _MOST_RECORDS * _RECORD


def missing_octets(data: bytes) -> int:
    """How many octets at least are missing behind `data` to a whole ClientHello; 0: none.

    0, too, for what is none.  Raises TransportError for one that is larger, or cut into more
    records, than any client sends.
    """
    hello = b""
    at = records = 0
    while True:
        if len(data) - at < _RECORD:
            wrong = data[at : at + 1] not in (b"", bytes((_HANDSHAKE_RECORD,)))
            return 0 if wrong else _RECORD - (len(data) - at)
        length = int.from_bytes(data[at + 3 : at + _RECORD], "big")
        if data[at] != _HANDSHAKE_RECORD or not length:
            return 0
        at += _RECORD
        records += 1
        hello += data[at : at + min(length, LARGEST_HELLO)]
        if hello and hello[0] != _CLIENT_HELLO:
            return 0
        wanted = _HANDSHAKE
        if len(hello) >= _HANDSHAKE:
            wanted += int.from_bytes(hello[1:_HANDSHAKE], "big")
            if wanted > LARGEST_HELLO:
                raise TransportError(
                    f"a ClientHello of {wanted} octets; {LARGEST_HELLO} are the most"
                )
            if len(hello) >= wanted:
                return 0
        if len(data) - at < length:
            return min(length - (len(data) - at), wanted - len(hello))
        if records == _MOST_RECORDS:
            raise TransportError(f"a ClientHello in more than {_MOST_RECORDS} TLS records")
        at += length


async def whole_client_hello(sock: socket.socket, deadline: float) -> None:
    """Wait until a whole ClientHello is there to be read, by `deadline` of the loop's clock.

    Also returns when the far end has closed, or has sent what is no ClientHello.  Raises
    TransportTimeout and TransportError.
    """
    loop = asyncio.get_running_loop()
    come = wanted = 0
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                await _readable(sock, loop)
                data = sock.recv(_LOOK, socket.MSG_PEEK)
                if not data or (come and len(data) < come + wanted):
                    break  # woken for less than was asked for: the far end has closed
                come, wanted = len(data), missing_octets(data)
                if not wanted:
                    break
                # Otherwise we would be woken for what is there already, again and again.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, come + wanted)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    except TimeoutError as exc:
        sent = "half a ClientHello" if come else "nothing"
        raise TransportTimeout(f"connected and sent {sent}") from exc
    except OSError as exc:
        raise TransportError(f"was gone before its handshake: {exc}") from exc


async def _readable(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    ready = loop.create_future()
    loop.add_reader(sock, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(sock)
