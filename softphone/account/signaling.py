"""An account's signaling as one machine: its SIP endpoint, its registration and what it publishes.

Sans IO: `softphone.net.driver.driver` runs it.  The registration sees every event of the endpoint
first; what is not its own goes to the account.  RFC 3261, RFC 5626.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from softphone.sans_io import Flow, Target, Transmit
from softphone.sip import (
    Endpoint,
    Exchange,
    Publisher,
    Registration,
    Response,
    ResponseReceived,
    SipEvent,
)
from softphone.sip.registration import NodeRegistration, NodeRegistrationEvent

__all__ = ["AnyRegistration", "SignalingEvent", "SignalingMachine"]

SignalingEvent: TypeAlias = SipEvent | NodeRegistrationEvent
AnyRegistration: TypeAlias = Registration | NodeRegistration


class SignalingMachine:
    """Implements `softphone.sans_io.Machine[SignalingEvent]`.

    `on_registered(flow, response)` is called with every 2xx to a REGISTER that asked for a
    binding.
    """

    def __init__(
        self, endpoint: Endpoint, on_registered: Callable[[Flow | None, Response], None]
    ) -> None:
        self.endpoint = endpoint
        self.registration: AnyRegistration | None = None
        self.publisher = Publisher(endpoint)
        self._on_registered = on_registered
        self._events: deque[SignalingEvent] = deque()
        self._now = 0.0

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Take bytes."""
        self.endpoint.receive(data, flow=flow, now=now)
        self._pump(now)

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """A flow is open."""
        self.endpoint.connected(flow=flow, now=now, target=target)
        self._pump(now)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """A flow has ended, or could not be opened."""
        self.endpoint.disconnected(flow=flow, reason=reason, now=now)
        self._pump(now)

    def handle_timer(self, *, now: float) -> None:
        """Run what is due, of both."""
        self.endpoint.handle_timer(now=now)
        if self.registration is not None:
            self.registration.handle_timer(now=now)
        self._pump(now)

    def next_timer(self) -> float | None:
        """The earlier deadline."""
        own = self.endpoint.next_timer()
        other = None if self.registration is None else self.registration.next_timer()
        if own is None or other is None:
            return other if own is None else own
        return min(own, other)

    def transmits(self) -> list[Transmit]:
        """Take out what is to be sent."""
        return self.endpoint.transmits()

    def next_event(self) -> SignalingEvent | None:
        """Take out the next event; what commands brought up since is looked at first."""
        self._pump(self._now)
        return self._events.popleft() if self._events else None

    def _pump(self, now: float) -> None:
        self._now = max(self._now, now)
        while (event := self.endpoint.next_event()) is not None:
            self._note(event)
            registration = self.registration
            if registration is not None and registration.handle_event(event, now=self._now):
                continue
            if not self.publisher.handle_event(event, now=self._now):
                self._events.append(event)
        if self.registration is not None:
            while (change := self.registration.next_event()) is not None:
                self._events.append(change)

    def _note(self, event: SipEvent) -> None:
        if isinstance(event, ResponseReceived) and isinstance(event.exchange, Exchange):
            exchange = event.exchange
            registers = exchange.request.method == "REGISTER" and exchange.request.expires != 0
            if registers and event.response.success:
                self._on_registered(exchange.flow, event.response)
