"""The desk: what comes in outside of calls is answered here, as the persona has it.

NOTIFY and REFER from elsewhere than the registered connection change nothing where the persona
has one connection for everything; a REFER outside of calls is never a transfer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from softphone.account.inbox import answer_request, refuse_subscription
from softphone.account.server_agreements import Standing
from softphone.account.signaling import AccountMachine
from softphone.config.account import AccountConfig
from softphone.errors import LocalProtocolError
from softphone.events import AccountEvent
from softphone.personas import Reply, StandardPersona
from softphone.sip import ReferReceived, RequestReceived, ServerExchange, ServerSubscription

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """`change` opens a drain of the endpoint; `tell` takes what the application is told."""

    config: AccountConfig
    persona: StandardPersona
    standing: Standing
    machine: AccountMachine
    change: Callable[[], AbstractContextManager[float]]
    tell: Callable[[AccountEvent], None]

    def requested(self, event: RequestReceived[ServerExchange]) -> None:
        """A request that is neither INVITE, SUBSCRIBE nor REFER, from where it may come from."""
        registration = self.machine.registration
        reply: Reply | None = None
        if event.request.method == "NOTIFY" and registration is not None:
            reply = self.persona.notified(event.request, call_id=registration.call_id)
        if reply is None:
            answer_request(self.machine.endpoint, self.change, event, self.tell)
            return
        status, reason = reply.status, reply.reason
        self._answer(
            lambda now: self.machine.endpoint.respond(
                event.exchange, status, now=now, reason=reason
            )
        )
        self._tell_all(reply)

    def referred(self, event: ReferReceived[Any, ServerSubscription]) -> None:
        """A REFER outside of calls: it would have us call whom a stranger names."""
        subscription = event.subscription
        if self.standing.is_elsewhere(subscription.flow):
            refuse_subscription(self.change, subscription, 403)
            return
        reply = self.persona.referred(event.request, self.config.line)
        if reply is None:
            refuse_subscription(self.change, subscription, 603)
            return
        status = reply.status
        self._answer(lambda now: subscription.acknowledge(now=now, status=status))
        self._tell_all(reply)

    def _tell_all(self, reply: Reply) -> None:
        for one in reply.news:
            self.tell(one)

    def _answer(self, command: Callable[[float], object]) -> None:
        try:
            with self.change() as now:
                command(now)
        except LocalProtocolError:
            # Its connection ended in the same drain: nobody waits any more.
            return
