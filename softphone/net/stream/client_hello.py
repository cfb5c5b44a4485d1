"""Waits for a whole ClientHello before the handshake gets a slot (RFC 8446 4.1.2, 5.1).

The bytes are peeked at and stay in the kernel's buffer, where they cost no slot, no TLS session and
no copy; the handshake reads them from there.  Bytes that are no ClientHello count as whole at once,
so that the handshake can report them.
"""

from __future__ import annotations

import asyncio
import socket

from softphone.errors import TransportError, TransportTimeout

LARGEST_HELLO = 16 * 1024
"""The largest ClientHello, in octets; with tickets and post-quantum keys one has 2 to 4 KiB."""
_MOST_RECORDS = 16
"""Records that a ClientHello may be split into; each one costs another look at all of them."""
_RECORD, _HANDSHAKE = 5, 4  # octets of their headers
_HANDSHAKE_RECORD, _CLIENT_HELLO = 22, 1
_POLL = 0.02
"""Seconds between two looks at a socket that the loop or the system cannot watch."""
_LOOK = LARGEST_HELLO + _HANDSHAKE + _MOST_RECORDS * _RECORD


def missing_octets(data: bytes) -> int:
    """The least number of octets missing from a ClientHello in `data`; 0 when it is whole.

    Also 0 for bytes that are no ClientHello.  Raises TransportError for one that is larger, or
    split into more records, than any client sends.
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
    """Wait until a whole ClientHello can be read, until `deadline` on the loop's clock.

    Also returns when the far end has closed, or has sent something else.  Raises TransportTimeout
    and TransportError.
    """
    loop = asyncio.get_running_loop()
    come = wanted = 0
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                await _readable(sock, loop)
                try:
                    data = sock.recv(_LOOK, socket.MSG_PEEK)
                except BlockingIOError:
                    continue
                if not data or (come and len(data) < come + wanted):
                    break  # woken for less than was asked for: the far end has closed
                come, wanted = len(data), missing_octets(data)
                if not wanted:
                    break
                # Otherwise the bytes already there would wake us again and again.
                await _wake_for(sock, come + wanted)
        await _wake_for(sock, 1)
    except TimeoutError as exc:
        sent = "half a ClientHello" if come else "nothing"
        raise TransportTimeout(f"connected and sent {sent}") from exc
    except OSError as exc:
        raise TransportError(f"was gone before its handshake: {exc}") from exc


async def _wake_for(sock: socket.socket, octets: int) -> None:
    """Have the socket count as readable from so many octets on; wait where the system cannot."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)
    except OSError:
        await asyncio.sleep(_POLL)


async def _readable(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    ready = loop.create_future()
    try:
        loop.add_reader(sock, lambda: None if ready.done() else ready.set_result(None))
    except NotImplementedError:
        # Windows' own loop has none: look now and then.
        return await asyncio.sleep(_POLL)
    try:
        await ready
    finally:
        loop.remove_reader(sock)
