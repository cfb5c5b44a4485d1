"""Which flows are open, what waits for one, and what goes out on them (RFC 5626, RFC 3581)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from softphone.sans_io import Address, Flow, Target, Transmit
from softphone.sip.message import Response

MAXIMUM_FORMER = 1024
"""Flows whose target is remembered after their end."""


class FlowUser(Protocol):
    """Something that ends with its flow."""

    def flow_failed(self, reason: str, *, now: float) -> None:
        """The flow has ended, or there will be none."""


class FlowWaiter(FlowUser, Protocol):
    """A request that is sent once its flow is there."""

    def send_on_flow(self, flow: Flow, *, now: float) -> None:
        """Go out on this flow."""


@dataclass(slots=True)
class _OpenFlow:
    target: Target | None
    kept: bool = False
    answered: bool = False
    public: Address | None = None
    users: dict[FlowUser, bool] = field(default_factory=dict)
    """What ends with the flow, and whether it is a request of ours."""


class FlowTable:
    """The flows of one endpoint.

    A Target is resolved to the flow that was opened for it, for as long as that is open; an empty
    transmit asks the driver to open one.
    """

    def __init__(self, *, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._open: dict[Flow, _OpenFlow] = {}
        self._by_target: dict[Target, Flow] = {}
        self._waiting: dict[Target, list[FlowWaiter]] = {}
        self._waiters = 0
        # What the last flows that have ended were opened for: their dialogs go on there.
        self._former: OrderedDict[Flow, Target] = OrderedDict()
        self.outgoing: list[Transmit] = []

    def __contains__(self, flow: Flow | None) -> bool:
        return flow in self._open

    def forward(self, to: Flow | Target) -> Flow | Target:
        """`to` itself, or what a flow that has ended was opened for."""
        if isinstance(to, Flow) and to not in self._open:
            return self._former.get(to, to)
        return to

    def resolve(self, to: Flow | Target) -> Flow | None:
        """The open flow that `to` is or stands for, or None."""
        if isinstance(to, Flow):
            # Asked with every message of a dialog: nearly always the flow itself is open.
            if to in self._open:
                return to
            to = self._former.get(to, to)
            if isinstance(to, Flow):
                return None
        return self._by_target.get(to)

    def open_flow(self, target: Target) -> None:
        """Ask the driver for a flow, once."""
        if target not in self._by_target and target not in self._waiting:
            self._waiting[target] = []
            self.outgoing.append(Transmit(b"", target))

    def wait_for_flow(self, target: Target, waiter: FlowWaiter) -> bool:
        """Start `waiter` when a flow to `target` is open; False when too many wait already."""
        if self._waiters >= self._max_waiting:
            return False
        self.open_flow(target)
        self._waiting[target].append(waiter)
        self._waiters += 1
        return True

    def flow_opened(self, flow: Flow, target: Target | None) -> list[FlowWaiter]:
        """Take note of an open flow; what waited for it is returned, to be started."""
        known = self._open.get(flow)
        if known is None:
            self._open[flow] = _OpenFlow(target)
        elif target is not None:
            known.target = target
        if target is None:
            return []
        self._by_target[target] = flow
        waiting = self._waiting.pop(target, [])
        self._waiters -= len(waiting)
        return waiting

    def flow_closed(self, flow: Flow | Target) -> Sequence[FlowUser]:
        """Forget a flow; what used it, or waited for it, is returned, to be failed."""
        if isinstance(flow, Target):
            waiting = self._waiting.pop(flow, [])
            self._waiters -= len(waiting)
            return waiting
        known = self._open.pop(flow, None)
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
        """Ask the driver to end a flow; its target no longer stands for it."""
        self.outgoing.append(Transmit(b"", flow, close=True))
        target = self.target_of(flow)
        if target is not None and self._by_target.get(target) == flow:
            del self._by_target[target]

    def keep_open(self, flow: Flow) -> None:
        """Who is at the far end is known, by a registration for one: no idle limit from now on."""
        known = self._open.get(flow)
        if known is not None:
            known.kept = True

    def is_known(self, flow: Flow) -> bool:
        """Whether a flow was opened by us, or is kept."""
        known = self._open.get(flow)
        return known is not None and (known.kept or known.target is not None)

    def is_proven(self, flow: Flow) -> bool:
        """Whether the far end has shown that it receives what goes to its address.

        Over UDP it has answered a request of ours, or is kept; that we have sent something there
        proves nothing, since a Via may have told us to.
        """
        known = self._open.get(flow)
        if known is None:
            return False
        return (
            known.kept or known.answered or (known.target is not None and flow.transport.reliable)
        )

    def is_kept(self, flow: Flow) -> bool:
        """Whether a flow is kept open (`keep_open`)."""
        known = self._open.get(flow)
        return known is not None and known.kept

    def has_requests(self, flow: Flow) -> bool:
        """Whether a request of ours depends on a flow."""
        known = self._open.get(flow)
        return known is not None and any(known.users.values())

    def in_use(self, flow: Flow) -> bool:
        """Whether a transaction depends on a flow."""
        known = self._open.get(flow)
        return known is not None and bool(known.users)

    def add_user(self, flow: Flow | None, user: FlowUser, *, ours: bool) -> None:
        """`user` fails when the flow ends; `ours`: it is a request that we sent."""
        known = self._open.get(flow) if flow is not None else None
        if known is not None:
            known.users[user] = ours

    def remove_user(self, flow: Flow | None, user: FlowUser) -> None:
        """`user` no longer depends on the flow."""
        known = self._open.get(flow) if flow is not None else None
        if known is not None:
            known.users.pop(user, None)

    def learn_public_address(self, flow: Flow, response: Response) -> None:
        """Take our own address, as the far end sees it, from a response (RFC 3581 section 4)."""
        known = self._open.get(flow)
        if known is None:
            return
        known.answered = True
        via = response.top_via
        host, port = via.received or via.host, via.rport or via.port
        if port:
            known.public = (host, port)

    def public_address(self, flow: Flow) -> Address | None:
        """Our address as the far end of `flow` saw it last."""
        known = self._open.get(flow)
        return known.public if known is not None else None

    def target_of(self, flow: Flow | Target) -> Target | None:
        """The target that the flow was opened for, open or ended."""
        if isinstance(flow, Target):
            return flow
        known = self._open.get(flow)
        return known.target if known is not None else self._former.get(flow)
