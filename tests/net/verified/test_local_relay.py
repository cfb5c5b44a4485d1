"""A verified connection lent by a private socket: once, to this process, and to nobody else."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from softphone.errors import IdentityMismatch
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.net.verified.local_relay import LocalRelay
from tests.support.certificates import raw_server_context, server, settings, tls_target
from tests.support.waiting import PATIENCE


@asynccontextmanager
async def far_end(tmp_path, serve):
    context = raw_server_context(server().write(tmp_path, "far"))
    running: set[asyncio.Task] = set()

    def accepted(reader, writer):
        running.add(asyncio.ensure_future(serve(reader, writer)))

    async with await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()
        if running:
            await asyncio.wait(running, timeout=10.0)


async def echo(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def relay(tmp_path, address, name="pbx.example.test"):
    connector = Connector(settings(tmp_path, None), ConnectorConfig(RevocationFetcher()))
    return LocalRelay(lambda owner: connector.open_connection(tls_target(address, name), owner))


async def test_bytes_go_both_ways_whatever_their_number(tmp_path):
    data = bytes(range(256)) * 16_000  # four times what may wait
    async with far_end(tmp_path, echo) as address, relay(tmp_path, address) as lent:
        reader, writer = await asyncio.open_unix_connection(lent.path)
        writer.write(data)
        assert await asyncio.wait_for(reader.readexactly(len(data)), PATIENCE) == data
        writer.close()
        await writer.wait_closed()


async def test_the_socket_is_private_and_gone_after_one_connection(tmp_path):
    async with far_end(tmp_path, echo) as address, relay(tmp_path, address) as lent:
        assert stat.S_IMODE(lent.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(lent.path.parent.stat().st_mode) == 0o700
        reader, writer = await asyncio.open_unix_connection(lent.path)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        assert not lent.path.exists()
        assert not lent.path.parent.exists()
        with pytest.raises(OSError, match="o such file"):
            await asyncio.open_unix_connection(lent.path)
        writer.close()
        await writer.wait_closed()


async def test_another_process_gets_nothing(tmp_path):
    heard = []

    async def listening(reader, writer):
        heard.append(await reader.read(100))
        writer.close()

    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(b'stolen'); print(s.recv(100))"
    )
    async with far_end(tmp_path, listening) as address, relay(tmp_path, address) as lent:
        command = [sys.executable, "-c", program, str(lent.path)]
        ended = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert "stolen" not in ended.stdout
        await asyncio.wait((lent._task,), timeout=PATIENCE)
        assert "not for it" in str(lent.failure)
        assert not lent.path.exists()
    assert heard == [b""]


async def test_a_far_end_that_is_not_believed_is_lent_to_nobody(tmp_path):
    async with far_end(tmp_path, echo) as address:
        lent = relay(tmp_path, address, "other.example.test")
        with pytest.raises(IdentityMismatch):
            await lent.__aenter__()
        assert not lent.path.is_socket()


async def test_the_end_of_one_side_is_the_end_of_the_other(tmp_path):
    async def brief(reader, writer):
        writer.write(await reader.read(5))
        writer.close()
        await writer.wait_closed()

    async with far_end(tmp_path, brief) as address, relay(tmp_path, address) as lent:
        reader, writer = await asyncio.open_unix_connection(lent.path)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b"hello"
        writer.close()
        await writer.wait_closed()


async def test_it_is_over_when_the_library_has_gone_and_its_socket_has_the_name_it_was_given(
    tmp_path,
):
    async with far_end(tmp_path, echo) as address:
        connector = Connector(settings(tmp_path, None), ConnectorConfig(RevocationFetcher()))
        target = tls_target(address)
        async with LocalRelay(
            lambda owner: connector.open_connection(target, owner), ".s.PGSQL.1"
        ) as lent:
            assert lent.path.name == ".s.PGSQL.1"
            over = asyncio.ensure_future(lent.wait_until_ended())
            reader, writer = await asyncio.open_unix_connection(lent.path)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            assert not over.done()
            writer.close()
            await asyncio.wait_for(over, PATIENCE)


async def test_what_nobody_came_for_is_tidied_up(tmp_path):
    async with far_end(tmp_path, echo) as address:
        async with relay(tmp_path, address) as lent:
            folder = lent.path.parent
            assert folder.exists()
        assert not folder.exists()
