"""The relay carries bytes, holds them while frozen, and resets connections when cut."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
async def echo():
    async def serve(reader, writer):
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()


async def test_bytes_go_there_and_back(relay, echo):
    path = await relay(echo)
    reader, writer = await asyncio.open_connection(*path.address)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_a_frozen_path_holds_bytes_until_it_thaws(relay, echo):
    path = await relay(echo)
    reader, writer = await asyncio.open_connection(*path.address)
    path.freeze()
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(5), 0.2)
    path.thaw()
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_a_cut_resets_the_connection_and_a_new_one_works(relay, echo):
    path = await relay(echo)
    reader, writer = await asyncio.open_connection(*path.address)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    path.cut()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    reader, writer = await asyncio.open_connection(*path.address)
    writer.write(b"again")
    assert await reader.readexactly(5) == b"again"
    assert path.connections == 2
    writer.close()
