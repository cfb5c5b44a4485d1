"""A phone's line and a bare SIP endpoint that speak with a peer directly, without a registrar.

What SIPp's scenarios need beside: waiting for their end, and for media.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from softphone.config import AccountConfig, MediaPreferences
from softphone.events import EndedBy
from softphone.media.audio import PcmRing, tone_level
from softphone.net import Driver
from softphone.sans_io import Side, Target, Transport
from softphone.sip import (
    Body,
    Endpoint,
    EndpointConfig,
    InviteRequest,
    InviteUsage,
    NameAddr,
    SipUri,
)
from tests.support.waiting import PATIENCE, until

E = TypeVar("E")
AUDIBLE_DBM0 = -25.0
LOOPBACK = "127.0.0.1"
OURSELVES = NameAddr(None, SipUri.parse(f"sip:desk@{LOOPBACK}"), ())


def direct(transport: str = "udp", **media: object) -> AccountConfig:
    """An account without a registrar, over UDP or TCP; `media` as in MediaPreferences."""
    return AccountConfig(
        aor=f"sip:phone@{LOOPBACK}",
        listen=f"{transport}:{LOOPBACK}:0",
        media=MediaPreferences(**media),
    )


def description(version: int = 1, direction: str = "sendrecv") -> Body:
    """A session description of one RTP/AVP stream, whose port nobody listens at."""
    lines = (
        "v=0",
        f"o=desk 1 {version} IN IP4 {LOOPBACK}",
        "s=-",
        f"c=IN IP4 {LOOPBACK}",
        "t=0 0",
        "m=audio 9 RTP/AVP 0",
        "a=rtpmap:0 PCMU/8000",
        f"a={direction}",
    )
    return Body("application/sdp", "".join(f"{line}\r\n" for line in lines).encode())


async def finished(run) -> None:
    """Wait until a scenario has gone to its end, every message as it wants it."""
    await asyncio.to_thread(run.wait, 20)


def calling(sipp, called, scenario: str, **more: Any):
    """Start a scenario that calls a line or a desk."""
    address = called.address if isinstance(called, Desk) else called.listening[1:]
    return sipp.run(scenario, target=address, **more)


@asynccontextmanager
async def dialing(
    sipp, line, scenario: str, *, transport: str = "udp", retransmits: bool = True, **options: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """A line calls a scenario, which goes to its end: gives the scenario's run and the call."""
    with sipp.run(scenario, transport=transport, retransmits=retransmits) as run:
        async with line.dial(run.uri(transport=transport), **options) as outgoing:
            yield run, outgoing
        await finished(run)


async def sending(call) -> None:
    """Wait until a call's media is open and sends."""
    await until(lambda: call.audio.statistics.packets_sent >= 5)


async def tone_level_of(stream, hz: float) -> float:
    """How loud a tone is in a quarter of a second of what a stream hears, in dBm0."""
    ring = PcmRing(8000, seconds=2.0)
    stream.record(ring)
    async with asyncio.timeout(PATIENCE):
        await ring.read_exactly(2400)
        heard = await ring.read_exactly(2000)
    stream.record(None)
    return tone_level(heard, hz, 8000)


async def next_call(line):
    """The next call that comes in."""
    async with asyncio.timeout(PATIENCE):
        return await anext(line.incoming())


async def answered_call(line):
    """Answer the next call that comes in."""
    incoming = await next_call(line)
    async with asyncio.timeout(PATIENCE):
        return await incoming.answer()


async def left_by_far_end(call) -> None:
    """Wait until the far end has hung up."""
    async with asyncio.timeout(PATIENCE):
        ended = await call.ended()
    assert ended.by is EndedBy.REMOTE


class Desk:
    """A `softphone.sip.Endpoint` on a UDP socket, for what `Phone` does not do by itself.

    `expect(Kind)` waits for an event; `change()` opens a drain for commands.  `config` is that of
    the endpoint, for shorter timers.
    """

    def __init__(self, **config: Any) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._endpoint = Endpoint(
            side=Side.CLIENT, entropy=secrets.token_bytes, config=EndpointConfig(**config)
        )
        self._driver: Driver[Any] = Driver(self._endpoint, on_event=self._events.put_nowait)
        self.change = self._driver.change
        self.address = (LOOPBACK, 0)

    async def __aenter__(self) -> Self:
        await self._driver.__aenter__()
        self.address = await self._driver.listen(Transport.UDP, LOOPBACK, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._driver.__aexit__(kind, error, trace)

    def invite(self, uri: str, body: Body | None, **more: Any) -> InviteUsage:
        """Call a URI over UDP; `more` as in Invitation."""
        called = SipUri.parse(uri)
        invitation = InviteRequest(
            uri=called,
            local=OURSELVES,
            remote=NameAddr(None, called, ()),
            to=Target(Transport.UDP, called.host, called.port or 5060, called.host),
            body=body,
            **more,
        )
        with self.change() as now:
            return self._endpoint.invite(invitation, now=now)

    async def expect(self, kind: type[E], *, within: float = PATIENCE) -> E:
        """The next event of a kind; others are passed over."""
        async with asyncio.timeout(within):
            while True:
                event = await self._events.get()
                if isinstance(event, kind):
                    return event
