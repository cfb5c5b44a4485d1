"""One endpoint, and a far end whose every byte is written by the test.

lone = Lone()
lone.say(lone.request("OPTIONS"))
assert lone.heard() == [200]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from softphone.sans_io import Flow, Side, Transport
from softphone.sip import Endpoint, EndpointConfig
from softphone.sip.message import Request, Response, parse_datagram
from tests.support.clock import Clock, seeded_entropy
from tests.support.pair import new_flow

SDP = "v=0\r\no=- 9 9 IN IP4 192.0.2.9\r\ns=-\r\n"


class Lone:
    """An endpoint at 192.0.2.1 and its peer 192.0.2.9, played by the test."""

    def __init__(
        self,
        *,
        transport: Transport = Transport.UDP,
        side: Side = Side.CLIENT,
        config: EndpointConfig | None = None,
        seed: int = 5,
        own_server: Callable[[Flow], bool] = lambda _: False,
    ) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint(
            side=side,
            entropy=seeded_entropy(seed),
            config=config or EndpointConfig(),
            own_server=own_server,
        )
        self.flow: Flow = new_flow(transport, ("192.0.2.1", 5060), ("192.0.2.9", 5060))
        self.endpoint.connected(flow=self.flow, now=self.now)
        self.events: list = []
        self.out: list[Request | Response] = []
        self.transmits: list = []
        self._branches = itertools.count(1)
        self.drain()
        self.events.clear()

    @property
    def now(self) -> float:
        """The time."""
        return self.clock.now

    def drain(self) -> None:
        """Take everything out of the endpoint."""
        for transmit in self.endpoint.transmits():
            self.transmits.append(transmit)
            if transmit.data:
                message = parse_datagram(transmit.data)
                if isinstance(message, Request | Response):
                    self.out.append(message)
        while (event := self.endpoint.next_event()) is not None:
            self.events.append(event)

    def say(self, text: str | bytes, *, flow: Flow | None = None) -> None:
        """Let the endpoint receive bytes."""
        data = text.encode() if isinstance(text, str) else text
        self.endpoint.receive(data, flow=flow or self.flow, now=self.now)
        self.drain()

    def wait(self, seconds: float) -> None:
        """Let time pass, firing timers when they are due."""
        end = self.now + seconds
        while (at := self.endpoint.next_timer()) is not None and at <= end:
            self.clock.advance(at)
            self.endpoint.handle_timer(now=self.now)
            self.drain()
        self.clock.advance(end)

    def heard(self) -> list[int | str]:
        """Statuses and methods that the endpoint has sent since the last call."""
        messages, self.out = self.out, []
        return [m.method if isinstance(m, Request) else m.status for m in messages]

    def last(self) -> Request | Response:
        """The message that the endpoint sent last."""
        return self.out[-1]

    def take(self, kind: str):
        """Take the first event of a class out."""
        for i, event in enumerate(self.events):
            if type(event).__name__ == kind:
                return self.events.pop(i)
        raise AssertionError(f"no {kind} among {[type(e).__name__ for e in self.events]}")

    def request(
        self,
        method: str,
        *,
        cseq: int = 1,
        to_tag: str = "",
        from_tag: str = "far",
        call_id: str = "call-1",
        branch: str | None = None,
        body: str = "",
        uri: str = "sip:us@192.0.2.1",
        headers: tuple[str, ...] = (),
        cseq_method: str | None = None,
        contact: str | None = "<sip:far@192.0.2.9:5060>",
    ) -> str:
        """A request from the far end."""
        branch = branch or f"z9hG4bKfar{next(self._branches)}"
        to = "<sip:us@example.com>" + (f";tag={to_tag}" if to_tag else "")
        transport = self.flow.transport.value.upper()
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{transport} 192.0.2.9:5060;branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:far@example.com>;tag={from_tag}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {cseq_method or method}",
        ]
        if contact is not None:
            lines.append(f"Contact: {contact}")
        lines += headers
        if body and not any(line.lower().startswith("content-type") for line in headers):
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body.encode())}")
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def response(
        self,
        request: Request,
        status: int,
        *,
        to_tag: str = "far",
        body: str = "",
        headers: tuple[str, ...] = (),
        contact: str | None = "<sip:far@192.0.2.9:5060>",
    ) -> str:
        """A response of the far end to a request of ours."""
        to = request.headers.get("To") or ""
        if to_tag and ";tag=" not in to:
            to += f";tag={to_tag}"
        lines = [f"SIP/2.0 {status} Whatever"]
        lines += [f"Via: {value}" for value in request.headers.get_all("Via")]
        lines += [
            f"From: {request.headers.get('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.cseq}",
        ]
        if contact is not None:
            lines.append(f"Contact: {contact}")
        lines += headers
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body.encode())}")
        return "\r\n".join(lines) + "\r\n\r\n" + body
