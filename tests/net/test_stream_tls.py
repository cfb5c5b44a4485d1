"""Connections over asyncio's own TLS: what it keeps of them, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from contextlib import asynccontextmanager

import pytest

from softphone.net import TransportLimits
from softphone.net.stream import StreamConnection
from softphone.sans_io import Flow, Transport
from tests.support.certificates import raw_server_context
from tests.support.certificates import server as certificate
from tests.support.recorder import until

FLOW = Flow(1, Transport.TLS, ("127.0.0.1", 1), ("127.0.0.1", 2))


class Owner:
    def __init__(self):
        self.pieces = []
        self.endings = []

    def bytes_received(self, flow, data):
        self.pieces.append(data)

    def flow_ended(self, flow, error):
        self.endings.append(error)

    def request_flush(self, connection):
        connection.flush()


async def shaken(reader, writer, context):
    """A server's session by hand, so that its records can be spoiled; and what it wrote last."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(1 << 16))
        else:
            writer.write(outgoing.read())
            return session, outgoing


@asynccontextmanager
async def connected(tmp_path, speak):
    """A connection of a client's side to a server that speaks, until it is done, and its owner."""
    context = raw_server_context(certificate().write(tmp_path, "server"))
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def serve(reader, writer):
        try:
            await speak(writer, *await shaken(reader, writer, context))
            await reader.read(1 << 16)  # its farewell
        finally:
            writer.close()

    owner = Owner()
    connection = StreamConnection(owner, TransportLimits(), client=True)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await asyncio.get_running_loop().create_connection(
            lambda: connection, "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
        )
        connection.attach(FLOW)
        yield connection, owner
        connection.abort()
        await connection.finished


async def greet(writer, session, outgoing):
    session.write(b"welcome")
    writer.write(outgoing.read())


@pytest.mark.parametrize("first", [StreamConnection.close, StreamConnection.abort])
async def test_a_connection_that_is_closed_twice_ends_once(tmp_path, first):
    async with connected(tmp_path, greet) as (connection, owner):
        await until(lambda: owner.pieces)
        first(connection)
        connection.close()
        await until(lambda: owner.endings)
    assert connection.finished.done()
    assert owner.endings == [None]


async def test_what_came_before_a_spoiled_record_does_not_stay_in_the_room(tmp_path):
    async def spoil(writer, session, outgoing):
        session.write(b"a=crypto:1 ... inline:secret")
        good = outgoing.read()
        session.write(b"something else")
        spoiled = bytearray(outgoing.read())
        spoiled[-1] ^= 1
        writer.write(good + spoiled)

    async with connected(tmp_path, spoil) as (connection, owner):
        await until(lambda: owner.endings)
        assert not any(connection.get_buffer(-1))
    assert owner.pieces == []
    assert owner.endings[0] is not None


async def test_a_connection_that_is_over_is_in_no_ring(tmp_path):
    async with connected(tmp_path, greet) as (connection, owner):
        await until(lambda: owner.pieces)
        connection.close()
        await until(lambda: owner.endings)
    gone = weakref.ref(connection)
    gc.disable()
    try:
        del connection
        await until(lambda: gone() is None)
    finally:
        gc.enable()
