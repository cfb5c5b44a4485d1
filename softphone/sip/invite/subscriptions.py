"""REFER, SUBSCRIBE and NOTIFY in the dialog of a call (RFC 3515, RFC 6665, RFC 5057).

What shares the dialog is a usage of its own, of `softphone.sip.subscription`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from softphone.sip.events import ReferReceived, SubscribeReceived
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.message import Field, NameAddr
from softphone.sip.subscription import DialogUsage, NotifierUsage, SubscriberUsage, refer_values
from softphone.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage

MAXIMUM_DIALOG_USAGES = 32
"""Subscriptions that may live in one call's dialog at once."""


def send_refer(
    usage: InviteUsage,
    refer_to: NameAddr,
    *,
    referred_by: NameAddr | None,
    subscribe: bool,
    headers: Iterable[Field],
    now: float,
) -> SubscriberUsage:
    """Send REFER within the dialog: see `InviteUsage.refer`."""
    leg = usage.require_confirmed_dialog()
    subscription = SubscriberUsage(
        layer=usage.layer, table=usage.table, credentials=usage.credentials, event="refer"
    )
    _add_usage(usage, subscription)
    subscription.refer(
        leg.dialog,
        refer_to,
        referred_by=referred_by,
        subscribe=subscribe,
        headers=(*usage.contact_fields(leg.dialog.to), *headers),
        now=now,
    )
    return subscription


def _add_usage(usage: InviteUsage, other: DialogUsage) -> bool:
    """Let another usage live in the dialog; False when there are too many."""
    usage.dialog_usages = [known for known in usage.dialog_usages if not known.terminated]
    if len(usage.dialog_usages) >= MAXIMUM_DIALOG_USAGES:
        return False
    usage.dialog_usages.append(other)
    return True


def refer_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Take a REFER: the application follows it, or refuses."""
    request = transaction.request
    values = refer_values(request)
    if values is None:
        transaction.respond(400, now=now, reason="No single usable Refer-To")
        return
    notifier = _add_notifier(usage, transaction, leg, now=now)
    if notifier is not None:
        usage.emit_event(
            ReferReceived(
                notifier, usage, request, values.refer_to, values.replaces, request.referred_by
            )
        )


def subscribe_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Take a SUBSCRIBE: a refresh of what is subscribed to, or a new subscription."""
    if _pass_to_dialog_usage(usage, transaction, now=now):
        return
    event = transaction.request.event
    if event is None or event.package not in usage.layer.config.events:
        transaction.respond(489, now=now)
        return
    notifier = _add_notifier(usage, transaction, leg, now=now)
    if notifier is not None:
        usage.emit_event(SubscribeReceived(notifier, transaction.request, transaction.flow, usage))


def notify_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Take a NOTIFY: of a subscription in the dialog, or one that nobody has asked for."""
    if _pass_to_dialog_usage(usage, transaction, now=now):
        return
    event = transaction.request.event
    if event is None:
        transaction.respond(400, now=now, reason="Missing Event header field")
    elif event.package == "refer":
        # No REFER of ours knows of this one (RFC 6665 section 4.1.3).
        transaction.respond(481, now=now)
    elif event.package not in usage.layer.config.events:
        transaction.respond(489, now=now)
    else:
        usage.report_request(transaction, leg, now=now)


def _pass_to_dialog_usage(
    usage: InviteUsage, transaction: ServerTransaction, *, now: float
) -> bool:
    """Pass a request to the usage in the dialog that it is for; False when there is none."""
    for other in usage.dialog_usages:
        if other.matches_request(transaction.request):
            other.request_received(transaction, now=now)
            return True
    return False


def _add_notifier(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> NotifierUsage | None:
    """Make a usage for a new subscription; None when there are too many, and it was refused."""
    notifier = NotifierUsage(
        transaction, dialog=leg.dialog, layer=usage.layer, table=usage.table, now=now
    )
    if _add_usage(usage, notifier):
        return notifier
    notifier.reject(503, now=now)
    return None
