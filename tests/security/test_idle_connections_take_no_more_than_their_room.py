"""Hundreds of idle TLS connections at a server with room for few: the limit holds, and what is up
goes on; who leaves makes room."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress

from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Transport
from softphone.security import ClientCertificates
from tests.support.certificates import alice, server, settings, tls_target
from tests.support.recorder import Down, Got, Recorder, Up, client_driver, until

ROOM = 24
CROWD = 300
REQUEST = b"OPTIONS sip:x SIP/2.0\r\n\r\n"


class Crowd:
    """Clients that connect by TLS and then say nothing."""

    def __init__(self, address) -> None:
        self._address = address
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._writers: list[asyncio.StreamWriter] = []
        self.shut_out = 0

    async def come(self, count: int) -> None:
        """So many more of them; each is in, or has been shut out."""
        gate = asyncio.Semaphore(16)

        async def one() -> None:
            async with gate:
                try:
                    async with asyncio.timeout(10.0):
                        _, writer = await asyncio.open_connection(*self._address, ssl=self._context)
                    self._writers.append(writer)
                except (OSError, TimeoutError):
                    self.shut_out += 1

        await asyncio.gather(*(one() for _ in range(count)))

    @property
    def inside(self) -> int:
        return len(self._writers)

    async def leave(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()
        self._writers.clear()


async def test_a_crowd_from_one_address_gets_its_share_and_what_is_up_goes_on(tmp_path):
    ours, theirs = Recorder(), Recorder()
    limits = TransportLimits(connections_per_source=ROOM, accept_rate=10_000.0, accept_burst=1000)
    tls = settings(tmp_path, server(), "server", client_certificates=ClientCertificates.NONE)
    far = Driver(theirs, on_event=theirs.on_event, config=DriverConfig(limits))
    async with far, client_driver(ours, settings(tmp_path, alice(), "alice")) as near:
        address = await far.listen(Transport.TLS, tls=tls)
        flow = await near.open_flow(tls_target(address))
        await until(lambda: len(theirs.seen(Up)) == 1)
        tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/dev/fd"))
        crowd = Crowd(address)
        await crowd.come(CROWD)
        assert len(theirs.seen(Up)) <= ROOM
        assert (crowd.inside, crowd.shut_out) == (ROOM - 1, CROWD - ROOM + 1)
        assert f"{address[0]} has {ROOM} connections already" in str(far.refusals[0][1])
        with near.change():
            ours.send(REQUEST, flow)
        await until(lambda: theirs.seen(Got))
        assert not [down for down in theirs.seen(Down) if down.flow == theirs.seen(Up)[0].flow]
        # One side of each connection that is in is the crowd's own.
        assert len(os.listdir("/dev/fd")) <= descriptors + 2 * ROOM
        await crowd.leave()
        await until(lambda: len(theirs.seen(Down)) == len(theirs.seen(Up)) - 1)
        assert len(asyncio.all_tasks()) <= tasks + 1
        newcomer = Crowd(address)
        await newcomer.come(1)
        await until(lambda: len(theirs.seen(Up)) - len(theirs.seen(Down)) == 2)
        assert newcomer.inside == 1
        await newcomer.leave()
