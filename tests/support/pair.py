"""Two machines back to back over a virtual link, on virtual time.

    pair = Pair(transport=Transport.UDP)
    usage = pair.alice.invite(pair.invitation(body=OFFER), now=pair.now)
    pair.run(0.1)
    assert kinds(pair.events["bob"]) == ["InviteReceived"]

The flow is open from the start unless `connect=False`.  `wire` keeps every message in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

from softphone.sans_io import Flow, Side, Target, Transport
from softphone.sip import Endpoint, EndpointConfig
from softphone.sip.dialog import InviteRequest
from softphone.sip.message import Body, NameAddr, Request, Response, SipUri, parse_datagram
from tests.support.clock import Clock, seeded_entropy
from tests.support.link import Link, LinkQuality

OFFER = Body("application/sdp", b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n")
ANSWER = Body("application/sdp", b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=-\r\n")
OFFER_2 = Body("application/sdp", b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\n")
ANSWER_2 = Body("application/sdp", b"v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=-\r\n")

_flow_ids = itertools.count(1)
_TALLY = {"alice": ("192.0.2.1", 5060), "bob": ("192.0.2.2", 5060)}


def kinds(events) -> list[str]:
    """The class names of some events."""
    return [type(event).__name__ for event in events]


def new_flow(
    transport: Transport, local: tuple[str, int], remote: tuple[str, int], identity=None
) -> Flow:
    """A flow with an id of its own."""
    return Flow(next(_flow_ids), transport, local, remote, identity)


class Pair:
    """Alice and Bob, two endpoints with one flow between them."""

    def __init__(
        self,
        *,
        transport: Transport = Transport.UDP,
        quality: LinkQuality | None = None,
        seed: int = 1,
        connect: bool = True,
        sides: tuple[Side, Side] = (Side.CLIENT, Side.CLIENT),
        config: EndpointConfig | None = None,
        bob_config: EndpointConfig | None = None,
    ) -> None:
        self.clock = Clock()
        self.transport = transport
        config = config or EndpointConfig()
        self.alice = Endpoint(side=sides[0], entropy=seeded_entropy(seed), config=config)
        self.bob = Endpoint(
            side=sides[1], entropy=seeded_entropy(seed + 1000), config=bob_config or config
        )
        self.machines = {"alice": self.alice, "bob": self.bob}
        self.target = Target(transport, *_TALLY["bob"])
        self.back = Target(transport, *_TALLY["alice"])
        self.flows = {
            "alice": new_flow(transport, _TALLY["alice"], _TALLY["bob"]),
            "bob": new_flow(transport, _TALLY["bob"], _TALLY["alice"]),
        }
        quality = quality or LinkQuality()
        reliable = transport.reliable
        self.links = {
            "alice": Link(quality, reliable=reliable, seed=seed + 1),
            "bob": Link(quality, reliable=reliable, seed=seed + 2),
        }
        self.events: dict[str, list] = {"alice": [], "bob": []}
        self.wire: list[tuple[str, Request | Response]] = []
        self.opens: list[Target] = []
        self.closed: list[Flow] = []
        self.on_event: dict[str, Callable[[object], None]] = {}
        if connect:
            self.connect()

    @property
    def now(self) -> float:
        """The time on the one clock."""
        return self.clock.now

    def connect(self) -> None:
        """Open the flow on both ends."""
        self.alice.connected(flow=self.flows["alice"], target=self.target, now=self.now)
        self.bob.connected(flow=self.flows["bob"], now=self.now)
        self.drain()
        for events in self.events.values():
            events.clear()

    def cut(self, reason: str | None = "reset") -> None:
        """The flow ends on both ends, with what was in flight; a new one may be connected."""
        for name, machine in self.machines.items():
            machine.disconnected(flow=self.flows[name], reason=reason, now=self.now)
            self.links[name] = Link(
                self.links[name].quality, reliable=self.transport.reliable, seed=7
            )
        self.flows = {
            "alice": new_flow(self.transport, _TALLY["alice"], _TALLY["bob"]),
            "bob": new_flow(self.transport, _TALLY["bob"], _TALLY["alice"]),
        }
        self.drain()

    def invitation(self, **changes) -> InviteRequest:
        """Alice's invitation of Bob."""
        return replace(
            InviteRequest(
                uri=SipUri.parse("sip:bob@192.0.2.2"),
                local=NameAddr.parse("<sip:alice@example.com>"),
                remote=NameAddr.parse("<sip:bob@example.com>"),
                to=self.target,
                body=OFFER,
                session_timer=None,
            ),
            **changes,
        )

    def drain(self) -> None:
        """Move transmits onto the link and events into the lists, until both are empty."""
        busy = True
        while busy:
            busy = False
            for name, machine in self.machines.items():
                for transmit in machine.transmits():
                    busy = True
                    self._transmit(name, transmit)
                while (event := machine.next_event()) is not None:
                    busy = True
                    self.events[name].append(event)
                    if name in self.on_event:
                        self.on_event[name](event)

    def _transmit(self, name: str, transmit) -> None:
        if isinstance(transmit.to, Target):
            self.opens.append(transmit.to)
        if transmit.close:
            self.closed.append(transmit.to)
        if not transmit.data:
            return
        message = parse_datagram(transmit.data)
        if isinstance(message, Request | Response):
            self.wire.append((name, message))
        if transmit.to == self.flows[name] or isinstance(transmit.to, Target):
            self.links[name].put(transmit.data, now=self.now)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.now + seconds
        self.drain()
        while (at := self._next()) is not None and at <= end:
            self.clock.advance(at)
            self._step()
        self.clock.advance(end)

    def _next(self) -> float | None:
        deadlines = [link.next() for link in self.links.values()]
        deadlines += [machine.next_timer() for machine in self.machines.values()]
        return min((at for at in deadlines if at is not None), default=None)

    def _step(self) -> None:
        for name, other in (("alice", "bob"), ("bob", "alice")):
            while (data := self.links[name].take(now=self.now)) is not None:
                self.machines[other].receive(data, flow=self.flows[other], now=self.now)
                self.drain()
        for machine in self.machines.values():
            due = machine.next_timer()
            if due is not None and due <= self.now:
                machine.handle_timer(now=self.now)
                self.drain()

    def take(self, name: str, kind: str | None = None):
        """Take the first event of one side out, by its class name if one is given."""
        for i, event in enumerate(self.events[name]):
            if kind is None or type(event).__name__ == kind:
                return self.events[name].pop(i)
        raise AssertionError(f"no {kind} among {kinds(self.events[name])}")

    def sent(self, name: str) -> list[str]:
        """Methods and statuses that one side has put on the wire, in order."""
        return [
            message.method if isinstance(message, Request) else str(message.status)
            for sender, message in self.wire
            if sender == name
        ]

    def answered(self, **changes):
        """A confirmed call: Alice's usage and Bob's."""
        mine = self.alice.invite(self.invitation(**changes), now=self.now)
        self.run(0.05)
        theirs = self.take("bob", "InviteReceived").usage
        theirs.send_provisional(now=self.now)
        self.run(0.05)
        theirs.accept(ANSWER, now=self.now)
        self.run(0.2)
        for events in self.events.values():
            events.clear()
        return mine, theirs
