"""A phone in a call over UDP, under datagrams of more addresses than it remembers, hangs up."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Side, Transport
from softphone.sip import Endpoint
from softphone.sip.events import FlowClosed, InviteReceived
from softphone.sip.message import Body
from tests.support.waiting import PATIENCE

REMEMBERED = 8
STRANGERS = 40
OFFER = Body("application/sdp", b"v=0\r\n")


def message(start: str, *fields: str) -> bytes:
    return "\r\n".join((start, *fields, "Content-Length: 0", "", "")).encode()


def fields_of(caller: socket.socket, method: str, to: str) -> list[str]:
    host, port = caller.getsockname()
    return [
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{method}",
        "From: <sip:caller@localhost>;tag=caller",
        f"To: {to}",
        "Call-ID: live",
        f"CSeq: 1 {method}",
        f"Contact: <sip:caller@{host}:{port}>",
    ]


class Callee:
    """An endpoint on a socket of its own that answers whoever calls."""

    def __init__(self):
        self.endpoint = Endpoint(side=Side.SERVER, entropy=lambda count: bytes(range(count)))
        self.usages = []
        self.closed = []
        limits = TransportLimits(datagram_flows=REMEMBERED, accept_burst=1000)
        self.driver = Driver(
            self.endpoint,
            on_event=self.handle,
            holds_flow=self.endpoint.holds_flow,
            config=DriverConfig(limits=limits),
        )

    def handle(self, event):
        if isinstance(event, InviteReceived):
            self.usages.append((event.usage, event.flow))
        elif isinstance(event, FlowClosed):
            self.closed.append(event.flow)


async def receive(sock: socket.socket, start: bytes) -> bytes:
    """The next datagram that begins with `start`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while not (data := await loop.sock_recv(sock, 65536)).startswith(start):
            continue
    return data


@pytest.mark.skipif(sys.platform != "linux", reason="strangers are addresses of 127.0.0.0/8")
@pytest.mark.parametrize("answered", [False, True])
async def test_a_call_outlives_strangers_and_can_be_ended(answered):
    callee = Callee()
    async with callee.driver as driver:
        where = await driver.listen(Transport.UDP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.setblocking(False)
            caller.bind(("127.0.0.1", 0))
            invite = f"INVITE sip:phone@{where[0]}:{where[1]} SIP/2.0"
            caller.sendto(message(invite, *fields_of(caller, "INVITE", "<sip:phone@x>")), where)
            await receive(caller, b"SIP/2.0 100")
            ((usage, flow),) = callee.usages
            with driver.change() as now:
                usage.send_provisional(now=now)
            ringing = await receive(caller, b"SIP/2.0 180")
            to = next(line for line in ringing.decode().split("\r\n") if line.startswith("To: "))[
                4:
            ]
            if answered:
                with driver.change() as now:
                    usage.accept(OFFER, now=now)
                await receive(caller, b"SIP/2.0 200")
                caller.sendto(
                    message(invite.replace("INVITE", "ACK"), *fields_of(caller, "ACK", to)), where
                )
            for number in range(STRANGERS):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                    stranger.bind((f"127.9.0.{number + 1}", 0))
                    stranger.sendto(b"x", where)
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                while len(callee.closed) < STRANGERS - REMEMBERED:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert flow not in callee.closed
            with driver.change() as now:
                if answered:
                    usage.bye(now=now)
                else:
                    usage.reject(486, now=now)
            await receive(caller, b"BYE " if answered else b"SIP/2.0 486")
