"""Whether a server of the list that we are not registered with is there: keep-alive REGISTERs.

A keep-alive REGISTER binds nothing: Expires is 0 and its Contact carries `cisco-keep-alive`
(Cisco's phones watch their standby servers so).  Sans IO; `softphone.sip.registration.node_list`
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
"""What a phone refers to when it asks for leave to come back."""


@dataclass(frozen=True, slots=True)
class Node:
    """One server of the list: how to register with it, where it is, and what was looked up."""

    config: RegistrationConfig
    targets: tuple[Target, ...]
    lookup_uri: SipUri | None = None


class _MonitorTimer(Enum):
    KEEP_ALIVE = "keep-alive"


class NodeMonitor:
    """Watches one node.

    `answers_since` is when it began to answer without a gap, None while it does not; `granted`
    whether it has given leave to register with it.
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
        """The connection that it is watched over."""
        return self._flow

    def start_monitoring(self, *, now: float) -> None:
        """Ask at once, and from then on every interval."""
        self._send_keep_alive(now)

    def stop_monitoring(self, *, now: float, close: bool) -> None:
        """Ask no more; with `close` the connection is given up, too."""
        self._timers.cancel(_MonitorTimer.KEEP_ALIVE)
        self._exchange = self._asking = None
        self._opening = False
        flow, self._flow = self._flow, None
        if close and flow is not None:
            self._endpoint.close_flow(flow, now=now)

    def request_registration_token(self, *, now: float) -> None:
        """Ask for leave to register there; `granted` says so once it is given."""
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
        """Look at an event; True when it was about this monitor alone."""
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
                # Whoever is not let in has to be stable for as long again.
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
        """Run what is due."""
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
