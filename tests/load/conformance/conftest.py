"""Cases, flows and a UDP target that answers as a test says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from softphone.config import AccountConfig
from softphone.load.conformance import AllowedOutcomes, ConformanceCase, ConformancePlan
from softphone.sans_io import Flow, Transport
from softphone.sip import SipUri
from softphone.sip.message import Request, parse_datagram

LOCAL, REMOTE = ("127.0.0.1", 5062), ("127.0.0.1", 5060)
OPTIONS = (
    b"OPTIONS {target} SIP/2.0\r\nTo: <{target}>\r\nFrom: <{aor}>;tag=a\r\nCall-ID: c\r\n"
    b"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def flow_over(transport=Transport.UDP, number=1):
    """A flow from us to the target."""
    return Flow(number, transport, LOCAL, REMOTE)


def case_of(message=OPTIONS, *, name="test-case", passes=("2xx",), deviates=(), fails=(), **more):
    """A case with one message."""
    allowed = AllowedOutcomes(passes, deviates, fails)
    messages = more.pop("messages", (message,))
    return ConformanceCase(
        name, "RFC 3261 section 1", "A title", "do it", messages, allowed, **more
    )


def answer_to(request, status=200, *fields):
    """A response to the request, as octets."""
    return request.response(status, to_tag="t", headers=fields).encode()


class Answering(asyncio.DatagramProtocol):
    """A target over UDP; `answer(request, number)` gives the datagrams to send back."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.received = []

    def connection_made(self, transport):
        """Keep the socket."""
        self.transport = transport

    def datagram_received(self, data, address):
        """Answer one datagram, OPTIONS probes as any target does."""
        request = parse_datagram(data)
        self.received.append((asyncio.get_running_loop().time(), data))
        if not isinstance(request, Request):
            return
        if request.call_id.endswith("probe@client.invalid"):
            found = self.answer(request, None)
        else:
            self.requests.append(request)
            found = self.answer(request, len(self.requests))
        for each in found:
            self.transport.sendto(each, address)


@asynccontextmanager
async def target_over_udp(answer):
    """A target as an async context; gives it and a function that makes plans for it."""
    loop = asyncio.get_running_loop()
    transport, target = await loop.create_datagram_endpoint(
        lambda: Answering(answer), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]

    def plan(*cases, **more):
        credentials = more.pop("credentials", None)
        account = AccountConfig(
            aor="sip:tester@127.0.0.1",
            outbound_proxy=f"sip:127.0.0.1:{port};transport=udp",
            credentials=credentials,
        )
        return ConformancePlan(
            account, SipUri("sip", "600", None, "127.0.0.1", port), cases, **more
        )

    try:
        yield target, plan
    finally:
        transport.close()
