"""The client side of one binding (RFC 3261 section 10.2, RFC 5626, RFC 6223, RFC 5627).

`Registration` opens a flow through its `Endpoint`, registers over it, refreshes before expiry,
probes the flow and replaces it when it fails, with the jittered back-off of RFC 5626 section 4.5.
Its owner passes it every event of the endpoint and drives its timer:

    while (event := endpoint.next_event()) is not None:
        if not registration.handle_event(event, now=now): ...
    while registration.events: handle(registration.events.popleft())

It resolves no names: the targets come from `softphone.sip.transport.server_location`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

from softphone.events import FlowLost, FlowRestored, RegistrationChanged, RegistrationState
from softphone.sans_io import Entropy, Flow, Target, Timers
from softphone.sip.auth import Authenticator
from softphone.sip.endpoint import Endpoint, SipEvent
from softphone.sip.events import (
    FlowClosed,
    FlowOpened,
    PongReceived,
    RequestFailed,
    ResponseReceived,
)
from softphone.sip.message import NameAddr, Response
from softphone.sip.registration.backoff import RegistrationBackoff
from softphone.sip.registration.binding import (
    Binding,
    RegisterOutcome,
    judge_register_status,
    read_binding,
    read_keep_alive_terms,
    why_refused,
)
from softphone.sip.registration.config import RegistrationConfig, refresh_after
from softphone.sip.registration.register_request import RegisterBuilder
from softphone.sip.transaction import Exchange
from softphone.sip.transport import Failover, FlowDead, KeepAlive, Probe

__all__ = [
    "Registration",
    "RegistrationConfig",
    "RegistrationEvent",
]

RegistrationEvent: TypeAlias = RegistrationChanged | FlowLost | FlowRestored

MAXIMUM_ADJUSTMENTS = 3
"""How many times in a row a REGISTER is adjusted (423, 439) and sent again."""


class _RegistrationTimer(StrEnum):
    REFRESH = "refresh"
    RETRY = "retry"
    EXPIRY = "expiry"
    PROBE = "probe"


class Registration:
    """The client side of one binding.

    Pass it every event of the endpoint (`handle_event`), call `handle_timer` at `next_timer`, and
    take its own events out of `events`, oldest first.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: RegistrationConfig,
        *,
        targets: Sequence[Target],
        entropy: Entropy,
        credentials: Authenticator | None = None,
    ) -> None:
        """`targets` are those of the registrar or the outbound proxy, best first.

        Raises ValueError if there are none.
        """
        self._endpoint = endpoint
        self._config = config
        self._entropy = entropy
        self._credentials = credentials
        self._failover = Failover(targets)
        self._target = targets[0]
        self._state = RegistrationState.UNREGISTERED
        self._binding: Binding | None = None
        self._contact: NameAddr | None = None
        self._superseded: NameAddr | None = None
        self._flow: Flow | None = None
        self._lost_flow: Flow | None = None
        self._opening: Target | None = None
        self._loss_reported = False
        self._exchange: Exchange | None = None
        self._probe: Exchange | None = None
        self._keepalive: KeepAlive | None = None
        self._leaving = False
        self._adjustments = 0
        self._backoff = RegistrationBackoff(config.backoff, entropy=entropy)
        self._builder = RegisterBuilder(config, entropy=entropy)
        self._timers: Timers[_RegistrationTimer] = Timers()
        self.next_timer = self._timers.next_deadline
        self.events: deque[RegistrationEvent] = deque()

    @property
    def state(self) -> RegistrationState:
        """The state of the registration; RegistrationChanged reports each change."""
        return self._state

    @property
    def binding(self) -> Binding | None:
        """The granted binding; None without one or after it has expired."""
        return self._binding

    @property
    def contact(self) -> NameAddr | None:
        """The Contact for our requests: the public GRUU if one was given (RFC 5627).

        None without a binding.
        """
        if self._binding is None:
            return None
        gruu = self._binding.public_gruu
        return NameAddr(None, self._binding.contact.uri if gruu is None else gruu)

    @property
    def flow(self) -> Flow | None:
        """The flow that the binding belongs to, while it is open."""
        return self._flow

    @property
    def call_id(self) -> str:
        """The Call-ID of every REGISTER of this registration."""
        return self._builder.call_id

    @property
    def target(self) -> Target:
        """The target of the flow, or the next one to try."""
        return self._target

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target, best first."""
        return self._failover.targets

    @property
    def probe(self) -> Probe:
        """The kind of probe for the flow: none, CRLF or OPTIONS."""
        return Probe.NONE if self._keepalive is None else self._keepalive.probe

    # Commands

    def register(self, *, now: float) -> None:
        """Register if UNREGISTERED or FAILED; do nothing in any other state."""
        if self._state in (RegistrationState.UNREGISTERED, RegistrationState.FAILED):
            self._leaving = False
            self._backoff.reset()
            self._enter_state(RegistrationChanged(RegistrationState.REGISTERING))
            self._attempt(now)

    def refresh(self, *, now: float) -> None:
        """Send REGISTER now, ahead of refresh or back-off, if REGISTERED or RECOVERING."""
        if self._state in (RegistrationState.REGISTERED, RegistrationState.RECOVERING):
            self._attempt(now)

    def unregister(self, *, now: float) -> None:
        """Remove the binding (Expires: 0); the state becomes UNREGISTERED whatever the response."""
        if self._leaving or self._state is RegistrationState.UNREGISTERED:
            return
        self._stop_timers()
        self._opening = None
        if self._exchange is not None:
            # A REGISTER must wait for the final response to the one before (RFC 3261 10.2).
            self._leaving = True
        elif self._flow is not None and self._state is not RegistrationState.FAILED:
            self._leaving = True
            self._send_register(self._flow, now, leaving=True)
        else:
            failed = self._state is RegistrationState.FAILED
            self._enter_unregistered(
                0, "" if failed else "there was no connection to unregister on"
            )

    def set_targets(self, targets: Sequence[Target], *, now: float) -> None:
        """Set the targets from a new look-up; the next flow uses them.

        Raises ValueError if there are none.
        """
        self._failover.update_targets(targets)
        if self._flow is None and self._opening is None:
            self._target = self._failover.choose_target(now=now) or self._failover.targets[0]

    # The machine

    def handle_event(self, event: SipEvent, *, now: float) -> bool:
        """Handle an event of the endpoint; return True if it concerned only this registration."""
        if isinstance(event, ResponseReceived):
            return self._handle_response(event.exchange, event.response, event.final, now)
        if isinstance(event, RequestFailed):
            return self._request_failed(event.exchange, event.status_hint, event.reason, now)
        if isinstance(event, FlowOpened):
            if self._opening is not None and event.target == self._opening:
                self._register_over(event.flow, now)
        elif isinstance(event, FlowClosed):
            self._flow_closed(event.flow, event.reason or "the server closed it", now)
        elif isinstance(event, PongReceived) and event.flow == self._flow:
            self._note_activity(now)
        return False

    def handle_timer(self, *, now: float) -> None:
        """Run what is due: refresh, retry, expiry, probe."""
        while (timer := self._timers.pop_due(now)) is not None:
            if timer is _RegistrationTimer.EXPIRY:
                self._binding = None
                if self._state is RegistrationState.REGISTERED:
                    state, reason = RegistrationState.RECOVERING, "the binding has expired"
                    self._enter_state(RegistrationChanged(state, 0, reason))
            elif timer is _RegistrationTimer.PROBE:
                self._run_probe(now)
            else:
                self._attempt(now)

    # Attempts

    def _attempt(self, now: float) -> None:
        """Send a REGISTER, over a new flow if there is none; nothing while one is pending."""
        self._timers.cancel(_RegistrationTimer.RETRY)
        self._timers.cancel(_RegistrationTimer.REFRESH)
        if self._exchange is not None or self._opening is not None or self._leaving:
            return
        if self._flow is not None:
            self._send_register(self._flow, now)
            return
        self._target = self._failover.choose_target(now=now) or self._target
        flow = self._endpoint.flow_of(self._target)
        self._opening = self._target
        if flow is None:
            self._endpoint.open_flow(self._target, now=now)
        else:
            self._register_over(flow, now)

    def _register_over(self, flow: Flow, now: float) -> None:
        self._opening = None
        self._flow = flow
        self._backoff.flow_ended(now=now)
        self._stop_probes()
        bound = self._binding
        self._contact = self._make_contact(flow)
        # Without outbound a registrar cannot know that the new binding replaces the old one.
        same = bound is not None and bound.contact.uri.equivalent(self._contact.uri)
        self._superseded = None if bound is None or bound.outbound or same else bound.contact
        self._send_register(flow, now)

    def _send_register(self, flow: Flow, now: float, *, leaving: bool = False) -> None:
        if self._contact is None:
            return
        request = self._builder.build_register(self._contact, self._superseded, leaving=leaving)
        self._exchange = self._endpoint.send_request(
            request, to=flow, now=now, credentials=self._credentials
        )

    def _make_contact(self, flow: Flow) -> NameAddr:
        config = self._config
        return self._builder.complete_contact(
            self._endpoint.contact_for_flow(flow, config.user, secure=config.secure_contact)
        )

    # Answers

    def _handle_response(
        self, exchange: Exchange, response: Response, final: bool, now: float
    ) -> bool:
        if exchange in (self._exchange, self._probe):
            self._note_activity(now)
        if exchange is self._probe:
            self._probe = None if final else exchange
            return True
        if exchange is not self._exchange:
            return False
        if not final:
            return True
        self._exchange = None
        self._builder.note_sequence(exchange.request)
        if self._leaving:
            self._handle_unregister_response(exchange, response, now)
        else:
            self._judge_response(response, now)
        return True

    def _judge_response(self, response: Response, now: float) -> None:
        outcome = judge_register_status(response.status)
        retry_after = float(response.retry_after.delta) if response.retry_after else 0.0
        if outcome is RegisterOutcome.GRANTED:
            self._granted(response, now)
        elif outcome in (RegisterOutcome.TOO_BRIEF, RegisterOutcome.WITHOUT_OUTBOUND):
            self._adjust(outcome, response, now)
        elif outcome is RegisterOutcome.REFUSED and not retry_after:
            self._refused(response.status, why_refused(response, self._credentials))
        else:
            reason = why_refused(response, self._credentials)
            self._failed(response.status, reason, now, retry_after=retry_after)

    def _granted(self, response: Response, now: float) -> None:
        contact, flow = self._contact, self._flow
        if contact is None or flow is None:
            # The flow ended before this response was handled: register again.
            self._failed(503, "the connection was lost", now)
            return
        binding = read_binding(response, contact=contact, asked=self._builder.expires, now=now)
        if binding.expires <= 0:
            reason = "the registrar did not keep our contact"
            self._failed(response.status, reason, now, retry_after=0.0)
            return
        self._binding = binding
        self._adjustments = 0
        self._superseded = None
        self._builder.mark_granted()
        wait = refresh_after(
            binding.expires, entropy=self._entropy, early=self._config.refresh_early
        )
        self._set_refresh(now + wait)
        self._timers.set(_RegistrationTimer.EXPIRY, binding.expires_at)
        if self._keepalive is None:
            self._keepalive = KeepAlive(
                transport=flow.transport,
                entropy=self._entropy,
                now=now,
                config=self._config.keepalive,
            )
        self._keepalive.apply_terms(read_keep_alive_terms(response), now=now)
        self._arm_probe(self._keepalive)
        self._enter_served(flow, response, now, binding.expires)

    def _set_refresh(self, at: float) -> None:
        self._timers.set(_RegistrationTimer.REFRESH, at)

    def _enter_served(
        self, flow: Flow, response: Response, now: float, expires: float | None = None
    ) -> None:
        """Take note that the server of `flow` serves us: move dialogs to it, report it."""
        self._failover.mark_succeeded(self._target)
        self._backoff.flow_registered(now=now)
        if self._lost_flow is not None:
            self._endpoint.rebind_flow(self._lost_flow, flow, now=now)
            self._lost_flow = None
        if self._loss_reported:
            self._loss_reported = False
            self.events.append(FlowRestored())
        state = RegistrationState.REGISTERED
        change = RegistrationChanged(state, response.status, response.reason, expires)
        self._enter_state(change)

    def _adjust(self, outcome: RegisterOutcome, response: Response, now: float) -> None:
        """Send REGISTER again with a longer Expires (423) or without outbound (439)."""
        self._adjustments += 1
        if outcome is RegisterOutcome.TOO_BRIEF:
            possible = self._builder.raise_expires(response.min_expires or 0)
        else:
            possible = self._builder.give_up_outbound()
        if not possible or self._adjustments > MAXIMUM_ADJUSTMENTS or self._flow is None:
            self._refused(response.status, response.reason)
            return
        self._contact = self._make_contact(self._flow)
        self._send_register(self._flow, now)

    def _refused(self, status: int, reason: str) -> None:
        self._stop_timers()
        self._binding = None
        self._stop_probes()
        self._adjustments = 0
        self._enter_state(RegistrationChanged(RegistrationState.FAILED, status, reason))

    def _handle_unregister_response(
        self, exchange: Exchange, response: Response, now: float
    ) -> None:
        """Handle a final response while unregistering, to the Expires: 0 REGISTER or one before."""
        if exchange.request.expires == 0 or self._flow is None or self._contact is None:
            self._enter_unregistered(response.status, response.reason)
        else:
            self._send_register(self._flow, now, leaving=True)

    def _enter_unregistered(self, status: int, reason: str, *, unanswered: bool = False) -> None:
        self._stop_timers()
        self._leaving = False
        self._binding = None
        self._lost_flow = None
        self._loss_reported = False
        state = RegistrationState.UNREGISTERED
        self._enter_state(RegistrationChanged(state, status, reason, unanswered=unanswered))

    # Failures

    def _request_failed(self, exchange: Exchange, status: int, reason: str, now: float) -> bool:
        if exchange is self._probe:
            self._probe = None
            if exchange.to == self._flow:
                self._flow_dead(reason, now)
            return True
        if exchange is not self._exchange:
            return False
        self._exchange = None
        self._builder.note_sequence(exchange.request)
        if self._leaving:
            self._enter_unregistered(status, reason, unanswered=True)
            return True
        lost = self._abandon_flow(now)
        wait = self._failed(status, reason, now)
        if lost and self._binding is not None:
            self._report_loss(reason, wait)
        return True

    def _flow_closed(self, flow: Flow | Target, reason: str, now: float) -> None:
        if isinstance(flow, Target):
            if self._opening is not None and flow == self._opening:
                self._opening = None
                self._failed(503, reason, now)
            return
        # A pending REGISTER will report its own failure, which starts the recovery.
        if flow == self._flow and self._exchange is None:
            self._lose_flow(reason, now)

    def _flow_dead(self, reason: str, now: float) -> None:
        """Close a flow whose probe got no answer, so that other requests on it fail too."""
        if self._flow is not None and self._exchange is None:
            self._endpoint.close_flow(self._flow, now=now)
            self._lose_flow(reason, now)

    def _abandon_flow(self, now: float) -> bool:
        """Drop the flow of a failed REGISTER; close it and return True if it is a stream."""
        broken = self._flow is not None and self._flow.transport.reliable
        if self._flow is not None and broken:
            self._lost_flow = self._lost_flow or self._flow
            self._endpoint.close_flow(self._flow, now=now)
        self._forget_flow()
        return broken

    def _report_loss(self, reason: str, wait: float) -> None:
        """Report FlowLost, once until the flow is restored."""
        if not self._loss_reported:
            self._loss_reported = True
            self.events.append(FlowLost(reason, wait))

    def _forget_flow(self) -> None:
        self._flow = None
        self._stop_probes()

    def _lose_flow(self, reason: str, now: float) -> None:
        """Drop the lost flow of a binding and schedule the attempt to replace it."""
        self._lost_flow = self._lost_flow or self._flow
        self._forget_flow()
        self._timers.cancel(_RegistrationTimer.REFRESH)
        if self._state not in (RegistrationState.REGISTERED, RegistrationState.RECOVERING):
            return
        wait = self._backoff.delay_after_loss(now=now)
        self._timers.set(_RegistrationTimer.RETRY, now + wait)
        self._report_loss(reason, wait)
        self._enter_state(RegistrationChanged(RegistrationState.RECOVERING, 0, reason))

    def _failed(
        self, status: int, reason: str, now: float, *, retry_after: float | None = None
    ) -> float:
        """Try the next target at once, or wait if there is none; return the wait in seconds.

        `retry_after` None: no response came.
        """
        self._backoff.flow_ended(now=now)
        asked, unanswered = retry_after or 0.0, retry_after is None
        self._failover.mark_failed(self._target, now=now, retry_after=asked)
        following = self._failover.choose_target(now=now)
        if following is not None:
            self._target = following
            self._lost_flow = self._lost_flow or self._flow
            self._forget_flow()
            self._attempt(now)
            return 0.0
        wait = self._backoff.delay_after_failure(retry_after)
        self._timers.cancel(_RegistrationTimer.REFRESH)
        self._timers.set(_RegistrationTimer.RETRY, now + wait)
        state = self._state = RegistrationState.RECOVERING
        self.events.append(RegistrationChanged(state, status, reason, None, asked, unanswered))
        return wait

    # Probes

    def _note_activity(self, now: float) -> None:
        if self._keepalive is not None:
            self._keepalive.note_activity(now=now)
            self._arm_probe(self._keepalive)

    def _arm_probe(self, keepalive: KeepAlive) -> None:
        if keepalive.deadline is None:
            self._timers.cancel(_RegistrationTimer.PROBE)
        else:
            self._timers.set(_RegistrationTimer.PROBE, keepalive.deadline)

    def _run_probe(self, now: float) -> None:
        if self._keepalive is None:
            return
        due = self._keepalive.handle_timer(now=now)
        self._arm_probe(self._keepalive)
        if isinstance(due, FlowDead):
            self._flow_dead(due.reason, now)
        elif due is not None:
            self._send_probe(due.probe, now)

    def _stop_probes(self) -> None:
        self._keepalive = None
        self._timers.cancel(_RegistrationTimer.PROBE)

    def _send_probe(self, probe: Probe, now: float) -> None:
        if self._flow is None:
            return
        if probe is Probe.CRLF:
            self._endpoint.ping_flow(self._flow, now=now)
        elif self._exchange is None:
            # A pending REGISTER probes the flow as well.
            request = self._builder.build_options()
            self._probe = self._endpoint.send_request(request, to=self._flow, now=now)

    def _stop_timers(self) -> None:
        # Not the probes: they go on as long as the flow is open, since calls may go on over it.
        for timer in (
            _RegistrationTimer.REFRESH,
            _RegistrationTimer.RETRY,
            _RegistrationTimer.EXPIRY,
        ):
            self._timers.cancel(timer)

    def _enter_state(self, change: RegistrationChanged) -> None:
        """Enter and report a new state; do nothing if it is the current one."""
        if change.state is not self._state:
            self._state = change.state
            self.events.append(change)
