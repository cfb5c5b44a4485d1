"""An account's signaling as one machine: SIP endpoint, registration and publisher.

Sans IO: `softphone.net.driver.driver` runs it.  Events of flows and of requests outside dialogs go
to the registration first; what neither it nor the publisher takes goes to the account.  The
machine keeps what servers agree to when they register us.  RFC 3261, RFC 5626.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TypeAlias

from softphone.personas import StandardPersona
from softphone.sans_io import Flow, Target
from softphone.sip import (
    Endpoint,
    Exchange,
    FlowClosed,
    FlowOpened,
    PongReceived,
    Publisher,
    Registration,
    RequestFailed,
    Response,
    ResponseReceived,
    SipEvent,
)
from softphone.sip.registration import NodeRegistration, NodeRegistrationEvent

SignalingEvent: TypeAlias = SipEvent | NodeRegistrationEvent
AnyRegistration: TypeAlias = Registration | NodeRegistration


REGISTRATION_EVENTS = (ResponseReceived, RequestFailed, FlowOpened, FlowClosed, PongReceived)
"""The events that may concern a registration or a publication; all others are the account's."""

MAXIMUM_SERVERS = 16
"""The maximum number of servers whose agreements are kept."""


@dataclass(frozen=True, slots=True)
class _Agreement:
    """What a server has agreed to in the 2xx to a REGISTER."""

    vouches: bool
    supported: frozenset[str]


def _name_of(flow: Flow) -> str:
    """Identify the server: by its certificate's fingerprint if there is one, else its address."""
    return flow.remote[0] if flow.identity is None else flow.identity.fingerprint


class ServerAgreements:
    """What each server of an account has agreed to, and whether `persona` lets it vouch."""

    def __init__(self, persona: StandardPersona) -> None:
        self.persona = persona
        self._words: OrderedDict[str, _Agreement] = OrderedDict()

    def record_grant(self, flow: Flow | None, response: Response) -> None:
        """Record the 2xx to a REGISTER over `flow`; the oldest beyond `MAXIMUM_SERVERS` is lost."""
        if flow is None:
            return
        vouches = flow.identity is not None and self.persona.vouches(response)
        supported = frozenset(tag.lower() for tag in response.supported)
        self._words[_name_of(flow)] = _Agreement(vouches, supported)
        self._words.move_to_end(_name_of(flow))
        while len(self._words) > MAXIMUM_SERVERS:
            self._words.popitem(last=False)

    def vouches(self, flow: Flow | None) -> bool:
        """Whether the server at the other end of a flow is verified and may report far ends'
        levels.
        """
        if flow is None or flow.identity is None:
            return False
        word = self._words.get(_name_of(flow))
        return word is not None and word.vouches

    def supported_tags(self, flow: Flow) -> frozenset[str]:
        """Return the server's option tags, in lower case; empty if it has not registered us."""
        word = self._words.get(_name_of(flow))
        return frozenset() if word is None else word.supported


class SignalingMachine:
    """Implements `softphone.sans_io.Machine[SignalingEvent]`.

    `agreements` gets every 2xx to a REGISTER that asked for a binding.
    """

    def __init__(self, endpoint: Endpoint, agreements: ServerAgreements) -> None:
        self.endpoint = endpoint
        self.agreements = agreements
        self.registration: AnyRegistration | None = None
        self.publisher = Publisher(endpoint)
        self._events: deque[SignalingEvent] = deque()
        self._now = 0.0
        self.transmits = endpoint.transmits

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process bytes received on a flow."""
        self.endpoint.receive(data, flow=flow, now=now)
        self._pump(now)

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Note that a flow is open."""
        self.endpoint.connected(flow=flow, now=now, target=target)
        self._pump(now)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Note that a flow has ended, or could not be opened."""
        self.endpoint.disconnected(flow=flow, reason=reason, now=now)
        self._pump(now)

    def handle_timer(self, *, now: float) -> None:
        """Run the due timers of the endpoint and the registration."""
        self.endpoint.handle_timer(now=now)
        if self.registration is not None:
            self.registration.handle_timer(now=now)
        self._pump(now)

    def next_timer(self) -> float | None:
        """Return the earlier deadline of the endpoint and the registration; None if neither."""
        own = self.endpoint.next_timer()
        other = None if self.registration is None else self.registration.next_timer()
        if own is None or other is None:
            return other if own is None else own
        return min(own, other)

    def next_event(self) -> SignalingEvent | None:
        """Remove and return the next event, also one caused by a command; None if there is none."""
        registration = self.registration
        caused = self.endpoint.events or (registration is not None and registration.events)
        if caused and not self._events:
            self._pump(self._now)
        return self._events.popleft() if self._events else None

    def bypasses_registered_flow(self, flow: Flow | None) -> bool:
        """Whether a new request bypasses the registered connection, if the persona allows no other.

        Always False without a registration.
        """
        if not self.agreements.persona.registered_connection_only or self.registration is None:
            return False
        return flow is None or flow != self.registration.flow

    def _pump(self, now: float) -> None:
        self._now = max(self._now, now)
        while self.endpoint.events:
            event = self.endpoint.events.popleft()
            if not (isinstance(event, REGISTRATION_EVENTS) and self._take(event)):
                self._events.append(event)
        if self.registration is not None:
            self._events.extend(self.registration.events)
            self.registration.events.clear()

    def _take(self, event: SipEvent) -> bool:
        """Pass an event to the registration and the publisher; True if only one of them is
        concerned.
        """
        if isinstance(event, ResponseReceived):
            self._note_response(event)
        registration = self.registration
        if registration is not None and registration.handle_event(event, now=self._now):
            return True
        return self.publisher.handle_event(event, now=self._now)

    def _note_response(self, event: ResponseReceived[Exchange]) -> None:
        request = event.exchange.request
        if request.method == "REGISTER" and request.expires != 0 and event.response.success:
            self.agreements.record_grant(event.exchange.flow, event.response)
