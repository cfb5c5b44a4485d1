"""Hundreds of handshakes that one address begins and does not end: others, and its own, get in."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from contextlib import AsyncExitStack
from ipaddress import ip_network

import pytest

from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Transport
from softphone.security import ClientCertificates
from softphone.trust import TlsSettings
from tests.support.certificates import alice, server, settings, tls_target
from tests.support.recorder import Recorder, Up, until
from tests.support.virtual_loop import run_virtually

HALF_OPEN = 250
LIMITS = TransportLimits()
CROWD = 400
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of 127.0.0.0/8")


def client_hello() -> bytes:
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="sip.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


def listening(recorder: Recorder, **limits) -> Driver:
    """A server at default limits but for the rate at which it accepts."""
    config = DriverConfig(TransportLimits(accept_burst=10_000, **limits))
    return Driver(recorder, on_event=recorder.on_event, config=config)


def calling(recorder: Recorder, tmp_path, source: str) -> Driver:
    tls = {"": settings(tmp_path, alice(), "alice")}
    config = DriverConfig(source=source)
    return Driver(recorder, on_event=recorder.on_event, tls=tls, config=config)


@pytest.mark.parametrize("sent", ["nothing", "half a ClientHello", "a whole ClientHello"])
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_an_honest_client_gets_in_beside_them(tmp_path, sent, source):
    """On virtual time, with the limits that a server has by default."""
    hello = client_hello()
    pieces = {"nothing": b"", "half a ClientHello": hello[:100], "a whole ClientHello": hello}
    ours, theirs = Recorder(), Recorder()

    async def seconds_to_get_in() -> float:
        loop = asyncio.get_running_loop()
        async with (
            AsyncExitStack() as hostile,
            Driver(theirs, on_event=theirs.on_event, config=DriverConfig(LIMITS)) as far,
            calling(ours, tmp_path, source) as near,
        ):
            address = await far.listen(Transport.TLS, tls=settings(tmp_path, server(), "server"))
            for _ in range(HALF_OPEN):
                each = socket.create_connection(address, source_address=("127.0.0.1", 0))
                hostile.enter_context(each)
                each.sendall(pieces[sent])
                await asyncio.sleep(0)
            begun = loop.time()
            await near.open_flow(tls_target(address))
            await until(lambda: theirs.seen(Up))
            assert not far.refusals
            return loop.time() - begun

    took = run_virtually(seconds_to_get_in())
    if sent == "a whole ClientHello" and source == "127.0.0.1":
        # Of the same address: 250 that stall take the 16 slots of their source before it.
        turns = HALF_OPEN // LIMITS.handshakes_per_source
        assert turns * LIMITS.handshake_patience <= took < LIMITS.handshake_timeout
    else:
        assert took < LIMITS.handshake_patience


def for_anybody(tmp_path) -> TlsSettings:
    return settings(tmp_path, server(), "server", client_certificates=ClientCertificates.NONE)


class Crowd:
    """Clients that connect at once, as behind a NAT after its restart, and stay."""

    def __init__(self, address) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._address = address
        self.writers: list[asyncio.StreamWriter] = []

    async def come(self, count: int) -> None:
        async def one() -> None:
            _, writer = await asyncio.open_connection(*self._address, ssl=self._context)
            self.writers.append(writer)

        await asyncio.gather(*(one() for _ in range(count)))

    def leave(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


async def test_a_crowd_of_a_trusted_address_gets_in_whole(tmp_path):
    theirs = Recorder()
    trusted = (ip_network("127.0.0.0/8"),)
    limits = {"trusted_sources": trusted, "handshake_timeout": 60.0}
    async with listening(theirs, connections_per_source=8, **limits) as far:
        address = await far.listen(Transport.TLS, tls=for_anybody(tmp_path))
        crowd = Crowd(address)
        await crowd.come(CROWD)
        await until(lambda: len(theirs.seen(Up)) == CROWD)
        assert not far.refusals
        crowd.leave()
        await until(lambda: not far.flows)


async def test_a_crowd_of_one_address_waits_for_its_slots_and_is_not_refused(tmp_path):
    theirs = Recorder()
    async with listening(theirs, connections_per_source=CROWD, handshake_timeout=60.0) as far:
        address = await far.listen(Transport.TLS, tls=for_anybody(tmp_path))
        crowd = Crowd(address)
        await crowd.come(CROWD)
        await until(lambda: len(theirs.seen(Up)) == CROWD)
        assert not far.refusals
        crowd.leave()
        await until(lambda: not far.flows)
