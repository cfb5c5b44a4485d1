"""A call over real sockets goes on to the next server when one has too much to do."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager

import pytest

from softphone.config import AccountConfig
from softphone.errors import Busy, CallFailed, NoConnection, TransportError
from softphone.events import CallEnded, EndedBy
from softphone.net import DnsResolver, Driver
from softphone.phone import Phone
from softphone.sans_io import Side, Target, Transport
from softphone.sip import Endpoint, InviteReceived
from tests.support.waiting import PATIENCE

CLOSES = 0


class Server:
    """Answers every INVITE with one status, or closes the connection."""

    def __init__(self, status, headers=()):
        self.status, self.headers = status, headers
        self.invites = 0
        self.endpoint = Endpoint(side=Side.SERVER, entropy=secrets.token_bytes)
        self.driver = Driver(self.endpoint, on_event=self._handle)

    def _handle(self, event):
        if isinstance(event, InviteReceived):
            self.invites += 1
            if self.status == CLOSES:
                self.driver.close_flow(event.flow, TransportError("closed"))
                return
            with self.driver.change() as now:
                event.usage.reject(self.status, now=now, headers=self.headers)


class Names(DnsResolver):
    """Knows one name, which has several places."""

    def __init__(self, *targets):
        super().__init__(entropy=secrets.token_bytes)
        self.targets = targets

    async def locate(self, uri, *, policy=None):
        return self.targets


@asynccontextmanager
async def farm(transport, *servers):
    """An account in front of servers that are all up."""
    targets = []
    async with asyncio.timeout(20):
        for server in servers:
            await server.driver.__aenter__()
            targets.append(Target(transport, *await server.driver.listen(transport)))
        try:
            async with Phone(resolver=Names(*targets)) as phone:
                listen = f"{transport.value}:127.0.0.1:0"
                yield await phone.register(AccountConfig(aor="sip:a@127.0.0.1", listen=listen))
        finally:
            for server in servers:
                await server.driver.__aexit__(None, None, None)


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_a_call_goes_on_to_the_next_server(transport):
    busy, good = Server(503, (("Retry-After", "60"),)), Server(486)
    async with farm(transport, busy, good) as account:
        for _ in range(2):
            with pytest.raises(Busy):
                async with account.dial("sip:b@pbx.test") as outgoing:
                    await outgoing.answered(timeout=PATIENCE)
    # The one that asked to be left alone was left alone by the second call.
    assert (busy.invites, good.invites) == (1, 2)


async def test_the_last_server_s_answer_is_the_call_s():
    servers = Server(503), Server(503)
    async with farm(Transport.TCP, *servers) as account:
        with pytest.raises(CallFailed) as caught:
            async with account.dial("sip:b@pbx.test") as outgoing:
                await outgoing.answered(timeout=PATIENCE)
    assert caught.value.status == 503
    assert [server.invites for server in servers] == [1, 1]


async def test_a_connection_that_is_closed_before_an_answer_is_not_told_as_a_server_s_503():
    server = Server(CLOSES)
    async with farm(Transport.TCP, server) as account, account.dial("sip:b@pbx.test") as outgoing:
        with pytest.raises(NoConnection) as caught:
            await outgoing.answered(timeout=PATIENCE)
        told = [event async for event in outgoing.events() if isinstance(event, CallEnded)]
    assert str(caught.value).startswith("no answer to our INVITE: the connection was closed")
    assert caught.value.status == 0
    assert [event.by for event in told] == [EndedBy.TRANSPORT]
