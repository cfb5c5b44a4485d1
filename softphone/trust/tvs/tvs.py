"""Client and server of the Trust Verification Service, which vouches for unlisted certificates.

Both are machines (see `softphone.sans_io`) over TLS.  The client speaks first and asks one
question a connection, and only a server whose certificate the ITL names as TVS.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from softphone.sans_io import Entropy, Flow, Target, Timers, Transmit
from softphone.trust.lists import Role
from softphone.trust.tvs.message import (
    MalformedTvsMessage,
    TvsAnswer,
    TvsFramer,
    TvsQuestion,
    read_answer,
    read_question,
)

logger = logging.getLogger("softphone.trust")

PORT = 2445
_PATIENCE = 10.0
_MOST_QUESTIONS = 64
_MOST_CACHED = 1024
_NO_IS_KEPT = 60.0


@dataclass(frozen=True, slots=True)
class TvsAnswered:
    """The answer of a verified server about a certificate (DER); `cached` if from the cache."""

    certificate: bytes = field(repr=False)
    answer: TvsAnswer
    cached: bool = False

    def gives(self, role: Role) -> bool:
        """Whether the answer gives the certificate a role."""
        return self.answer.valid and any(role.given_by(value) for value in self.answer.roles)


@dataclass(frozen=True, slots=True)
class TvsUnanswered:
    """No server has answered, so the certificate must not be trusted; `reason` is a sentence."""

    certificate: bytes = field(repr=False)
    reason: str


TvsEvent: TypeAlias = TvsAnswered | TvsUnanswered


class TvsCache:
    """Keeps answers by certificate, a yes for its `ttl`, a no for 60 seconds; 1,024 at most."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, tuple[float, TvsAnswer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find_answer(self, certificate: bytes, *, now: float) -> TvsAnswer | None:
        """The answer about a certificate (DER); None when there is none or it has expired."""
        key = hashlib.sha256(certificate).digest()
        until, answer = self._answers.get(key, (now, None))
        if until <= now:
            self._answers.pop(key, None)
            return None
        return answer

    def store_answer(self, certificate: bytes, answer: TvsAnswer, *, now: float) -> None:
        """Store an answer; drops the oldest beyond 1,024."""
        key = hashlib.sha256(certificate).digest()
        self._answers.pop(key, None)
        self._answers[key] = (now + (answer.ttl if answer.valid else _NO_IS_KEPT), answer)
        if len(self._answers) > _MOST_CACHED:
            self._answers.popitem(last=False)

    def clear(self) -> None:
        """Drop all answers, as after a change of the ITL."""
        self._answers.clear()


@dataclass(slots=True)
class _PendingQuery:
    """The question under way: the servers left to ask, and the connection to the current one."""

    certificate: bytes
    servers: deque[Target]
    session: int = 0
    target: Target | None = None
    flow: Flow | None = None
    framer: TvsFramer = field(default_factory=TvsFramer)
    reason: str = "there is no TVS to ask"


class TvsClient:
    """Asks the servers in order until one answers, one question at a time; caches the answers.

    `servers` are the targets in order of priority, over TLS; `trusted` the SHA-256 fingerprints
    (hex) of the certificates that the ITL names as TVS; `device_name` is sent to the server;
    `patience` is seconds for each server.  Several clients may share a `cache`.
    """

    def __init__(
        self,
        servers: Sequence[Target],
        *,
        trusted: Iterable[str],
        device_name: str,
        entropy: Entropy,
        patience: float = _PATIENCE,
        cache: TvsCache | None = None,
    ) -> None:
        self._servers = tuple(servers)
        self._trusted = frozenset(trusted)
        self._device_name = device_name
        self._entropy = entropy
        self._patience = patience
        self._cache = TvsCache() if cache is None else cache
        self._waiting: OrderedDict[bytes, None] = OrderedDict()
        self._asking: _PendingQuery | None = None
        self._timers: Timers[str] = Timers()
        self._transmits: list[Transmit] = []
        self._events: deque[TvsEvent] = deque()

    def query_certificate(self, certificate: bytes, *, now: float) -> None:
        """Ask about a certificate (DER); an event with the answer follows.

        Questions about a certificate that is already waiting share one event.  With 64 questions
        waiting, the event is TvsUnanswered.
        """
        answer = self._cache.find_answer(certificate, now=now)
        if answer is not None:
            self._events.append(TvsAnswered(certificate, answer, cached=True))
            return
        under_way = self._asking is not None and self._asking.certificate == certificate
        if under_way or certificate in self._waiting:
            return
        if len(self._waiting) >= _MOST_QUESTIONS:
            self._events.append(TvsUnanswered(certificate, "too many questions are waiting"))
            return
        self._waiting[certificate] = None
        self._go_on(now)

    def replace_trusted(self, fingerprints: Iterable[str]) -> None:
        """Replace the trusted TVS certificates after a change of the ITL; clears the cache."""
        self._trusted = frozenset(fingerprints)
        self._cache.clear()

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process bytes of the answer; a malformed one moves on to the next server."""
        asking = self._asking
        if asking is None or asking.flow != flow:
            return
        try:
            message = asking.framer.feed(data)
            if message is None:
                return
            if message.session != asking.session:
                raise MalformedTvsMessage("it answers another question")
            answer = read_answer(message)
        except MalformedTvsMessage as exc:
            self._next_server(f"the answer of {flow.remote[0]} is malformed: {exc}", now)
            return
        self._close(flow)
        self._cache.store_answer(asking.certificate, answer, now=now)
        self._end(TvsAnswered(asking.certificate, answer), now)

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Send the question if the ITL names the server's certificate; else try the next server."""
        asking = self._asking
        if asking is None or target is None or asking.target != target:
            self._close(flow)
            return
        asking.flow = flow
        if flow.identity is None or flow.identity.fingerprint not in self._trusted:
            self._next_server(f"{target.host} is no TVS that the trust list names", now)
            return
        asking.session = int.from_bytes(self._entropy(4), "big")
        question = TvsQuestion(self._device_name, asking.certificate)
        try:
            data = question.message(asking.session).encode()
        except ValueError as exc:
            self._next_server(f"the question does not fit: {exc}", now)
            return
        self._transmits.append(Transmit(data, flow))

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Try the next server when this one closes without an answer or cannot be reached."""
        asking = self._asking
        if asking is None or flow not in (asking.flow, asking.target):
            return
        asking.flow = None
        self._next_server(reason or "the server closed without an answer", now)

    def handle_timer(self, *, now: float) -> None:
        """Try the next server when this one has not answered in time."""
        if self._timers.pop_due(now) is not None:
            self._next_server("the server did not answer in time", now)

    def next_timer(self) -> float | None:
        """The deadline of the current server."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        taken, self._transmits = self._transmits, []
        return taken

    def next_event(self) -> TvsEvent | None:
        """Remove and return the next event; None if there is none."""
        return self._events.popleft() if self._events else None

    def _go_on(self, now: float) -> None:
        """Start the next waiting question when none is under way."""
        if self._asking is None and self._waiting:
            certificate, _ = self._waiting.popitem(last=False)
            self._asking = _PendingQuery(certificate, deque(self._servers))
            self._next_server(self._asking.reason, now)

    def _next_server(self, reason: str, now: float) -> None:
        asking = self._asking
        if asking is None:
            return
        if asking.flow is not None:
            self._close(asking.flow)
        if not asking.servers:
            logger.info("TVS has not answered: %s", reason)
            self._end(TvsUnanswered(asking.certificate, reason), now)
            return
        asking.flow, asking.framer = None, TvsFramer()
        asking.target = asking.servers.popleft()
        self._timers.set("server", now + self._patience)
        self._transmits.append(Transmit(b"", asking.target))

    def _end(self, event: TvsEvent, now: float) -> None:
        self._timers.cancel("server")
        self._events.append(event)
        self._asking = None
        self._go_on(now)

    def _close(self, flow: Flow) -> None:
        self._transmits.append(Transmit(b"", flow, close=True))


@dataclass(frozen=True, slots=True)
class TvsAsked:
    """The server has answered a device's question about a certificate (DER)."""

    device_name: str
    certificate: bytes = field(repr=False)
    answer: TvsAnswer


class TvsServer:
    """Answers one question a connection from `known`, and closes.

    It closes without an answer when the question is malformed or takes longer than `patience`
    seconds.
    """

    def __init__(
        self, known: Callable[[bytes], TvsAnswer | None], *, patience: float = _PATIENCE
    ) -> None:
        self._known = known
        self._patience = patience
        self._framers: dict[Flow, TvsFramer] = {}
        self._timers: Timers[Flow] = Timers()
        self._transmits: list[Transmit] = []
        self._events: deque[TvsAsked] = deque()

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Wait for a question."""
        self._framers[flow] = TvsFramer()
        self._timers.set(flow, now + self._patience)

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process bytes of the question; answer it when it is complete."""
        framer = self._framers.get(flow)
        if framer is None:
            return
        try:
            message = framer.feed(data)
            if message is None:
                return
            question = read_question(message)
        except MalformedTvsMessage:
            self._close(b"", flow)
            return
        answer = self._known(question.certificate) or TvsAnswer(valid=False)
        self._close(answer.message(message.session).encode(), flow)
        self._events.append(TvsAsked(question.device_name, question.certificate, answer))

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Forget the connection."""
        if isinstance(flow, Flow):
            self._framers.pop(flow, None)
            self._timers.cancel(flow)

    def handle_timer(self, *, now: float) -> None:
        """Close the connections whose question did not come in time."""
        while (flow := self._timers.pop_due(now)) is not None:
            self._close(b"", flow)

    def next_timer(self) -> float | None:
        """The earliest deadline of a connection."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        taken, self._transmits = self._transmits, []
        return taken

    def next_event(self) -> TvsAsked | None:
        """Remove and return the next event; None if there is none."""
        return self._events.popleft() if self._events else None

    def _close(self, data: bytes, flow: Flow) -> None:
        self._framers.pop(flow, None)
        self._timers.cancel(flow)
        self._transmits.append(Transmit(data, flow, close=True))
