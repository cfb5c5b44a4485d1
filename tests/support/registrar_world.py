"""A client endpoint, its registration and scripted registrars, on virtual time.

    world = World()
    world.registration.register(now=world.now)
    world.run(1.0)

A server is a name in `world.servers`: it is up, refuses connections or is silent, and answers
each request by `world.answer(request)`, which gives a status and header fields.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from softphone.sans_io import Flow, Side, Target, Transport
from softphone.sip import Endpoint
from softphone.sip.message import NameAddr, Request, SipUri, parse_datagram
from softphone.sip.registration import Registration
from softphone.sip.registration.config import RegistrationConfig
from tests.support.clock import Clock, seeded_entropy

CONFIG = RegistrationConfig(
    aor=NameAddr.parse("<sip:alice@example.test>"),
    registrar=SipUri.parse("sip:example.test"),
    user="alice",
    instance_id="urn:uuid:00000000-0000-1000-8000-000A95A0E128",
)
_ids = itertools.count(10_000)


@dataclass
class Server:
    """`up` accepts connections; `speaks` answers; `pongs` answers pings."""

    up: bool = True
    speaks: bool = True
    pongs: bool = True


class World:
    """Everything one registration sees."""

    def __init__(
        self,
        *,
        transport: Transport = Transport.TLS,
        count: int = 1,
        credentials=None,
        seed: int = 3,
        **changes,
    ) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint(side=Side.CLIENT, entropy=seeded_entropy(seed))
        self.targets = [Target(transport, f"192.0.2.{100 + i}", 5061) for i in range(count)]
        self.servers = {target.host: Server() for target in self.targets}
        self.registration = Registration(
            self.endpoint,
            replace(CONFIG, **changes),
            targets=self.targets,
            entropy=seeded_entropy(seed + 1),
            credentials=credentials,
        )
        self._ports = itertools.count(10_000)
        self.flows: dict[Flow, Server] = {}
        self.requests: list[tuple[float, str, Request]] = []
        self.pings: list[float] = []
        self.opens: list[tuple[float, str]] = []
        self.events: list = []
        self.unclaimed: list = []
        self.script: list = []

    @property
    def now(self) -> float:
        """The time."""
        return self.clock.now

    def granting(self, request: Request, seconds: int = 600, *more):
        """A 200 that gives every contact `seconds`, or takes it away."""
        if request.method != "REGISTER":
            return 200, []
        if request.expires == 0:
            return 200, list(more)
        contact = request.contacts[0].with_parameter("expires", str(seconds))
        return 200, [("Contact", str(contact)), *more]

    def answer(self, request: Request):
        """The next of the script, else 200 for 600 s.  A script entry may be a function."""
        if request.method == "REGISTER" and self.script:
            step = self.script.pop(0)
            return step(request) if callable(step) else step
        return self.granting(request)

    def cut(self, reason: str | None = "reset") -> None:
        """Every flow ends."""
        for flow in list(self.flows):
            del self.flows[flow]
            self.endpoint.disconnected(flow=flow, reason=reason, now=self.now)
        self.drain()

    def drain(self) -> None:
        """Move bytes and events until there are none."""
        busy = True
        while busy:
            busy = False
            for transmit in self.endpoint.transmits():
                busy = True
                self._transmit(transmit)
            while (event := self.endpoint.next_event()) is not None:
                busy = True
                if not self.registration.handle_event(event, now=self.now):
                    self.unclaimed.append(event)
            busy = busy or bool(self.registration.events)
            self.events.extend(self.registration.events)
            self.registration.events.clear()

    def _transmit(self, transmit) -> None:
        if isinstance(transmit.to, Target):
            self._open(transmit.to)
            return
        server = self.flows.get(transmit.to)
        if server is None:
            return
        if transmit.close:
            del self.flows[transmit.to]
            self.endpoint.disconnected(flow=transmit.to, reason=None, now=self.now)
        elif transmit.data == b"\r\n\r\n":
            self.pings.append(self.now)
            if server.pongs:
                self.endpoint.receive(b"\r\n", flow=transmit.to, now=self.now)
        elif transmit.data:
            self._serve(transmit, server)

    def _open(self, target: Target) -> None:
        self.opens.append((self.now, target.host))
        server = self.servers[target.host]
        if not server.up:
            self.endpoint.disconnected(flow=target, reason="connection refused", now=self.now)
            return
        local = ("192.0.2.1", next(self._ports))
        flow = Flow(next(_ids), target.transport, local, (target.host, target.port))
        self.flows[flow] = server
        self.endpoint.connected(flow=flow, target=target, now=self.now)

    def _serve(self, transmit, server: Server) -> None:
        request = parse_datagram(transmit.data)
        assert isinstance(request, Request), request
        self.requests.append((self.now, transmit.to.remote[0], request))
        if not server.speaks:
            return
        status, headers = self.answer(request)
        response = request.response(status, to_tag="r", headers=headers)
        self.endpoint.receive(response.encode(), flow=transmit.to, now=self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        self.drain()
        while (at := self.next_timer()) is not None and at <= end:
            self.clock.advance(at)
            self.endpoint.handle_timer(now=self.now)
            self.drain()
            self.registration.handle_timer(now=self.now)
            self.drain()
        self.clock.advance(end)

    def next_timer(self) -> float | None:
        """The earliest deadline of both."""
        times = (self.endpoint.next_timer(), self.registration.next_timer())
        return min((time for time in times if time is not None), default=None)

    def registers(self) -> list[Request]:
        """Every REGISTER that was sent."""
        return [request for _, _, request in self.requests if request.method == "REGISTER"]

    def register_times(self) -> list[float]:
        """When each REGISTER was sent."""
        return [at for at, _, request in self.requests if request.method == "REGISTER"]

    def registered(self) -> World:
        """Register, and forget how."""
        self.registration.register(now=self.now)
        self.run(0.0)
        self.events.clear()
        self.requests.clear()
        self.opens.clear()
        return self
