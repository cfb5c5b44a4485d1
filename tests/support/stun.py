"""STUN messages (RFC 8489), as a server of the tests sends them."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

from softphone.net.stun import COOKIE


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def response(transaction: bytes, *attributes: bytes, kind: int = 0x0101) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI12s", kind, len(body), COOKIE, transaction) + body


def mapped(host: str, port: int) -> bytes:
    octets = bytes(a ^ b for a, b in zip(socket.inet_aton(host), b"\x21\x12\xa4\x42", strict=True))
    return attribute(0x0020, struct.pack("!BBH", 0, 1, port ^ 0x2112) + octets)


def other(host: str, port: int) -> bytes:
    return attribute(0x802C, struct.pack("!BBH", 0, 1, port) + socket.inet_aton(host))


class StunServer(asyncio.DatagramProtocol):
    """Sees everybody at 127.0.0.1 and 1000 ports higher, as a NAT might show them."""

    def __init__(self) -> None:
        self.sources: list[tuple[str, int]] = []
        self.silent = False
        self.asked = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls):
        """A server on loopback; `name` is its `advertised`."""
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        server.name = f"auto:localhost:{transport.get_extra_info('sockname')[1]}"
        try:
            yield server
        finally:
            transport.close()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.sources.append(addr)
        self.asked.set()
        if not self.silent:
            seen = mapped("127.0.0.1", addr[1] + 1000)
            self.transport.sendto(response(data[8:20], seen), addr)
