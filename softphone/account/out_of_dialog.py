"""Answers requests outside dialogs, by the persona's rules.

Messages (RFC 3428) and message-summary notifications (MWI, RFC 3842) become events.  Unknown
requests get an error response and are never ignored.  Where the persona uses one connection for
everything, NOTIFY and REFER on another connection have no effect.  A REFER outside a dialog is
never a transfer.
"""

from __future__ import annotations

from softphone.account.context import AccountContext
from softphone.call.leg.exchange_result import LARGEST_BODY
from softphone.events import AccountEvent, MessageReceived
from softphone.personas import OutOfDialogReply
from softphone.security import IdentityAssurance
from softphone.sip import (
    InviteUsage,
    NotifierUsage,
    ReferReceived,
    Request,
    RequestReceived,
    ServerExchange,
)
from softphone.sip.event_packages import message_summary
from softphone.sip.message import asserted_identity


def handle_request(
    context: AccountContext,
    event: RequestReceived[ServerExchange],
    *,
    asserted: bool = False,
    by_server: bool = True,
) -> None:
    """Answer a request from a permitted source that is neither INVITE, SUBSCRIBE nor REFER.

    `asserted` is whether its sender may assert identities (RFC 3325), `by_server` whether it may be
    the account's server: a NOTIFY of others without a subscription gets 481 (RFC 6665 4.1.3).
    """
    if event.request.method == "NOTIFY" and not by_server:
        _respond(context, event.exchange, 481)
        return
    registration = context.registration
    reply: OutOfDialogReply | None = None
    if event.request.method == "NOTIFY" and registration is not None:
        reply = context.persona.answer_notify(event.request, call_id=registration.call_id)
    if reply is None:
        answer_request(context, event, asserted=asserted)
        return
    _respond(context, event.exchange, reply.status, reply.reason)
    for news in reply.events:
        context.emit_event(news)


def answer_request(
    context: AccountContext, event: RequestReceived[ServerExchange], *, asserted: bool = False
) -> None:
    """Answer one request as every persona does, and report its content as an event."""
    request = event.request
    if request.method == "MESSAGE":
        status, news = _read_message(context, request, asserted=asserted)
    else:
        status, news = _read(request)
    if news is not None:
        context.emit_event(news)
    _respond(context, event.exchange, status)


def _read_message(
    context: AccountContext, request: Request, *, asserted: bool
) -> tuple[int, AccountEvent | None]:
    """Read a MESSAGE (RFC 3428); 413 refuses one that is too large, 503 those beyond the rate."""
    if len(request.body) > LARGEST_BODY:
        return 413, None
    if not context.messages.admit(now=context.driver.now):
        return 503, None
    identity = asserted_identity(request) if asserted else None
    sender = request.from_ if identity is None else identity.address
    assurance = IdentityAssurance.CLAIMED if identity is None else IdentityAssurance.ASSERTED
    content_type = str(request.content_type or "text/plain")
    return 200, MessageReceived(str(sender.uri), content_type, request.body, assurance)


def _respond(
    context: AccountContext, exchange: ServerExchange, status: int, reason: str = ""
) -> None:
    endpoint = context.machine.endpoint
    context.run_command(lambda now: endpoint.respond(exchange, status, now=now, reason=reason))


def handle_refer(context: AccountContext, event: ReferReceived[InviteUsage, NotifierUsage]) -> None:
    """Answer a REFER outside a dialog by the persona's rules; it never starts a call.

    Refuses with 403 past the registered connection, with 603 what the persona does not know.
    """
    subscription = event.subscription
    if context.machine.bypasses_registered_flow(subscription.flow):
        refuse_subscription(context, subscription, 403)
        return
    reply = context.persona.answer_refer(event.request, context.config.persona_line)
    if reply is None:
        refuse_subscription(context, subscription, 603)
        return
    status = reply.status
    context.run_command(
        lambda now: subscription.accept_without_subscription(now=now, status=status)
    )
    for news in reply.events:
        context.emit_event(news)


def refuse_subscription(context: AccountContext, subscription: NotifierUsage, status: int) -> None:
    """Refuse a SUBSCRIBE or REFER that belongs to no call of ours."""
    context.run_command(lambda now: subscription.reject(status, now=now))


def refuse_invite(
    context: AccountContext,
    usage: InviteUsage,
    status: int,
    reason: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    """Refuse an INVITE before a leg is made for it."""
    context.run_command(lambda now: usage.reject(status, now=now, reason=reason, headers=headers))


def _read(request: Request) -> tuple[int, AccountEvent | None]:
    if request.method == "NOTIFY":
        package = (request.headers.get("Event") or "").partition(";")[0].strip().lower()
        if package != "message-summary":
            return 489, None
        return 200, message_summary(request.body)
    if request.method == "OPTIONS":
        return 200, None
    return 405, None
