"""Answers requests outside dialogs, by the persona's rules.

Messages (RFC 3428) and message-summary notifications (MWI, RFC 3842) become events; what is not
known is answered, never ignored.  NOTIFY and REFER from elsewhere than the registered connection
change nothing where the persona has one connection for everything; a REFER outside of calls is
never a transfer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from softphone.account.server_agreements import ServerAgreements
from softphone.account.signaling import SignalingMachine
from softphone.config.account import AccountConfig
from softphone.errors import LocalProtocolError
from softphone.events import AccountEvent, MessageReceived, MessageWaiting
from softphone.personas import OutOfDialogReply, StandardPersona
from softphone.sans_io import OpenDrain
from softphone.sip import (
    Endpoint,
    InviteReceived,
    InviteUsage,
    NotifierUsage,
    ReferReceived,
    Request,
    RequestReceived,
    ServerExchange,
)

__all__ = [
    "OutOfDialogHandler",
    "answer_request",
    "message_summary",
    "refuse_invite",
    "refuse_stranger",
    "refuse_subscription",
]

_WAITING = re.compile(rb"(?im)^messages-waiting[ \t]*:[ \t]*(yes|no)[ \t]*\r?$")
_VOICE = re.compile(rb"(?im)^voice-message[ \t]*:[ \t]*([0-9]{1,6})[ \t]*/[ \t]*([0-9]{1,6})")


def answer_request(
    endpoint: Endpoint,
    change: OpenDrain,
    event: RequestReceived[ServerExchange],
    emit_event: Callable[[AccountEvent], None],
) -> None:
    """Answer one request, and tell what it brought."""
    request = event.request
    status, news = _read(request)
    if news is not None:
        emit_event(news)
    _run_command(change, lambda now: endpoint.respond(event.exchange, status, now=now))


def refuse_subscription(
    change: OpenDrain,
    subscription: NotifierUsage,
    status: int,
) -> None:
    """Refuse a SUBSCRIBE or REFER that belongs to no call of ours."""
    _run_command(change, lambda now: subscription.reject(status, now=now))


def refuse_invite(change: OpenDrain, usage: InviteUsage, status: int) -> None:
    """Refuse a call before anything is made of it."""
    _run_command(change, lambda now: usage.reject(status, now=now))


def refuse_stranger(
    endpoint: Endpoint,
    change: OpenDrain,
    event: InviteReceived[InviteUsage] | RequestReceived[ServerExchange],
) -> None:
    """Refuse a request that comes past our server: it proves nothing about its sender."""
    reason = "Only by way of our server"
    if isinstance(event, InviteReceived):
        usage = event.usage
        _run_command(change, lambda now: usage.reject(403, now=now, reason=reason))
    else:
        exchange = event.exchange
        _run_command(change, lambda now: endpoint.respond(exchange, 403, now=now, reason=reason))


def _run_command(change: OpenDrain, command: Callable[[float], object]) -> None:
    try:
        with change() as now:
            command(now)
    except LocalProtocolError:
        # Canceled, or its connection ended, in the same drain: no answer is expected.
        return


def _read(request: Request) -> tuple[int, AccountEvent | None]:
    if request.method == "MESSAGE":
        sender = str(request.from_.uri)
        return 200, MessageReceived(sender, str(request.content_type or "text/plain"), request.body)
    if request.method == "NOTIFY":
        package = (request.headers.get("Event") or "").partition(";")[0].strip().lower()
        if package != "message-summary":
            return 489, None
        return 200, message_summary(request.body)
    if request.method == "OPTIONS":
        return 200, None
    return 405, None


def message_summary(body: bytes) -> MessageWaiting | None:
    """Read an application/simple-message-summary body; None when it says nothing."""
    waiting = _WAITING.search(body[:4096])
    if waiting is None:
        return None
    voice = _VOICE.search(body[:4096])
    new, old = (int(voice[1]), int(voice[2])) if voice else (0, 0)
    return MessageWaiting(waiting[1].lower() == b"yes", new, old)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfDialogHandler:
    """`change` opens a drain of the endpoint; `emit_event` delivers an event to the application."""

    config: AccountConfig
    persona: StandardPersona
    agreements: ServerAgreements
    machine: SignalingMachine
    change: OpenDrain
    emit_event: Callable[[AccountEvent], None]

    def handle_request(self, event: RequestReceived[ServerExchange]) -> None:
        """A request that is neither INVITE, SUBSCRIBE nor REFER, from where it may come from."""
        registration = self.machine.registration
        reply: OutOfDialogReply | None = None
        if event.request.method == "NOTIFY" and registration is not None:
            reply = self.persona.answer_notify(event.request, call_id=registration.call_id)
        if reply is None:
            answer_request(self.machine.endpoint, self.change, event, self.emit_event)
            return
        status, reason = reply.status, reply.reason
        self._answer(
            lambda now: self.machine.endpoint.respond(
                event.exchange, status, now=now, reason=reason
            )
        )
        self._tell_all(reply)

    def handle_refer(self, event: ReferReceived[Any, NotifierUsage]) -> None:
        """Answers a REFER outside of calls; its sender is unknown, so no call is made for it."""
        subscription = event.subscription
        if self.agreements.bypasses_registered_flow(subscription.flow):
            refuse_subscription(self.change, subscription, 403)
            return
        reply = self.persona.answer_refer(event.request, self.config.persona_line)
        if reply is None:
            refuse_subscription(self.change, subscription, 603)
            return
        status = reply.status
        self._answer(lambda now: subscription.accept_without_subscription(now=now, status=status))
        self._tell_all(reply)

    def _tell_all(self, reply: OutOfDialogReply) -> None:
        for one in reply.events:
            self.emit_event(one)

    def _answer(self, command: Callable[[float], object]) -> None:
        try:
            with self.change() as now:
                command(now)
        except LocalProtocolError:
            # Its connection ended in the same drain: no answer is expected.
            return
