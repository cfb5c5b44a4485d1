"""Two parties with calls, over a virtual link on virtual time: signaling, keys and media rows.

    stage = Stage()
    call = stage.dial()                    # alice calls bob; a leg on each side
    stage.run(0.1)
    stage.bob.leg.accept()
    stage.run(0.5)
    assert stage.alice.leg.state is CallState.CONFIRMED

Nothing is awaited: a running loop is needed only since legs hold futures.  `tamper` sees every
message in flight and may change it, as an attacker on the path would.  `wire` keeps every byte.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from softphone.call import IncomingLeg, LegSetup, MediaSetup, OutgoingLeg
from softphone.call.dial_permit import UNJUDGED
from softphone.call.leg import DigitMethod
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, PeerIdentity, Side, Target, Transport
from softphone.security import SecurityPolicy
from softphone.sip import (
    AnyUsage,
    Endpoint,
    EndpointConfig,
    EventHandlers,
    InviteReceived,
    InviteRequest,
    InviteUsage,
    NameAddr,
    RequestReceived,
    SipEvent,
    SipUri,
)
from tests.support.clock import Clock, seeded_entropy
from tests.support.link import Link, LinkQuality
from tests.support.media_port import RecordingPort

_flow_ids = itertools.count(50_000)
_HOSTS = {"alice": "192.0.2.1", "bob": "192.0.2.2"}

Tamper = Callable[[str, bytes], bytes]


def identity_of(name: str) -> PeerIdentity:
    """A verified certificate for a party: its host and its user."""
    host = _HOSTS[name]
    return PeerIdentity(
        subject=f"CN={name}",
        names=(f"uri:sip:{name}@{host}", f"ip:{host}"),
        fingerprint=name.encode().hex().ljust(64, "0"),
        protocol="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
    )


def edit_body(data: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """A message with another body, its Content-Length put right."""
    head, _, body = data.partition(b"\r\n\r\n")
    if not body:
        return data
    changed = edit(body)
    lines = [
        b"Content-Length: %d" % len(changed) if line.lower().startswith(b"content-length") else line
        for line in head.split(b"\r\n")
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + changed


def in_clear(body: bytes) -> bytes:
    """A session description as an attacker would have it: RTP/AVP and no keys."""
    lines = body.replace(b"RTP/SAVP", b"RTP/AVP").split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"a=crypto"))


def without_keys(body: bytes) -> bytes:
    """A session description whose crypto lines are gone and whose profile stays."""
    return b"\r\n".join(line for line in body.split(b"\r\n") if not line.startswith(b"a=crypto"))


def with_header(data: bytes, name: str, value: str) -> bytes:
    """A message with one more header field."""
    head, _, body = data.partition(b"\r\n\r\n")
    return head + f"\r\n{name}: {value}".encode() + b"\r\n\r\n" + body


def first_line(data: bytes) -> str:
    """The start line of a message."""
    return data.partition(b"\r\n")[0].decode()


@dataclass(frozen=True, eq=False)
class _Handler:
    """Handles events by a function."""

    handle_event: Callable[[SipEvent], None]


class Party:
    """One side: an endpoint, a media port that records, and legs."""

    def __init__(self, stage: Stage, name: str, *, seed: int, config: EndpointConfig) -> None:
        self.stage = stage
        self.name = name
        self.entropy = seeded_entropy(seed)
        self.endpoint = Endpoint(side=Side.CLIENT, entropy=self.entropy, config=config)
        self.port = RecordingPort()
        self.policy = SecurityPolicy.strict()
        self.vouched = False
        self.direct = False
        self.only_host: str | None = None
        self.asserts = False
        self.own_users: tuple[str, ...] = ()
        self.identifies_sessions = False
        self.persona = StandardPersona()
        self.fallback = True
        self.opportunistic = False
        self.answers_itself = False
        self.rings = True
        self.digits_by = DigitMethod.AUTO
        self.aor: SipUri | None = None
        self.legs: list[IncomingLeg | OutgoingLeg] = []
        self.unclaimed: list[object] = []
        self._handlers = EventHandlers()
        self._adopted: list[_Handler] = []

    @property
    def leg(self) -> IncomingLeg | OutgoingLeg:
        """The last call."""
        return self.legs[-1]

    @property
    def events(self) -> list[object]:
        """What the last call's application was told."""
        return list(self.leg.event_queue._events)

    def kinds(self) -> list[str]:
        """The class names of those events."""
        return [type(event).__name__ for event in self.events]

    @contextmanager
    def change(self) -> Iterator[float]:
        """Give commands to the endpoint; what follows is drained at the end."""
        nested, self.stage.busy = self.stage.busy, True
        try:
            yield self.stage.now
        finally:
            self.stage.busy = nested
            if not nested:
                self.stage.drain()

    def adopt(self, usage: AnyUsage, handler: Callable[[SipEvent], None]) -> None:
        """Give the events of a usage or subscription to a function."""
        self._adopted.append(_Handler(handler))
        self._handlers.set_handler(usage, self._adopted[-1])

    def setup(self) -> LegSetup:
        """What a leg needs."""
        return LegSetup(
            endpoint=self.endpoint,
            change=self.change,
            call_later=self.stage.call_later,
            handlers=self._handlers,
            media=MediaSetup(
                backend=self.port,
                policy=self.policy,
                entropy=self.entropy,
                host=_HOSTS[self.name],
                cname="test",
                fallback=self.fallback,
                opportunistic=self.opportunistic,
            ),
            persona=self.persona,
            vouched=lambda flow: self.vouched and flow is not None and flow.identity is not None,
            direct=self.direct,
            asserts=lambda flow: self.asserts and flow is not None,
            own_users=lambda: self.own_users,
            identifies_sessions=self.identifies_sessions,
            warning_agent=_HOSTS[self.name],
            digits_by=self.digits_by,
            aor=self.aor,
            only_host=self.only_host,
        )

    def handle(self, event: object) -> None:
        """Give an event to its owner, as an account does."""
        if self._handlers.handle_event(event):
            return
        if isinstance(event, InviteReceived):
            self._invited(event)
        elif isinstance(event, RequestReceived):
            with self.change() as now:
                self.endpoint.respond(event.exchange, 200, now=now)
        else:
            self.unclaimed.append(event)

    def _invited(self, event: InviteReceived[InviteUsage]) -> None:
        leg = IncomingLeg(self.setup(), event)
        self.legs.append(leg)
        if leg.evaluate_offer():
            if self.rings:
                leg.ring()
            if self.answers_itself:
                leg.accept()


class Stage:
    """Alice, Bob, and the wire between them."""

    def __init__(
        self,
        *,
        seed: int = 1,
        transport: Transport = Transport.TLS,
        config: EndpointConfig | None = None,
    ) -> None:
        self.clock = Clock()
        self.busy = False
        self.transport = transport
        self.tamper: Tamper = lambda name, data: data
        self.wire: list[tuple[str, bytes]] = []
        self.closed: list[Flow] = []
        config = config or EndpointConfig()
        self.alice = Party(self, "alice", seed=seed, config=config)
        self.bob = Party(self, "bob", seed=seed + 1000, config=config)
        self.parties = {"alice": self.alice, "bob": self.bob}
        self._others = {"alice": "bob", "bob": "alice"}
        self._links = {
            name: Link(LinkQuality(), reliable=transport.reliable, seed=seed) for name in _HOSTS
        }
        self._timers: list[tuple[float, int, list[Callable[[], None]]]] = []
        self._count = itertools.count()
        self.flows: dict[str, Flow] = {}
        self.connect()

    @property
    def now(self) -> float:
        """The time on the one clock."""
        return self.clock.now

    def connect(self) -> None:
        """Open a flow, over TLS with both ends verified."""
        secure = self.transport is Transport.TLS
        for name, other in self._others.items():
            identity = identity_of(other) if secure else None
            local, remote = (_HOSTS[name], 5061), (_HOSTS[other], 5061)
            flow = Flow(next(_flow_ids), self.transport, local, remote, identity)
            self.flows[name] = flow
            self.parties[name].endpoint.connected(flow=flow, now=self.now)
        self.drain()

    def call_later(self, delay: float, work: Callable[[], None]) -> _Timer:
        """A timer on virtual time."""
        cell = [work]
        heapq.heappush(self._timers, (self.now + delay, next(self._count), cell))
        return _Timer(cell)

    def dial(self, caller: str = "alice", *, delayed: bool = False, **changes) -> OutgoingLeg:
        """One party calls the other; the leg is the caller's."""
        party, other = self.parties[caller], self._others[caller]
        uri = SipUri.parse(f"sip:{other}@{_HOSTS[other]}")
        me = SipUri.parse(f"sip:{caller}@{_HOSTS[caller]}")

        def place(body):
            invitation = InviteRequest(
                uri=uri,
                local=NameAddr(None, me, ()),
                remote=NameAddr(None, uri, ()),
                to=self.flows[caller],
                body=body,
                session_timer=None,
            )
            return replace(invitation, **changes)

        leg = OutgoingLeg(party.setup(), place, UNJUDGED, delayed=delayed)
        party.legs.append(leg)
        leg.send_invite()
        return leg

    def answered(self, **options) -> tuple[OutgoingLeg, IncomingLeg]:
        """A call that is up: Alice's leg and Bob's."""
        self.dial(**options)
        self.run(0.1)
        self.bob.leg.accept()
        self.run(0.3)
        return self.alice.leg, self.bob.leg

    def drain(self) -> None:
        """Move transmits onto the link and events to their owners, until there are none."""
        if self.busy:
            return
        self.busy = True
        try:
            while self._drain_once():
                pass
        finally:
            self.busy = False

    def _drain_once(self) -> bool:
        active = False
        for name, party in self.parties.items():
            for transmit in party.endpoint.transmits():
                active = True
                self._transmit(name, transmit)
            while (event := party.endpoint.next_event()) is not None:
                active = True
                party.handle(event)
        return active

    def _transmit(self, name: str, transmit) -> None:
        if transmit.close and isinstance(transmit.to, Flow):
            self.closed.append(transmit.to)
        if not transmit.data:
            return
        self.wire.append((name, transmit.data))
        if transmit.to == self.flows[name] or isinstance(transmit.to, Target):
            self._links[name].put(self.tamper(name, transmit.data), now=self.now)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.now + seconds
        self.drain()
        while (at := self._next()) is not None and at <= end:
            self.clock.advance(at)
            self._step()
        self.clock.advance(end)

    def _next(self) -> float | None:
        deadlines = [link.next() for link in self._links.values()]
        deadlines += [party.endpoint.next_timer() for party in self.parties.values()]
        deadlines.append(self._timers[0][0] if self._timers else None)
        return min((at for at in deadlines if at is not None), default=None)

    def _step(self) -> None:
        for name, other in self._others.items():
            while (data := self._links[name].take(now=self.now)) is not None:
                self.deliver(other, data)
        for party in self.parties.values():
            due = party.endpoint.next_timer()
            if due is not None and due <= self.now:
                party.endpoint.handle_timer(now=self.now)
                self.drain()
        while self._timers and self._timers[0][0] <= self.now:
            _, _, cell = heapq.heappop(self._timers)
            for work in cell:
                work()
            self.drain()

    def deliver(self, to: str, data: bytes, *, flow: Flow | None = None) -> None:
        """Bytes reach a party, maybe on a flow that is not the call's."""
        self.parties[to].endpoint.receive(data, flow=flow or self.flows[to], now=self.now)
        self.drain()

    def cut(self) -> None:
        """The connection breaks at both ends, with what is in flight; a new one may be made."""
        for name, party in self.parties.items():
            self._links[name] = Link(LinkQuality(), reliable=self.transport.reliable, seed=7)
            party.endpoint.disconnected(flow=self.flows[name], reason="reset", now=self.now)
        self.drain()

    def sent(self, name: str) -> list[str]:
        """Methods and statuses that one side has sent, in order."""
        lines = (first_line(data) for sender, data in self.wire if sender == name)
        return [line.split()[1] if line.startswith("SIP/") else line.split()[0] for line in lines]


class _Timer:
    def __init__(self, cell: list[Callable[[], None]]) -> None:
        self._cell = cell

    def cancel(self) -> None:
        self._cell.clear()
