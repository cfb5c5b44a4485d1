"""Many users on one endpoint and one driver, kept registered and, if asked, subscribed.

Sans-I/O: `softphone.net.Driver` runs it, and it counts into a `Tally`.  Users with equal targets
share one connection.  Each binding refreshes itself and comes back after a loss as that of a phone
does (`softphone.sip.registration`); this machine routes events, keeps the timers in one heap, and
measures.  RFC 3261 section 10.2, RFC 5626, RFC 6665, RFC 3842.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from softphone.events import FlowLost, FlowRestored, RegistrationChanged, RegistrationState
from softphone.load.measure import (
    FULL_RECOVERY,
    NOTIFICATION,
    RECOVERY,
    REFRESH,
    RESUBSCRIPTION,
    SUBSCRIPTION,
    Operation,
    Tally,
    status_cause,
)
from softphone.sans_io import Entropy, Flow, Side, Target
from softphone.sip import (
    Endpoint,
    EndpointConfig,
    Exchange,
    FlowClosed,
    FlowOpened,
    NotifyReceived,
    PongReceived,
    Registration,
    RegistrationConfig,
    Request,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    SipEvent,
    SipUri,
    SubscribeRequest,
    SubscriberUsage,
    SubscriptionAccepted,
    SubscriptionTerminated,
)
from softphone.sip.auth import Authenticator
from softphone.sip.event_packages import message_summary
from softphone.sip.registration.config import refresh_after
from softphone.sip.transport import Failover, KeepAliveConfig

NOTIFIES = "NOTIFYs"
CHANGES = "state changes"
MWI_CHANGES = "message waiting changes"
NO_NOTIFY = "no NOTIFY"
PATIENCE = 33.0
"""Seconds after which a SUBSCRIBE has failed: the transaction's 64*T1, and one more."""
AGAIN = 4.0
"""Seconds until a user subscribes again whose subscription was refused, or has ended."""
LEAVING_AT_ONCE = 64
"""Bindings that are removed at the same time."""


@dataclass(frozen=True, slots=True)
class SubscriptionWanted:
    """What every user subscribes to once it is registered: an event package of its own AOR.

    `accept` has media types; `expires` is in s.
    """

    event: str
    accept: tuple[str, ...]
    expires: float


@dataclass(slots=True, eq=False)
class FleetUser:
    """A user: its registration, subscription, and start times of pending operations, in s.

    `begun` is when its pending first registration began, `lost` when its binding was lost, `armed`
    its deadline among the timers; `state` is what the last NOTIFY said.
    """

    registration: Registration
    config: RegistrationConfig
    credentials: Authenticator | None
    begun: float | None = None
    lost: float | None = None
    bound: bool = False
    armed: float | None = None
    usage: SubscriberUsage | None = None
    asked: tuple[Operation, float] | None = None
    """The operation whose SUBSCRIBE is unanswered, and when it was sent."""
    unnotified: float | None = None
    """When the SUBSCRIBE was sent that has no NOTIFY yet."""
    state: object = None
    again: float | None = None
    """When the next SUBSCRIBE is due, or the last one is given up."""


class _FleetEndpoint(Endpoint):
    """An endpoint that notes when each request outside a dialog was sent, and for whom."""

    def __init__(
        self, entropy: Entropy, config: EndpointConfig | None, own: Callable[[Flow], bool]
    ) -> None:
        super().__init__(side=Side.CLIENT, entropy=entropy, config=config, own_server=own)
        self.sender: FleetUser | None = None
        self.sent: dict[Exchange, tuple[FleetUser | None, float]] = {}

    def send_request(
        self,
        request: Request,
        *,
        to: Flow | Target,
        now: float,
        credentials: Authenticator | None = None,
        failover: Failover | None = None,
    ) -> Exchange:
        exchange = super().send_request(
            request, to=to, now=now, credentials=credentials, failover=failover
        )
        self.sent[exchange] = self.sender, now
        return exchange


class UserFleet:
    """Implements `softphone.sans_io.Machine[SipEvent]`; all its events are dealt with here.

    `tally` returns the current tally, `explain` the cause of a connection that was not made, as a
    short word.  `subscribed` is what each user subscribes to; None for nothing.
    """

    def __init__(
        self,
        *,
        entropy: Entropy,
        tally: Callable[[], Tally],
        explain: Callable[[Target], str] = lambda target: "no connection",
        subscribed: SubscriptionWanted | None = None,
        config: EndpointConfig | None = None,
    ) -> None:
        self.endpoint = _FleetEndpoint(entropy, config, self._is_ours)
        self.users: list[FleetUser] = []
        self.bound = 0
        """How many bindings there are now."""
        self._entropy = entropy
        self._tally = tally
        self._explain = explain
        self._subscribed = subscribed
        self._by_name: dict[str, FleetUser] = {}
        self._by_usage: dict[SubscriberUsage, FleetUser] = {}
        self._on_target: dict[Target, list[FleetUser]] = {}
        self._on_flow: dict[Flow, Target] = {}
        self._heap: list[tuple[float, int, FleetUser]] = []
        self._entries = 0
        self._now = 0.0
        self._lost: set[FleetUser] = set()
        self._outage: float | None = None
        self._leaving: list[FleetUser] | None = None
        self._removing: set[FleetUser] = set()
        self._passes = False
        self.on_left: Callable[[], None] = lambda: None
        """Called when `leave` is done."""
        self.transmits = self.endpoint.transmits

    def _is_ours(self, flow: Flow) -> bool:
        """Whether a flow leads to a server that we have connected to."""
        return flow in self._on_flow

    # Users

    def add_user(
        self,
        config: RegistrationConfig,
        targets: tuple[Target, ...],
        credentials: Authenticator | None,
    ) -> FleetUser:
        """Add a user; those with the same targets share a connection, which the first probes."""
        if targets[0] in self._on_target:
            quiet = KeepAliveConfig(options_interval=0.0, datagram_interval=0.0)
            config = replace(config, outbound=False, keepalive=quiet)
        registration = Registration(
            self.endpoint,
            config,
            targets=targets,
            entropy=self._entropy,
            credentials=credentials,
        )
        user = FleetUser(registration, config, credentials)
        self.users.append(user)
        self._by_name.setdefault(config.user, user)
        for target in targets:
            self._on_target.setdefault(target, []).append(user)
        return user

    def register(self, user: FleetUser, *, now: float) -> None:
        """Begin to register a user."""
        self._tally().registrations += 1
        user.begun = now
        self._registration(user).register(now=now)
        self._settle(user, now)

    def leave(self, *, now: float) -> None:
        """Remove all bindings, at most 64 at once; then call `on_left`."""
        self._leaving = [
            user
            for user in reversed(self.users)
            if user.registration.state is not RegistrationState.UNREGISTERED
        ]
        self._leave_further(now)

    def _registration(self, user: FleetUser) -> Registration:
        """The registration of a user, who sends what it sends now."""
        self.endpoint.sender = user
        return user.registration

    def _leave_further(self, now: float) -> None:
        # A binding without a connection is gone at once, which must not begin this anew.
        waiting = self._leaving
        if waiting is None or self._passes:
            return
        self._passes = True
        while waiting and len(self._removing) < LEAVING_AT_ONCE:
            user = waiting.pop()
            self._removing.add(user)
            self._registration(user).unregister(now=now)
            self._settle(user, now)
        self._passes = False
        if not waiting and not self._removing:
            self._leaving = None
            self.on_left()

    # The machine

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process bytes received on a flow."""
        self.endpoint.receive(data, flow=flow, now=now)
        self._pump(now)

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Note that a flow is open."""
        if target is not None:
            self._on_flow[flow] = target
        self.endpoint.connected(flow=flow, now=now, target=target)
        self._pump(now)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Note that a flow has ended, or could not be opened."""
        self.endpoint.disconnected(flow=flow, reason=reason, now=now)
        self._pump(now)
        if isinstance(flow, Flow):
            self._on_flow.pop(flow, None)

    def handle_timer(self, *, now: float) -> None:
        """Run the due timers of the endpoint and of the users."""
        self.endpoint.handle_timer(now=now)
        self._pump(now)
        while self._heap and self._heap[0][0] <= now:
            deadline, _, user = heapq.heappop(self._heap)
            if deadline != user.armed:
                continue
            user.armed = None
            if user.again is not None and user.again <= now:
                self._resubscribe(user, now, "refused, or no answer in time")
            self._registration(user).handle_timer(now=now)
            self._settle(user, now)
        self._pump(now)

    def next_timer(self) -> float | None:
        """Return the earliest deadline; None without one."""
        while self._heap and self._heap[0][0] != self._heap[0][2].armed:
            heapq.heappop(self._heap)
        own = self._heap[0][0] if self._heap else None
        other = self.endpoint.next_timer()
        if own is None or other is None:
            return other if own is None else own
        return min(own, other)

    def next_event(self) -> SipEvent | None:
        """Handle what the endpoint has queued; always return None."""
        if self.endpoint.events:
            self._pump(self._now)
        return None

    def _pump(self, now: float) -> None:
        self._now = max(self._now, now)
        while self.endpoint.events:
            self._handle(self.endpoint.events.popleft(), now)

    def _handle(self, event: SipEvent, now: float) -> None:
        match event:
            case ResponseReceived() | RequestFailed():
                self._answered(event, now)
            case FlowOpened(target=Target() as target):
                self._tell(self._on_target.get(target, ()), event, now)
            case FlowClosed(flow=Target() as target):
                self._tell(self._on_target.get(target, ()), event, now)
            case FlowClosed(flow=Flow() as flow):
                self._tell(self._users_on(flow), event, now)
            case PongReceived(flow=flow):
                # Of several users on one connection only the first probes it.
                self._tell(self._users_on(flow)[:1], event, now)
            case SubscriptionAccepted():
                self._accepted(event, now)
            case NotifyReceived():
                self._notified(event, now)
            case SubscriptionTerminated(subscription=SubscriberUsage() as usage):
                self._terminated(usage, event, now)
            case RequestReceived():
                self._requested(event, now)

    def _users_on(self, flow: Flow) -> Sequence[FleetUser]:
        target = self._on_flow.get(flow)
        return () if target is None else self._on_target.get(target, ())

    def _tell(self, users: Sequence[FleetUser], event: SipEvent, now: float) -> None:
        for user in tuple(users):
            self._registration(user).handle_event(event, now=now)
            self._settle(user, now)

    # Registrations

    def _answered(
        self, event: ResponseReceived[Exchange] | RequestFailed[Exchange], now: float
    ) -> None:
        exchange, request = event.exchange, event.exchange.request
        user, sent = self.endpoint.sent.get(exchange, (None, now))
        if user is None:
            return
        if isinstance(event, RequestFailed) or event.final:
            del self.endpoint.sent[exchange]
            keeping = user.bound and user.lost is None and self._leaving is None
            if keeping and request.method == "REGISTER" and request.expires != 0:
                self._refreshed(event, now - sent)
        self._registration(user).handle_event(event, now=now)
        self._settle(user, now)

    def _refreshed(
        self, event: ResponseReceived[Exchange] | RequestFailed[Exchange], seconds: float
    ) -> None:
        operations = self._tally().operations
        operations.begin(REFRESH)
        if isinstance(event, RequestFailed):
            operations.fail(REFRESH, status_cause(event.status_hint, answered=False))
        elif event.response.success:
            operations.succeed(REFRESH, seconds)
        else:
            operations.fail(REFRESH, status_cause(event.response.status))

    def _settle(self, user: FleetUser, now: float) -> None:
        """Count what has happened to a registration, and arm its timer."""
        events = user.registration.events
        while events:
            match events.popleft():
                case RegistrationChanged(state=RegistrationState.REGISTERED) | FlowRestored():
                    self._registered(user, now)
                case FlowLost():
                    self._unbound(user, now)
                case RegistrationChanged() as change:
                    self._changed(user, change, now)
        deadline = user.registration.next_timer()
        if user.again is not None and (deadline is None or user.again < deadline):
            deadline = user.again
        if deadline != user.armed:
            user.armed = deadline
            if deadline is not None:
                self._entries += 1
                heapq.heappush(self._heap, (deadline, self._entries, user))

    def _registered(self, user: FleetUser, now: float) -> None:
        tally = self._tally()
        if user.begun is not None:
            tally.registered += 1
            tally.registration_ms.record_value((now - user.begun) * 1e3)
            user.begun = None
        if user.lost is not None:
            tally.operations.succeed(RECOVERY, now - user.lost)
            user.lost = None
            self._lost.discard(user)
            if not self._lost and self._outage is not None:
                tally.operations.succeed(FULL_RECOVERY, now - self._outage)
                self._outage = None
        if user.bound:
            return
        user.bound = True
        self.bound += 1
        if self._subscribed is not None and self._leaving is None:
            self._resubscribe(user, now, "connection lost")

    def _unbound(self, user: FleetUser, now: float) -> None:
        """Count the loss of a binding that was there."""
        if user.bound:
            user.bound = False
            self.bound -= 1
        if user.begun is not None or user.lost is not None or user in self._removing:
            return
        operations = self._tally().operations
        operations.begin(RECOVERY)
        user.lost = now
        self._lost.add(user)
        if self._outage is None:
            operations.begin(FULL_RECOVERY)
            self._outage = now

    def _changed(self, user: FleetUser, change: RegistrationChanged, now: float) -> None:
        tally = self._tally()
        match change.state:
            case RegistrationState.RECOVERING:
                self._unbound(user, now)
                if change.status:
                    # An attempt has failed, and another one follows; else a connection was lost.
                    tally.registrations_failed[self._cause(user, change)] += 1
                    tally.registrations += 1
                    tally.retried += 1
            case RegistrationState.FAILED:
                cause = self._cause(user, change)
                tally.registrations_failed[cause] += 1
                self._unbound(user, now)
                if user.lost is not None:
                    tally.registrations += 1
                    self._give_up(user, cause)
                user.begun = None
            case RegistrationState.UNREGISTERED:
                if user.bound:
                    user.bound = False
                    self.bound -= 1
                self._removing.discard(user)
                self._leave_further(now)

    def _give_up(self, user: FleetUser, cause: str) -> None:
        """Count a binding that will not come back."""
        operations = self._tally().operations
        operations.fail(RECOVERY, cause)
        user.lost = None
        self._lost.discard(user)
        if not self._lost and self._outage is not None:
            operations.fail(FULL_RECOVERY, "not all came back")
            self._outage = None

    def _cause(self, user: FleetUser, change: RegistrationChanged) -> str:
        if change.status and not change.unanswered:
            return status_cause(change.status)
        if change.status == 408:
            return status_cause(408, answered=False)
        return self._explain(user.registration.target)

    # Subscriptions

    def _subscribe(self, user: FleetUser, wanted: SubscriptionWanted, now: float) -> None:
        flow = user.registration.flow
        aor = user.config.aor
        if flow is None or not isinstance(aor.uri, SipUri):
            return
        request = SubscribeRequest(
            uri=aor.uri,
            local=aor,
            remote=aor,
            to=flow,
            contact=user.registration.contact,
            route_set=user.config.route_set,
            credentials=user.credentials,
            event=wanted.event,
            accept=wanted.accept,
            expires=wanted.expires,
        )
        self._ask(user, SUBSCRIPTION, now)
        usage = user.usage = self.endpoint.subscribe(request, now=now)
        self._by_usage[usage] = user

    def _resubscribe(self, user: FleetUser, now: float, cause: str) -> None:
        """Subscribe or refresh; a SUBSCRIBE that is still unanswered has failed by `cause`."""
        user.again = None
        usage = user.usage
        if usage is None:
            if self._subscribed is not None and user.bound:
                self._subscribe(user, self._subscribed, now)
            return
        if user.asked is not None:
            # A failed refresh raises no subscription event (RFC 6665 section 4.1.2.2).
            self._tally().operations.fail(user.asked[0], cause)
            user.asked = None
        if usage.terminated or usage.dialog is None:
            return
        self._ask(user, RESUBSCRIPTION, now)
        usage.refresh(now=now, contact=user.registration.contact)

    def _ask(self, user: FleetUser, operation: Operation, now: float) -> None:
        operations = self._tally().operations
        operations.begin(operation)
        if user.unnotified is not None:
            operations.fail(NOTIFICATION, NO_NOTIFY)
        operations.begin(NOTIFICATION)
        user.asked, user.unnotified, user.again = (operation, now), now, now + PATIENCE

    def _accepted(self, event: SubscriptionAccepted[SubscriberUsage], now: float) -> None:
        user = self._by_usage.get(event.subscription)
        if user is None:
            return
        if user.asked is not None:
            operation, sent = user.asked
            self._tally().operations.succeed(operation, now - sent)
            user.asked = None
        # Before the subscription does it by itself, so that each is measured.
        user.again = now + 0.9 * refresh_after(max(event.expires, 12.0), entropy=self._entropy)
        self._settle(user, now)

    def _notified(self, event: NotifyReceived[SubscriberUsage], now: float) -> None:
        user = self._by_usage.get(event.subscription)
        if user is None:
            return
        if user.unnotified is not None:
            self._tally().operations.succeed(NOTIFICATION, now - user.unnotified)
            user.unnotified = None
        self._note_state(user, b"" if event.body is None else event.body.data)

    def _note_state(self, user: FleetUser, body: bytes) -> None:
        """Count a NOTIFY, and whether it tells another state than the one before."""
        counts = self._tally().signaling
        counts[NOTIFIES] += 1
        summary = message_summary(body)
        state: object = body if summary is None else summary
        if user.state is not None and state != user.state:
            counts[CHANGES if summary is None else MWI_CHANGES] += 1
        user.state = state

    def _terminated(
        self,
        usage: SubscriberUsage,
        event: SubscriptionTerminated[Any],
        now: float,
    ) -> None:
        user = self._by_usage.pop(usage, None)
        if user is None or user.usage is not usage:
            return
        operations = self._tally().operations
        cause = status_cause(event.status, answered=event.answered) if event.status else "ended"
        if user.asked is not None:
            operations.fail(user.asked[0], cause)
        elif self._leaving is None:
            operations.begin(RESUBSCRIPTION)
            operations.fail(RESUBSCRIPTION, cause)
        if user.unnotified is not None:
            operations.fail(NOTIFICATION, NO_NOTIFY)
        user.usage = user.asked = user.unnotified = user.again = None
        if self._leaving is None and not event.final:
            user.again = now + max(event.retry_after or 0.0, AGAIN)
            self._settle(user, now)

    def _requested(self, event: RequestReceived[Any], now: float) -> None:
        """Answer a request outside any dialog; accept an unsolicited message-summary NOTIFY."""
        request, status = event.request, 405
        if not self._is_ours(event.flow):
            status = 403
        elif request.method == "NOTIFY":
            package = (request.headers.get("Event") or "").partition(";")[0].strip().lower()
            status = 200 if package == "message-summary" else 489
            name = request.uri.user if isinstance(request.uri, SipUri) else None
            user = self._by_name.get(name or "")
            if status == 200 and user is not None:
                self._note_state(user, request.body)
        self.endpoint.respond(event.exchange, status, now=now)

    # The end of a run

    def fail_pending(self, cause: str) -> None:
        """Count what is not done as failed by `cause`; NOTIFYs by NO_NOTIFY."""
        tally = self._tally()
        for user in self.users:
            if user.begun is not None:
                tally.registrations_failed[cause] += 1
                user.begun = None
            if user.lost is not None:
                self._give_up(user, cause)
            if user.asked is not None:
                tally.operations.fail(user.asked[0], cause)
            if user.unnotified is not None:
                tally.operations.fail(NOTIFICATION, NO_NOTIFY)
            user.asked = user.unnotified = None
