"""The table of open flows, the requests that wait for one, and the outgoing transmits.

RFC 5626, RFC 3581.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from softphone.sans_io import Address, Flow, Target, Transmit
from softphone.sip.message import Response

MAXIMUM_FORMER = 1024
"""The number of closed flows whose target is remembered."""


class FlowUser(Protocol):
    """A transaction or request that fails with its flow."""

    def flow_failed(self, reason: str, *, now: float) -> None:
        """Handle a flow that has closed or could not be opened; `reason` says why."""


class FlowWaiter(FlowUser, Protocol):
    """A request that is sent once its flow is open."""

    def send_on_flow(self, flow: Flow, *, now: float) -> None:
        """Send the request on `flow`, which is open now."""


@dataclass(slots=True)
class _OpenFlow:
    target: Target | None
    kept: bool = False
    answered: bool = False
    public: Address | None = None
    users: dict[FlowUser, bool] = field(default_factory=dict)
    """Maps each user that fails with the flow to whether it is a request of ours."""


class FlowTable:
    """The flows of one endpoint.

    A Target resolves to the flow opened for it while that flow is open.  An empty `Transmit` in
    `outgoing` asks the driver to open a flow.  `max_waiting` bounds the requests that wait for one.
    """

    def __init__(self, *, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        # By the number of the flow, which needs no call to hash.
        self._open: dict[int, _OpenFlow] = {}
        self._by_target: dict[Target, Flow] = {}
        self._waiting: dict[Target, list[FlowWaiter]] = {}
        self._waiters = 0
        # The targets of recently closed flows: their dialogs continue on a new flow there.
        self._former: OrderedDict[Flow, Target] = OrderedDict()
        self.outgoing: list[Transmit] = []
        self.advertised: str | None = None
        """The address to advertise in place of the local or the learned one; None: none."""
        self.contact_at: Address | None = None
        """The host name and port that every Contact has; None: an address."""

    def __contains__(self, flow: Flow | None) -> bool:
        return flow is not None and flow.id in self._open

    def forward(self, to: Flow | Target) -> Flow | Target:
        """Return the target of `to` where it is a closed flow with a known target, else `to`."""
        if isinstance(to, Flow) and to.id not in self._open:
            return self._former.get(to, to)
        return to

    def resolve(self, to: Flow | Target) -> Flow | None:
        """Return the open flow for `to`, or None.

        A Target, or the target of a closed flow, resolves to the flow opened for it.
        """
        if isinstance(to, Flow):
            # Runs for every message of a dialog, and nearly always the flow itself is open.
            if to.id in self._open:
                return to
            to = self._former.get(to, to)
            if isinstance(to, Flow):
                return None
        return self._by_target.get(to)

    def open_flow(self, target: Target) -> None:
        """Ask the driver to open a flow to `target`, unless one is open or on its way."""
        if target not in self._by_target and target not in self._waiting:
            self._waiting[target] = []
            self.outgoing.append(Transmit(b"", target))

    def wait_for_flow(self, target: Target, waiter: FlowWaiter) -> bool:
        """Queue `waiter` until a flow to `target` opens; False when `max_waiting` is reached."""
        if self._waiters >= self._max_waiting:
            return False
        self.open_flow(target)
        self._waiting[target].append(waiter)
        self._waiters += 1
        return True

    def flow_opened(self, flow: Flow, target: Target | None) -> list[FlowWaiter]:
        """Record an open flow; returns the waiters for its target, for the caller to start."""
        known = self._open.get(flow.id)
        if known is None:
            self._open[flow.id] = _OpenFlow(target)
        elif target is not None:
            known.target = target
        if target is None:
            return []
        self._by_target[target] = flow
        waiting = self._waiting.pop(target, [])
        self._waiters -= len(waiting)
        return waiting

    def flow_closed(self, flow: Flow | Target) -> Sequence[FlowUser]:
        """Remove a closed flow, or a target that could not be reached.

        Returns the users of the flow, or the waiters for the target, for the caller to fail.
        """
        if isinstance(flow, Target):
            waiting = self._waiting.pop(flow, [])
            self._waiters -= len(waiting)
            return waiting
        known = self._open.pop(flow.id, None)
        if known is None:
            return []
        if known.target is not None:
            self._former[flow] = known.target
            if len(self._former) > MAXIMUM_FORMER:
                self._former.popitem(last=False)
        for target in [t for t in (known.target,) if t and self._by_target.get(t) == flow]:
            del self._by_target[target]
        return list(known.users)

    def close_flow(self, flow: Flow) -> None:
        """Ask the driver to close a flow; its target no longer resolves to it."""
        self.outgoing.append(Transmit(b"", flow, close=True))
        target = self.target_of(flow)
        if target is not None and self._by_target.get(target) == flow:
            del self._by_target[target]

    def keep_open(self, flow: Flow) -> None:
        """Exempt a flow from the idle limit because its peer is known, e.g. by a registration."""
        known = self._open.get(flow.id)
        if known is not None:
            known.kept = True

    def is_known(self, flow: Flow) -> bool:
        """Whether we opened the flow, or it is kept open (`keep_open`)."""
        known = self._open.get(flow.id)
        return known is not None and (known.kept or known.target is not None)

    def is_proven(self, flow: Flow) -> bool:
        """Whether the peer has shown that it receives at its address.

        True for a flow that is kept, that has answered a request of ours, or that we opened over
        a reliable transport.  Sending over UDP proves nothing: a forged Via may have named the
        address.
        """
        known = self._open.get(flow.id)
        if known is None:
            return False
        return (
            known.kept or known.answered or (known.target is not None and flow.transport.reliable)
        )

    def is_kept(self, flow: Flow) -> bool:
        """Whether a flow is kept open (`keep_open`)."""
        known = self._open.get(flow.id)
        return known is not None and known.kept

    def has_requests(self, flow: Flow) -> bool:
        """Whether a request of ours is a user of the flow."""
        known = self._open.get(flow.id)
        return known is not None and any(known.users.values())

    def in_use(self, flow: Flow) -> bool:
        """Whether the flow has any user."""
        known = self._open.get(flow.id)
        return known is not None and bool(known.users)

    def add_user(self, flow: Flow | None, user: FlowUser, *, ours: bool) -> None:
        """Add a user to fail when the flow closes; `ours` marks a request that we sent."""
        known = self._open.get(flow.id) if flow is not None else None
        if known is not None:
            known.users[user] = ours

    def remove_user(self, flow: Flow | None, user: FlowUser) -> None:
        """Remove a user, so that it no longer fails with the flow."""
        known = self._open.get(flow.id) if flow is not None else None
        if known is not None:
            known.users.pop(user, None)

    def learn_public_address(self, flow: Flow, response: Response) -> None:
        """Record our address as the peer sees it, from a response's Via (RFC 3581 section 4)."""
        known = self._open.get(flow.id)
        if known is None:
            return
        known.answered = True
        host, port = response.vias[0].seen()
        if port:
            known.public = (host, port)

    def contact_address(self, flow: Flow) -> Address | None:
        """Return the host and port for a Contact: `contact_at`, else the public address."""
        return self.contact_at or self.public_address(flow)

    def public_address(self, flow: Flow) -> Address | None:
        """Return our address for the peer of `flow`: as it saw us last; None when unknown.

        An advertised address of the same family takes the place of the host.
        """
        known = self._open.get(flow.id)
        seen = known.public if known is not None else None
        advertised = self.advertised_to(flow)
        return seen if advertised is None else (advertised, (seen or flow.local)[1])

    def advertised_to(self, flow: Flow) -> str | None:
        """Return the advertised address, if it is of the family of `flow`."""
        if self.advertised is None or (":" in self.advertised) is not (":" in flow.local[0]):
            return None
        return self.advertised

    def target_of(self, flow: Flow | Target) -> Target | None:
        """Return the target that an open or closed flow was opened for; a Target as it is."""
        if isinstance(flow, Target):
            return flow
        known = self._open.get(flow.id)
        return known.target if known is not None else self._former.get(flow)
