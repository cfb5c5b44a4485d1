"""Slow, silent, noisy and greedy peers: each is bounded in time and memory."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from softphone.errors import TransportError, TransportTimeout
from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Target, Transport
from tests.support.certificates import alice, server, settings, tls_target
from tests.support.recorder import Down, Got, Recorder, Up, client_driver, until
from tests.support.waiting import PATIENCE

GARBAGE = b"OPTIONS sip:x SIP/2.0\r\n\r\n" * 20


def listening(recorder, **limits) -> Driver:
    return Driver(
        recorder, on_event=recorder.on_event, config=DriverConfig(TransportLimits(**limits))
    )


async def test_clear_text_on_a_tls_port_is_refused_and_not_answered(tmp_path):
    theirs = Recorder()
    async with listening(theirs) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server()))
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GARBAGE)
        try:
            answer = await reader.read(4096)
        except ConnectionError:
            answer = b""
        assert b"SIP" not in answer
        writer.close()
        await until(lambda: far.refusals)
        assert "no TLS" in str(far.refusals[0][1])
    assert theirs.log == []


async def test_a_server_that_speaks_no_tls_is_told_as_such(tmp_path):
    async def answer(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(1)
        writer.close()

    plain = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with plain, client_driver(Recorder(), settings(tmp_path, None)) as near:
        with pytest.raises(TransportError, match="is that a port for TLS"):
            await near.open_flow(tls_target(plain.sockets[0].getsockname()))


async def test_a_client_that_never_starts_its_handshake_is_cut_off(tmp_path):
    theirs = Recorder()
    async with listening(theirs, handshake_timeout=0.1) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server()))
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()
        assert "sent nothing" in str(far.refusals[0][1])


async def test_a_client_that_stops_within_its_handshake_is_cut_off(tmp_path):
    theirs = Recorder()
    async with listening(theirs, handshake_timeout=0.1) as far:
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server()))
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"\x16\x03\x01\x02\x00\x01")  # the head of a ClientHello
        with suppress(ConnectionResetError):  # what it sent was never read
            assert await reader.read() == b""
        writer.close()
        await until(lambda: far.refusals)
        assert isinstance(far.refusals[0][1], TransportTimeout)


async def test_a_server_that_never_ends_its_handshake_is_given_up(tmp_path):
    async def swallow(reader, writer):
        while await reader.read(4096):
            pass
        writer.close()

    limits = TransportLimits(handshake_timeout=0.1)
    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with silent, client_driver(Recorder(), settings(tmp_path, None), limits=limits) as near:
        with pytest.raises(TransportTimeout, match=r"longer than 0\.1 s"):
            await near.open_flow(tls_target(silent.sockets[0].getsockname()))


async def test_slow_clients_do_not_keep_a_quick_one_out(tmp_path):
    ours, theirs = Recorder(), Recorder()
    async with (
        listening(theirs, handshakes=2, handshake_timeout=5.0) as far,
        client_driver(ours, settings(tmp_path, alice(), "alice")) as near,
    ):
        address = await far.listen(Transport.TLS, tls=settings(tmp_path, server(), "server"))
        slow = [await asyncio.open_connection(*address) for _ in range(4)]
        for _, writer in slow:
            writer.write(b"\x16\x03\x01\x02\x00\x01")
        async with asyncio.timeout(PATIENCE):
            await near.open_flow(tls_target(address))
        for _, writer in slow:
            writer.close()


async def test_a_client_that_connects_and_says_nothing_is_cut_off():
    theirs = Recorder()
    async with listening(theirs, first_byte_timeout=0.05) as far:
        address = await far.listen(Transport.TCP)
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()
        await until(lambda: theirs.seen(Down))
        assert theirs.seen(Down)[0].reason == "the far end connected and said nothing"


async def test_a_flood_of_connections_is_let_in_at_our_own_rate():
    theirs = Recorder()
    async with listening(theirs, accept_rate=1.0, accept_burst=5) as far:
        address = await far.listen(Transport.TCP)
        flood = [await asyncio.open_connection(*address) for _ in range(40)]
        await until(lambda: len(theirs.seen(Up)) >= 5)
        assert len(theirs.seen(Up)) < 20
        for _, writer in flood:
            writer.close()


async def test_no_more_than_the_allowed_connections_are_held():
    theirs = Recorder()
    async with listening(theirs, connections=3) as far:
        address = await far.listen(Transport.TCP)
        flood = [await asyncio.open_connection(*address) for _ in range(6)]
        await until(lambda: len(far.flows) == 3)
        await asyncio.sleep(0.02)
        assert len(far.flows) == 3
        flood[0][1].close()
        await until(lambda: len(theirs.seen(Up)) == 4)
        for _, writer in flood[1:]:
            writer.close()


async def deaf_peer(limits, write):
    """Write to a peer that reads nothing; gives the reason that the machine is told."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = Recorder()
        async with Driver(ours, on_event=ours.on_event, config=DriverConfig(limits)) as near:
            flow = await near.open_flow(Target(Transport.TCP, *deaf.getsockname()))
            write(near, ours, flow)
            await until(lambda: ours.seen(Down))
    return ours.seen(Down)[0].reason


async def test_a_peer_that_reads_nothing_is_dead_when_our_buffer_is_full():
    def write(near, ours, flow):
        with near.change():
            for _ in range(200):
                ours.send(bytes(65_536), flow)

    reason = await deaf_peer(TransportLimits(write_buffer=1 << 20), write)
    assert "takes nothing" in reason


async def test_a_peer_that_reads_nothing_for_long_is_dead():
    def write(near, ours, flow):
        with near.change():
            ours.send(bytes(8_000_000), flow)

    reason = await deaf_peer(TransportLimits(write_buffer=1 << 24, write_timeout=0.05), write)
    assert "took nothing for 0.05 s" in reason


async def test_what_waits_for_a_target_that_does_not_answer_is_bounded(unused_tcp_port):
    ours = Recorder()
    config = DriverConfig(TransportLimits(write_buffer=1000))
    async with Driver(ours, on_event=ours.on_event, config=config) as near:
        target = Target(Transport.TCP, "127.0.0.1", unused_tcp_port)
        with near.change():
            for _ in range(20):
                ours.send(bytes(100), target)
        assert near.counters["dropped"] == 10


async def test_udp_addresses_are_remembered_up_to_a_bound():
    theirs = Recorder()
    async with listening(theirs, datagram_flows=4) as far:
        address = await far.listen(Transport.UDP)
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
        for index, each in enumerate(sockets):
            each.sendto(b"%d" % index, address)
            await until(lambda index=index: len(theirs.seen(Got)) == index + 1)
            each.close()
        assert len(far.flows) == 4
        assert [event.reason for event in theirs.seen(Down)] == [
            "forgotten: too many UDP addresses"
        ] * 4


async def test_a_flood_of_udp_addresses_is_dropped_beyond_our_rate():
    theirs = Recorder()
    async with listening(theirs, accept_rate=0.001, accept_burst=3) as far:
        address = await far.listen(Transport.UDP)
        for _ in range(6):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
                each.sendto(b"x", address)
        await until(lambda: far.counters["flood_dropped"] == 3)
        assert len(far.flows) == 3
