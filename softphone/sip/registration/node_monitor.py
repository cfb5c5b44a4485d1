"""Monitors a server that we are not registered with, by keep-alive REGISTERs.

A keep-alive REGISTER creates no binding: Expires is 0 and its Contact has `cisco-keep-alive`, as
Cisco phones do with their standby servers.  Sans I/O; `softphone.sip.registration.node_list`
drives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from softphone.sans_io import Entropy, Flow, Target, Timers
from softphone.sip.auth import Authenticator
from softphone.sip.endpoint import Endpoint, SipEvent
from softphone.sip.events import FlowClosed, FlowOpened, RequestFailed, ResponseReceived
from softphone.sip.message import AbsoluteUri, NameAddr, Request, SipUri
from softphone.sip.registration.config import RegistrationConfig
from softphone.sip.registration.register_request import RegisterBuilder
from softphone.sip.transaction import Exchange

TOKEN = NameAddr(None, AbsoluteUri("urn", "x-cisco-remotecc:token-registration"), ())
"""The Refer-To of the REFER that asks a server for a registration token before failback."""


@dataclass(frozen=True, slots=True)
class Node:
    """One server of the list: its registration, its targets, and the URI they were looked up by."""

    config: RegistrationConfig
    targets: tuple[Target, ...]
    lookup_uri: SipUri | None = None


class _MonitorTimer(Enum):
    KEEP_ALIVE = "keep-alive"


class NodeMonitor:
    """Monitors one node.

    `answers_since` is the time since when every keep-alive got a 2xx, None while they do not;
    `granted` says whether the node granted a registration token.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        node: Node,
        *,
        entropy: Entropy,
        interval: float,
        credentials: Authenticator | None = None,
    ) -> None:
        self.node = node
        self.answers_since: float | None = None
        self.granted = False
        self._endpoint = endpoint
        self._interval = interval
        self._credentials = credentials
        self._builder = RegisterBuilder(node.config, entropy=entropy)
        self._target = node.targets[0]
        self._flow: Flow | None = None
        self._opening = False
        self._exchange: Exchange | None = None
        self._asking: Exchange | None = None
        self._timers: Timers[_MonitorTimer] = Timers()

    @property
    def flow(self) -> Flow | None:
        """The connection for the keep-alives, None while there is none."""
        return self._flow

    def start_monitoring(self, *, now: float) -> None:
        """Send a keep-alive at once, and another `interval` seconds after each response."""
        self._send_keep_alive(now)

    def stop_monitoring(self, *, now: float, close: bool) -> None:
        """Stop sending keep-alives; `close` also closes the connection."""
        self._timers.cancel(_MonitorTimer.KEEP_ALIVE)
        self._exchange = self._asking = None
        self._opening = False
        flow, self._flow = self._flow, None
        if close and flow is not None:
            self._endpoint.close_flow(flow, now=now)

    def request_registration_token(self, *, now: float) -> None:
        """Send a REFER for a registration token; a 2xx sets `granted`.

        Does nothing without a connection or while one is pending.
        """
        if self._asking is not None or self._flow is None:
            return
        config = self.node.config
        contact = self._endpoint.contact_for_flow(
            self._flow, config.user, secure=config.secure_contact
        )
        fields = [
            ("From", str(config.aor)),
            ("To", str(config.aor)),
            ("Contact", str(contact)),
            ("Refer-To", str(TOKEN)),
            ("Require", "norefersub"),
            ("Refer-Sub", "false"),
        ]
        request = Request.build("REFER", config.registrar, fields)
        self._asking = self._endpoint.send_request(
            request, to=self._flow, now=now, credentials=self._credentials
        )

    def handle_event(self, event: SipEvent, *, now: float) -> bool:
        """Handle an event; return True if it concerned only this monitor."""
        if isinstance(event, ResponseReceived):
            return self._answered(event.exchange, event.response.status, event.final, now)
        if isinstance(event, RequestFailed):
            return self._answered(event.exchange, event.status_hint, True, now)
        if isinstance(event, FlowOpened) and self._opening and event.target == self._target:
            self._opening = False
            self._flow = event.flow
            self._send_keep_alive(now)
        elif isinstance(event, FlowClosed) and event.flow in (self._flow, self._target):
            self._lost(now)
        return False

    def _answered(self, exchange: Exchange, status: int, final: bool, now: float) -> bool:
        if exchange is self._asking:
            if final:
                self._asking = None
                self.granted = 200 <= status < 300
                # A node that refuses the token must answer for `stable` seconds again.
                self.answers_since = self.answers_since if self.granted else now
            return True
        if exchange is not self._exchange:
            return False
        if final:
            self._exchange = None
            self._builder.note_sequence(exchange.request)
            there = 200 <= status < 300
            if not there:
                self.answers_since = None
            elif self.answers_since is None:
                self.answers_since = now
            self._timers.set(_MonitorTimer.KEEP_ALIVE, now + self._interval)
        return True

    def _lost(self, now: float) -> None:
        if self._flow is None and not self._opening:
            return
        self._flow, self._opening, self.granted = None, False, False
        self._exchange = self._asking = None
        self.answers_since = None
        self._timers.set(_MonitorTimer.KEEP_ALIVE, now + self._interval)

    def handle_timer(self, *, now: float) -> None:
        """Send the keep-alive that is due."""
        while self._timers.pop_due(now) is not None:
            self._send_keep_alive(now)

    def next_timer(self) -> float | None:
        """The earliest deadline, or None."""
        return self._timers.next_deadline()

    def _send_keep_alive(self, now: float) -> None:
        if self._exchange is not None or self._opening:
            return
        if self._flow is None:
            self._flow = self._endpoint.flow_of(self._target)
        if self._flow is None:
            self._opening = True
            self._endpoint.open_flow(self._target, now=now)
            return
        config = self.node.config
        contact = self._builder.complete_contact(
            self._endpoint.contact_for_flow(self._flow, config.user, secure=config.secure_contact)
        )
        self._exchange = self._endpoint.send_request(
            self._builder.build_keep_alive(contact),
            to=self._flow,
            now=now,
            credentials=self._credentials,
        )
