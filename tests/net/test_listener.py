from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from softphone.errors import TransportError
from softphone.machine import Transport
from softphone.net import Driver
from softphone.net.listener import bind_stream
from tests.support.certificates import server, settings
from tests.support.recorder import Down, Recorder, Up, until


async def test_closing_gives_up_handshakes_that_are_under_way(tmp_path):
    theirs = Recorder()
    async with Driver(theirs, on_event=theirs.on_event) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server()))
        reader, writer = await asyncio.open_connection(*address)
        silent_reader, silent_writer = await asyncio.open_connection(*address)
        writer.write(b"\x16\x03\x01\x02\x00\x01")
        await asyncio.sleep(0.02)
    for each in (reader, silent_reader):
        assert await each.read() == b""
    for each in (writer, silent_writer):
        each.close()
    assert theirs.log == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_running_out_of_descriptors_is_survived(monkeypatch, caplog):
    theirs = Recorder()
    loop = asyncio.get_running_loop()
    accept = loop.sock_accept
    failures = [OSError(24, "Too many open files")]

    async def failing(sock):
        if failures:
            raise failures.pop()
        return await accept(sock)

    monkeypatch.setattr(loop, "sock_accept", failing)
    async with Driver(theirs, on_event=theirs.on_event) as far:
        address = await far.listen(Transport.TCP)
        _, writer = await asyncio.open_connection(*address)
        await until(lambda: theirs.seen(Up))
        writer.close()
        await until(lambda: theirs.seen(Down))
    assert "Too many open files" in caplog.text


async def test_a_listener_on_ipv6_has_flows_of_its_kind():
    theirs = Recorder()
    async with Driver(theirs, on_event=theirs.on_event) as far:
        try:
            address = await far.listen(Transport.TCP, "::1")
        except TransportError:
            pytest.skip("this machine has no IPv6")
        _, writer = await asyncio.open_connection(*address)
        await until(lambda: theirs.seen(Up))
        assert theirs.seen(Up)[0].flow.local == address
        writer.close()


def test_an_address_that_is_not_ours_is_an_error():
    with pytest.raises(TransportError, match=r"192\.0\.2\.1 port 0 cannot be bound"):
        bind_stream(("192.0.2.1", 0))


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_clients_that_reset_at_once_leave_nothing_behind(transport, tmp_path):
    theirs = Recorder()
    tls = settings(tmp_path, server()) if transport is Transport.TLS else None
    async with Driver(theirs, on_event=theirs.on_event) as far:
        address = await far.listen(transport, tls=tls)
        for _ in range(10):
            with socket.create_connection(address) as hasty:
                hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: len(theirs.seen(Down)) + len(far.refusals) == 10)
        assert far.flows == ()
    assert asyncio.all_tasks() == {asyncio.current_task()}
