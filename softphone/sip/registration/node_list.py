"""A registration with failover along an ordered list of servers, as in Cisco phones.

One node holds the binding.  Keep-alive REGISTERs monitor all nodes before it in the list and the
one after it.  If the node does not answer or its connection ends, the next node is tried at once.
Failback: a better node that has answered for `stable` seconds is asked for a registration token;
once it grants one, the phone registers there and only then drops the old binding.  This happens
only while `idle` says that there is no call.  The interface is that of
`softphone.sip.registration.registration.Registration`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from softphone.errors import LocalProtocolError
from softphone.events import (
    FlowLost,
    FlowRestored,
    NodeChanged,
    RegistrationChanged,
    RegistrationState,
)
from softphone.sans_io import Entropy, Flow, Target, Timers
from softphone.sip.auth import Authenticator
from softphone.sip.endpoint import Endpoint, SipEvent
from softphone.sip.message import Field, SipUri
from softphone.sip.registration.binding import Binding
from softphone.sip.registration.node_monitor import Node, NodeMonitor
from softphone.sip.registration.registration import Registration, RegistrationEvent


@dataclass(frozen=True, slots=True)
class MoveEnded:
    """A move to another connection succeeded or failed; `status` and `reason` say why.

    If `unanswered`, they are our own and not from a response.
    """

    moved: bool
    status: int = 0
    reason: str = ""
    unanswered: bool = False


NodeRegistrationEvent: TypeAlias = RegistrationEvent | NodeChanged | MoveEnded

LOOK = 5.0
"""Seconds between two checks for a better node to fail back to."""

INITIALIZED = "initialized"
CLOSED = "cm-closed-tcp"
FAILBACK = "failback"
MOVED = "moved"
LINGER = 5.0
"""Seconds that the old connection stays open after a move, for responses still under way."""


def _always() -> bool:
    return True


def _no_alarm(_: str) -> tuple[Field, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetup:
    """The settings of failover and failback, times in seconds.

    `interval` is the time between two keep-alives, `stable` how long a better node must have
    answered before failback, `idle` says whether failback is allowed now.  `alarm(cause)` gives
    header fields for the first REGISTER to a node.
    """

    interval: float = 120.0
    stable: float = 120.0
    idle: Callable[[], bool] = _always
    alarm: Callable[[str], tuple[Field, ...]] = _no_alarm


class _NodeTimer(Enum):
    ROUND = "round"
    LOOK = "look"
    LINGER = "linger"


class NodeRegistration:
    """A registration with one node of an ordered list, with failover and failback.

    Has the commands, events and timer methods of `Registration`; also reports NodeChanged and
    MoveEnded.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        nodes: Sequence[Node],
        *,
        entropy: Entropy,
        credentials: Authenticator | None = None,
        setup: NodeSetup | None = None,
    ) -> None:
        """`nodes` are in order of preference.  Raises ValueError if there are none."""
        if not nodes:
            raise ValueError("a list of nodes needs at least one")
        self._endpoint = endpoint
        self._nodes = list(nodes)
        self._entropy = entropy
        self._credentials = credentials
        self._setup = setup or NodeSetup()
        self._active = 0
        self._inner = self._make_registration(0, INITIALIZED)
        self._returning: tuple[int, Registration] | None = None
        self._moving = False
        self._lingering: Registration | None = None
        self._monitors: dict[int, NodeMonitor] = {}
        self._failed: set[int] = set()
        self._rounds = 0
        self._home: int | None = None
        self._state = RegistrationState.UNREGISTERED
        self._loss_reported = False
        self._timers: Timers[_NodeTimer] = Timers()
        self.events: deque[NodeRegistrationEvent] = deque()

    def _make_registration(self, index: int, cause: str, credential: str = "") -> Registration:
        node = self._nodes[index]
        targets = node.targets
        if credential:
            targets = tuple(replace(each, credential=credential) for each in targets)
        config = replace(
            node.config, first_headers=(*node.config.first_headers, *self._setup.alarm(cause))
        )
        return Registration(
            self._endpoint,
            config,
            targets=targets,
            entropy=self._entropy,
            credentials=self._credentials,
        )

    # Properties

    @property
    def state(self) -> RegistrationState:
        """The state of the registration with the list as a whole."""
        return self._state

    @property
    def node(self) -> int:
        """The index of the node that holds the binding or is being tried."""
        return self._active

    @property
    def home(self) -> SipUri | None:
        """The registrar URI of the node in use."""
        return self._nodes[self._active].config.registrar

    @property
    def lookup_uris(self) -> tuple[SipUri | None, ...]:
        """The URI to look up again for each node; None for none."""
        return tuple(node.lookup_uri for node in self._nodes)

    @property
    def binding(self) -> Binding | None:
        """The granted binding; None without one."""
        return self._inner.binding

    @property
    def call_id(self) -> str:
        """The Call-ID of the REGISTER requests to the node in use."""
        return self._inner.call_id

    @property
    def flow(self) -> Flow | None:
        """The flow that the binding belongs to, while it is open."""
        return self._inner.flow

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of the node in use."""
        return self._inner.targets

    @property
    def target(self) -> Target:
        """The target of the flow, or the next one to try."""
        return self._inner.target

    # Commands

    def register(self, *, now: float) -> None:
        """Register if UNREGISTERED or FAILED, beginning with the first node."""
        if self._state in (RegistrationState.UNREGISTERED, RegistrationState.FAILED):
            self._failed.clear()
            self._rounds = 0
            self._enter_state(RegistrationChanged(RegistrationState.REGISTERING))
            self._try_node(0, INITIALIZED, now)
            self._drain_events(now)

    def refresh(self, *, now: float) -> None:
        """Send REGISTER now; during the wait between rounds begin the next round."""
        if _NodeTimer.ROUND in self._timers:
            self._timers.cancel(_NodeTimer.ROUND)
            self._try_node(0, CLOSED, now)
        else:
            self._inner.refresh(now=now)
        self._drain_events(now)

    def move_to_new_flow(self, credential: str, *, now: float) -> None:
        """Register with the same node over a new connection that uses another TLS credential.

        The old connection closes `LINGER` seconds after success; `MoveEnded` reports the result.
        Raises LocalProtocolError unless REGISTERED and no other move is under way.
        """
        if self._state is not RegistrationState.REGISTERED or self._moving:
            raise LocalProtocolError("there is no registration to be moved")
        self._drop_return(now)
        self._monitor_nodes(now)
        coming = self._make_registration(self._active, MOVED, credential)
        self._returning, self._moving = (self._active, coming), True
        coming.register(now=now)
        self._drain_events(now)

    def unregister(self, *, now: float) -> None:
        """Remove the binding; the state becomes UNREGISTERED."""
        self._timers.cancel(_NodeTimer.ROUND)
        self._stop_lingering(now)
        self._stop_monitors(now)
        self._drop_return(now)
        self._inner.unregister(now=now)
        self._drain_events(now)

    def set_node_targets(self, index: int, targets: Sequence[Target]) -> None:
        """Set the targets of one node from a new look-up; ignore an empty result.

        The next registration with that node uses them.
        """
        if targets:
            self._nodes[index] = replace(self._nodes[index], targets=tuple(targets))

    # The machine

    def handle_event(self, event: SipEvent, *, now: float) -> bool:
        """Handle an event of the endpoint; return True if it concerned only this registration."""
        mine = self._inner.handle_event(event, now=now)
        if self._returning is not None:
            mine = self._returning[1].handle_event(event, now=now) or mine
        for monitor in tuple(self._monitors.values()):
            mine = monitor.handle_event(event, now=now) or mine
        self._drain_events(now)
        return mine

    def handle_timer(self, *, now: float) -> None:
        """Run every timer that is due."""
        if _NodeTimer.ROUND not in self._timers:
            self._inner.handle_timer(now=now)
        if self._returning is not None:
            self._returning[1].handle_timer(now=now)
        for monitor in tuple(self._monitors.values()):
            monitor.handle_timer(now=now)
        while (due := self._timers.pop_due(now)) is not None:
            if due is _NodeTimer.ROUND:
                self._try_node(0, CLOSED, now)
            elif due is _NodeTimer.LINGER:
                self._stop_lingering(now)
            else:
                self._look_for_better_node(now)
        self._drain_events(now)

    def next_timer(self) -> float | None:
        """The earliest deadline, or None."""
        times = [self._timers.next_deadline()]
        if _NodeTimer.ROUND not in self._timers:
            times.append(self._inner.next_timer())
        if self._returning is not None:
            times.append(self._returning[1].next_timer())
        times += [monitor.next_timer() for monitor in self._monitors.values()]
        return min((time for time in times if time is not None), default=None)

    # Failover

    def _try_node(self, index: int, cause: str, now: float) -> None:
        """Leave the current node and register with another."""
        self._close_flow_of(self._inner, now)
        watched = self._monitors.pop(index, None)
        if watched is not None:
            watched.stop_monitoring(now=now, close=False)
        self._active = index
        # Before the first registration there is no node to have failed over from.
        self._inner = self._make_registration(index, INITIALIZED if self._home is None else cause)
        self._inner.register(now=now)

    def _close_flow_of(self, registration: Registration, now: float) -> None:
        flow = registration.flow
        if flow is not None and flow.transport.reliable:
            self._endpoint.close_flow(flow, now=now)

    def _drain_events(self, now: float) -> None:
        """Handle the events of the inner registrations, which a change of node replaces."""
        while self._inner.events:
            self._handle_registration_event(self._inner.events.popleft(), now)
        while self._returning is not None and self._returning[1].events:
            index, returning = self._returning
            self._returned(index, returning.events.popleft(), now)

    def _handle_registration_event(self, event: RegistrationEvent, now: float) -> None:
        if isinstance(event, FlowLost):
            self._report_loss(event.reason)
        elif isinstance(event, RegistrationChanged):
            self._changed(event, now)

    def _changed(self, event: RegistrationChanged, now: float) -> None:
        if event.state is RegistrationState.REGISTERED:
            self._node_registered(event, now)
        elif event.state is RegistrationState.RECOVERING:
            # A server may close the old connection before it answers on the new one.
            if not self._moving:
                self._node_failed(event, now)
        elif event.state is not RegistrationState.REGISTERING:
            self._stop_monitors(now)
            self._drop_return(now)
            self._enter_state(event)

    def _node_registered(self, event: RegistrationChanged, now: float) -> None:
        self._failed.clear()
        self._rounds = 0
        if self._loss_reported:
            self._loss_reported = False
            self.events.append(FlowRestored())
        if self._home is not None and self._home != self._active:
            self.events.append(NodeChanged(self._name(self._active), self._name(self._home)))
        self._home = self._active
        self._monitor_nodes(now)
        self._enter_state(event)

    def _name(self, index: int) -> str:
        return str(self._nodes[index].config.registrar)

    def _node_failed(self, event: RegistrationChanged, now: float) -> None:
        """Try the next node that has not failed in this round, or wait and begin a new round."""
        self._drop_return(now)
        if 400 <= event.status < 500 and event.status != 408:
            # A rejection holds for all nodes; the inner registration schedules the retry.
            self._report(replace(event, state=RegistrationState.RECOVERING))
            return
        self._failed.add(self._active)
        if self._state is RegistrationState.REGISTERED:
            self._report_loss(event.reason)
            self._report(replace(event, state=RegistrationState.RECOVERING))
        order = [i for i in range(len(self._nodes)) if i not in self._failed]
        if order:
            self._try_node(order[0], CLOSED, now)
            return
        self._failed.clear()
        self._stop_monitors(now)
        self._rounds += 1
        backoff = self._nodes[self._active].config.backoff
        wait = backoff.retry_delay(self._rounds, entropy=self._entropy)
        retry = self._inner.next_timer()
        self._timers.set(_NodeTimer.ROUND, max(now + wait, retry or 0.0))
        self._report(replace(event, state=RegistrationState.RECOVERING))

    def _report_loss(self, reason: str) -> None:
        if not self._loss_reported and self._home is not None:
            self._loss_reported = True
            self.events.append(FlowLost(reason, 0.0))

    def _enter_state(self, event: RegistrationChanged) -> None:
        if event.state is not self._state:
            self._report(event)

    def _report(self, event: RegistrationChanged) -> None:
        """Enter and report a state, even if it is the current one."""
        self._state = event.state
        self.events.append(event)

    # Monitoring and failback

    def _monitor_nodes(self, now: float) -> None:
        """Monitor every node before the active one, and the one after it."""
        last = min(self._active + 1, len(self._nodes) - 1)
        wanted = {i for i in range(last + 1) if i != self._active}
        for index in tuple(self._monitors):
            if index not in wanted:
                self._monitors.pop(index).stop_monitoring(now=now, close=True)
        for index in sorted(wanted - set(self._monitors)):
            monitor = NodeMonitor(
                self._endpoint,
                self._nodes[index],
                entropy=self._entropy,
                interval=self._setup.interval,
                credentials=self._credentials,
            )
            self._monitors[index] = monitor
            monitor.start_monitoring(now=now)
        if self._active > 0:
            self._timers.set(_NodeTimer.LOOK, now + LOOK)
        else:
            self._timers.cancel(_NodeTimer.LOOK)

    def _stop_monitors(self, now: float) -> None:
        self._timers.cancel(_NodeTimer.LOOK)
        for monitor in self._monitors.values():
            monitor.stop_monitoring(now=now, close=True)
        self._monitors.clear()

    def _look_for_better_node(self, now: float) -> None:
        """Fail back to the best stable node, or ask it for a registration token first."""
        self._timers.set(_NodeTimer.LOOK, now + LOOK)
        if self._returning is not None or not self._setup.idle():
            return
        for index in range(self._active):
            monitor = self._monitors.get(index)
            if monitor is None or monitor.answers_since is None:
                continue
            if now - monitor.answers_since < self._setup.stable:
                continue
            if not monitor.granted:
                monitor.request_registration_token(now=now)
            else:
                self._return_to(index, now)
            return

    def _return_to(self, index: int, now: float) -> None:
        self._monitors.pop(index).stop_monitoring(now=now, close=False)
        coming = self._make_registration(index, FAILBACK)
        self._returning = (index, coming)
        coming.register(now=now)

    def _returned(self, index: int, event: RegistrationEvent, now: float) -> None:
        """Handle the result of a failback or move: switch over, or monitor the node again."""
        if not isinstance(event, RegistrationChanged) or self._returning is None:
            return
        if event.state is RegistrationState.REGISTERED:
            before, self._inner = self._inner, self._returning[1]
            self._returning = None
            self._active = index
            if self._moving:
                self._moved(before, event, now)
            else:
                self._node_registered(event, now)
                self._close_flow_of(before, now)
        elif event.state is not RegistrationState.REGISTERING:
            self._drop_return(now, event)
            if self._inner.state is RegistrationState.RECOVERING:
                self._node_failed(event, now)
            else:
                self._monitor_nodes(now)

    def _moved(self, before: Registration, event: RegistrationChanged, now: float) -> None:
        """Rebind dialogs to the new connection and keep the old one `LINGER` seconds."""
        if before.flow is not None and self._inner.flow is not None:
            self._endpoint.rebind_flow(before.flow, self._inner.flow, now=now)
        self._stop_lingering(now)
        self._lingering = before
        self._timers.set(_NodeTimer.LINGER, now + LINGER)
        self._node_registered(event, now)
        self._report(event)
        self._moving = False
        self.events.append(MoveEnded(True, event.status, event.reason))

    def _stop_lingering(self, now: float) -> None:
        self._timers.cancel(_NodeTimer.LINGER)
        if self._lingering is not None:
            self._close_flow_of(self._lingering, now)
            self._lingering = None

    def _drop_return(self, now: float, why: RegistrationChanged | None = None) -> None:
        if self._returning is not None:
            self._close_flow_of(self._returning[1], now)
            self._returning = None
        if self._moving:
            self._moving = False
            why = why or RegistrationChanged(self._state)
            reason = why.reason or "the registration was lost"
            self.events.append(MoveEnded(False, why.status, reason, why.unanswered))
