"""REFER, SUBSCRIBE and NOTIFY in the dialog of a call (RFC 3515, RFC 6665, RFC 5057).

Each subscription in the dialog is its own usage, from `softphone.sip.subscription`.
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
"""The most subscriptions in one call's dialog at once."""


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
    """Add a usage to the dialog; False when there are too many."""
    usage.dialog_usages = [known for known in usage.dialog_usages if not known.terminated]
    if len(usage.dialog_usages) >= MAXIMUM_DIALOG_USAGES:
        return False
    usage.dialog_usages.append(other)
    return True


def refer_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Report a REFER to the application; answer 400 without a single usable Refer-To."""
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
    """Handle a SUBSCRIBE: a refresh, or a new subscription (489 for an unknown package)."""
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
    """Handle a NOTIFY: pass it to its subscription, or report an unsolicited one.

    Unsolicited: 400 without Event, 481 for "refer", 489 for an unknown package.
    """
    if _pass_to_dialog_usage(usage, transaction, now=now):
        return
    event = transaction.request.event
    if event is None:
        transaction.respond(400, now=now, reason="Missing Event header field")
    elif event.package == "refer":
        # It matches no REFER of ours (RFC 6665 section 4.1.3).
        transaction.respond(481, now=now)
    elif event.package not in usage.layer.config.events:
        transaction.respond(489, now=now)
    else:
        usage.report_request(transaction, leg, now=now)


def _pass_to_dialog_usage(
    usage: InviteUsage, transaction: ServerTransaction, *, now: float
) -> bool:
    """Pass a request to the matching usage in the dialog; False when there is none."""
    for other in usage.dialog_usages:
        if other.matches_request(transaction.request):
            other.request_received(transaction, now=now)
            return True
    return False


def _add_notifier(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> NotifierUsage | None:
    """Add a usage for a new subscription; None (after 503) when there are too many."""
    notifier = NotifierUsage(
        transaction, dialog=leg.dialog, layer=usage.layer, table=usage.table, now=now
    )
    if _add_usage(usage, notifier):
        return notifier
    notifier.reject(503, now=now)
    return None
