from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

import pytest

from softphone.errors import TransportError
from softphone.net import LOOPBACK, Driver, DriverConfig, TransportLimits, source_of
from softphone.net.stream import bind_stream
from softphone.sans_io import Transport
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
    with suppress(ConnectionResetError):  # what it sent was never read
        assert await reader.read() == b""
    assert await silent_reader.read() == b""
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


async def test_one_address_does_not_take_the_room_of_the_others():
    theirs = Recorder()
    config = DriverConfig(limits=TransportLimits(connections_per_source=3))
    async with Driver(theirs, on_event=theirs.on_event, config=config) as far:
        address = await far.listen(Transport.TCP)
        writers = [(await asyncio.open_connection(*address))[1] for _ in range(3)]
        await until(lambda: len(theirs.seen(Up)) == 3)
        reader, fourth = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        fourth.close()
        assert "127.0.0.1 has 3 connections already" in str(far.refusals[-1][1])
        elsewhere = await asyncio.open_connection(*address, local_addr=("127.0.0.2", 0))
        await until(lambda: len(theirs.seen(Up)) == 4)
        writers.pop().close()
        await until(lambda: theirs.seen(Down))
        writers.append((await asyncio.open_connection(*address))[1])
        await until(lambda: len(theirs.seen(Up)) == 5)
        for writer in (*writers, elsewhere[1]):
            writer.close()


async def test_connections_that_fail_their_handshake_count_no_longer(tmp_path):
    theirs = Recorder()
    config = DriverConfig(limits=TransportLimits(connections_per_source=1))
    async with Driver(theirs, on_event=theirs.on_event, config=config) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server()))
        for number in range(3):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read()
            writer.close()
            await until(lambda wanted=number + 1: len(far.refusals) == wanted)
        assert not any("already" in str(error) for _, error in far.refusals)


async def test_a_trusted_crowd_waits_in_the_kernel_and_not_for_its_deadline(tmp_path):
    theirs = Recorder()
    limits = TransportLimits(handshakes=2, trusted_sources=LOOPBACK)
    async with Driver(theirs, on_event=theirs.on_event, config=DriverConfig(limits)) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server()))
        (listener,) = far._listeners
        silent = [await asyncio.open_connection(*address) for _ in range(10)]
        for gone, (_, writer) in enumerate(silent):
            accepted = min(4, len(silent) - gone)
            await until(lambda count=accepted: len(listener._guests) == count)
            writer.close()
            await until(lambda count=gone + 1: len(far.refusals) == count)
        assert not listener._guests
        assert "nothing" not in str(far.refusals)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_source_is_an_address_or_a_64(host, source):
    assert source_of(host) == source
