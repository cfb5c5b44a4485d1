"""Connections for protocols that are no machines: TLS, or what asks for it in clear before."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from softphone.errors import (
    CredentialsWithheld,
    IdentityMismatch,
    TransportError,
    TransportTimeout,
)
from softphone.net.http import RevocationFetcher
from softphone.net.limits import TransportLimits
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.sans_io import Target, Transport
from tests.support.certificates import HOST, raw_server_context, server, settings, tls_target
from tests.support.waiting import PATIENCE


class Owner:
    def __init__(self):
        self.data, self.came = b"", asyncio.Event()
        self.over = asyncio.Event()

    def bytes_received(self, flow, data):
        self.data += data
        self.came.set()

    def flow_ended(self, flow, error):
        self.over.set()

    def request_flush(self, connection):
        asyncio.get_running_loop().call_soon(connection.flush)


class Asking:
    """`TLS?`, and the answer has to be `yes`."""

    def __init__(self):
        self.ready_for_tls = False

    def first_bytes(self):
        return b"TLS?"

    def answer_bytes(self, data):
        if data != b"yes":
            raise TransportError("no TLS there")
        self.ready_for_tls = True
        return b""


def connector(tmp_path, **limits):
    config = ConnectorConfig(RevocationFetcher(), limits=TransportLimits(**limits))
    return Connector(settings(tmp_path, None), config)


async def greet(reader, writer):
    """An echo that speaks first, over the connection that it is given."""
    writer.write(b"hello")
    writer.write(await reader.read(5))
    await writer.drain()
    await reader.read()


@contextlib.asynccontextmanager
async def serving(handler, context=None):
    """A server; at the end every connection of it is closed."""
    writers = []

    async def handle(reader, writer):
        writers.append(writer)
        with contextlib.suppress(OSError):
            await handler(reader, writer)

    running = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield running.sockets[0].getsockname()
    finally:
        running.close()
        for writer in writers:
            writer.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def tls_server(tmp_path):
    context = raw_server_context(server().write(tmp_path, "server"))
    async with serving(greet, context) as address:
        yield address


async def test_a_verified_server_is_spoken_to(tmp_path, tls_server):
    owner = Owner()
    connection = await connector(tmp_path).open_connection(tls_target(tls_server), owner)
    assert HOST in str(connection.flow.identity.names)
    connection.write(b"12345")
    async with asyncio.timeout(PATIENCE):
        while len(owner.data) < 10:
            owner.came.clear()
            await owner.came.wait()
    assert owner.data == b"hello12345"
    connection.abort()
    await connection.finished


async def test_one_that_names_somebody_else_gets_nothing(tmp_path, tls_server):
    owner = Owner()
    with pytest.raises(IdentityMismatch):
        await connector(tmp_path).open_connection(tls_target(tls_server, "other.test"), owner)
    assert owner.data == b""


async def asked(tmp_path, answer):
    """What a server that is asked for TLS in clear hears, and what came of it."""
    context = raw_server_context(server().write(tmp_path, "server"))
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.read(4))
        if answer is None:
            writer.close()
            return
        writer.write(answer)
        if answer != b"yes":
            await reader.read()
        if answer == b"yes":
            await writer.start_tls(context)
            await greet(reader, writer)

    async with serving(serve) as address:
        target = tls_target(address)
        owner = Owner()
        try:
            connection = await connector(tmp_path, handshake_timeout=0.5).open_connection(
                target, owner, Asking
            )
            async with asyncio.timeout(PATIENCE):
                await owner.came.wait()
            connection.abort()
            await connection.finished
            return heard, owner.data
        except TransportError as exc:
            return heard, exc


async def test_tls_is_asked_for_in_clear_and_verified(tmp_path):
    heard, data = await asked(tmp_path, b"yes")
    assert heard == [b"TLS?"]
    assert data.startswith(b"hello")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"no", TransportError, "no TLS there"),
        (None, TransportError, "before TLS"),
        (b"", TransportTimeout, "not ready"),
    ],
)
async def test_there_is_no_way_on_without_it(tmp_path, answer, kind, words):
    heard, failure = await asked(tmp_path, answer)
    assert heard == [b"TLS?"]
    assert isinstance(failure, kind)
    assert words in str(failure)


async def test_nobody_there_is_told(tmp_path):
    with pytest.raises(TransportError):
        await connector(tmp_path).open_connection(
            Target(Transport.TLS, "127.0.0.1", 1, HOST), Owner()
        )


async def test_a_server_that_is_not_admitted_gets_nothing(tmp_path):
    """It has passed the gate; `admit` judges it before the owner can write."""
    judged, read, spoken = [], [], asyncio.Event()

    async def record(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                read.append(data)
                spoken.set()
        writer.close()

    def refuse(target, identity):
        judged.append((target.host, identity.verdict))
        raise CredentialsWithheld("nobody may have them")

    credential = server().write(tmp_path, "server")
    listening = await asyncio.start_server(
        record, "127.0.0.1", 0, ssl=raw_server_context(credential)
    )
    config = ConnectorConfig(RevocationFetcher(), admit=refuse)
    async with listening:
        target = tls_target(listening.sockets[0].getsockname())
        owner = Owner()
        with pytest.raises(CredentialsWithheld):
            await Connector(settings(tmp_path, None), config).open_connection(target, owner)
        # One that is admitted comes after it, and its octets are the first.
        connection = await connector(tmp_path).open_connection(target, Owner())
        connection.write(b"hello")
        await spoken.wait()
        connection.abort()
        await connection.finished
    assert judged == [("127.0.0.1", "chain")]
    assert read == [b"hello"]
    assert not owner.came.is_set()


async def test_a_connection_in_clear_is_never_admitted(tmp_path):
    listening = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    config = ConnectorConfig(RevocationFetcher(), admit=lambda target, identity: None)
    async with listening:
        place = listening.sockets[0].getsockname()
        with pytest.raises(TransportError, match="no certificate"):
            await Connector(settings(tmp_path, None), config).open_connection(
                Target(Transport.TCP, *place), Owner()
            )
