"""What httpcore runs on: a connection of ours that reads and writes ahead by little."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpcore
import pytest

from softphone.errors import TransportError
from softphone.net.http import RevocationFetcher
from softphone.net.http.backend import GatedNetwork, GatedStream
from softphone.net.limits import TransportLimits
from softphone.net.stream import (
    CertificateGate,
    Dialer,
    HandshakeSlots,
    TlsClient,
    system_addresses,
)
from softphone.sans_io import Flow, Target, Transport
from tests.support.certificates import raw_server_context, server, settings, tls_target
from tests.support.waiting import PATIENCE

FLOW = Flow(1, Transport.TLS, ("127.0.0.1", 1), ("127.0.0.1", 2))


def network(tmp_path, target):
    limits = TransportLimits()
    gate = CertificateGate(
        limits=limits,
        slots=HandshakeSlots(4, 4),
        wall=lambda: datetime.now(UTC),
        fetcher=RevocationFetcher(),
    )
    tls = TlsClient(gate, {"": settings(tmp_path, None)})
    dialer = Dialer(limits=limits, tls=tls, resolve=system_addresses)
    return GatedNetwork(dialer.open_connection, limits, target)


async def test_a_slow_reader_holds_the_writer_up_and_loses_nothing(tmp_path):
    size, read = 16 << 20, asyncio.Event()
    got = bytearray()

    async def slow(reader, writer):
        await read.wait()
        while data := await reader.read(1 << 16):
            got.extend(data)
        writer.close()

    context = raw_server_context(server().write(tmp_path, "web"))
    listening = await asyncio.start_server(slow, "127.0.0.1", 0, ssl=context, limit=1 << 14)
    async with listening:
        target = tls_target(listening.sockets[0].getsockname())
        wire = await network(tmp_path, target).connect_tcp("any", 1)
        data = bytes(range(256)) * (size // 256)
        writing = asyncio.create_task(wire.write(data))
        done, _ = await asyncio.wait((writing,), timeout=0.3)
        assert not done
        assert wire.connection.transport.get_write_buffer_size() < TransportLimits().write_buffer
        read.set()
        await asyncio.wait_for(writing, PATIENCE)
        wire.connection.close()
        await wire.connection.finished
        await asyncio.wait_for(_length(got, size), PATIENCE)
    assert bytes(got) == data


async def _length(got, size):
    while len(got) < size:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_far_end_that_goes_ends_the_writer(tmp_path):
    async def rude(reader, writer):
        await reader.read(100)
        writer.transport.abort()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as listening:
        target = Target(Transport.TCP, *listening.sockets[0].getsockname())
        wire = await network(tmp_path, target).connect_tcp("any", 1)
        with pytest.raises(httpcore.WriteError):
            await asyncio.wait_for(wire.write(b"x" * (8 << 20)), PATIENCE)
        with pytest.raises(httpcore.WriteError):
            await wire.write(b"x")


async def test_why_there_is_no_connection_is_kept_in_our_words(tmp_path, unused_tcp_port):
    own = network(tmp_path, Target(Transport.TCP, "127.0.0.1", unused_tcp_port))
    with pytest.raises(httpcore.ConnectError):
        await own.connect_tcp("any", 1)
    assert isinstance(own.failure, TransportError)


async def test_httpcore_makes_no_tls_of_its_own(tmp_path):
    async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as listening:
        target = Target(Transport.TCP, *listening.sockets[0].getsockname())
        wire = await network(tmp_path, target).connect_tcp("any", 1)
        with pytest.raises(httpcore.UnsupportedProtocol):
            await wire.start_tls(None)
        assert wire.get_extra_info("socket") is None
        await wire.aclose()


async def test_little_is_parsed_in_one_turn_of_the_loop():
    """Chunks of one octet, or responses of status 103, held every call up for half a second."""
    stream, turns, reading = GatedStream(), 0, True

    async def count():
        nonlocal turns
        while reading:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    for _ in range(4):
        stream.bytes_received(FLOW, b"1\r\na\r\n" * 5000)
    octets, largest = 0, 0
    while octets < 4 * 30_000:
        before = turns
        data = await stream.read(1 << 16)
        assert turns > before
        octets, largest = octets + len(data), max(largest, len(data))
    reading = False
    await counting
    assert largest == 4096
