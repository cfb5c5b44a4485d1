"""Transfers and replaced calls: authorization of the request, and following a REFER.

Anybody who knows the tags of a dialog can send a REFER or an INVITE with Replaces (RFC 3515,
RFC 3891).  We accept one only from the account's own server or from the far end of that dialog,
and only as an event that the application answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from softphone.account.context import AccountContext
from softphone.call import Call, OutgoingCall
from softphone.call.leg import PendingReferral
from softphone.errors import ConfigurationError, DialRefused, SoftphoneError
from softphone.events import CallAnswered, CallEnded, CallRinging
from softphone.sans_io import Flow
from softphone.security import SecurityShortfall, Shortfall, ShortfallCode
from softphone.sip import InviteReceived, InviteUsage, NotifierUsage, SipUri


def may_direct(usage: InviteUsage, flow: Flow, *, own_server: Callable[[Flow], bool]) -> bool:
    """Whether a request on `flow` may transfer or replace the call of `usage`.

    It may from our own server and from the dialog's peer.
    """
    dialog = usage.dialog
    return own_server(flow) or (dialog is not None and dialog.is_peer(flow))


def check_replacement(
    invite: InviteReceived[InviteUsage], *, own_server: Callable[[Flow], bool]
) -> None:
    """Raise SecurityShortfall unless an INVITE may replace the call that its Replaces names.

    A call to a sips URI may be replaced only by a call to a sips URI (RFC 3891 section 8).  The
    policy that the new call inherits covers the security of the connections.
    """
    replaced = invite.replaces
    if replaced is None:
        return
    if not may_direct(replaced, invite.flow, own_server=own_server):
        why = "a call of ours is replaced by its far end and by our server only"
        raise SecurityShortfall((Shortfall(ShortfallCode.NOT_AUTHORIZED, why),))
    target = invite.request.uri
    secure = isinstance(target, SipUri) and target.secure
    if replaced.dialog is not None and replaced.dialog.secure and not secure:
        why = "a call to a sips URI is replaced by one to a sips URI only"
        raise SecurityShortfall((Shortfall(ShortfallCode.SIGNALING_CLEAR, why),))


def follow_referral(
    context: AccountContext,
    call: Call,
    dial: Callable[[PendingReferral], OutgoingCall],
) -> OutgoingCall:
    """Accept the REFER of `call`, call its target by `dial`, and report progress by NOTIFY.

    Raises LocalProtocolError when no transfer is pending, DialRefused when the dial policy forbids
    its target (the REFER then gets 403), ConfigurationError when that cannot be called (the far end
    then gets a NOTIFY with 400).
    """
    referral = call.take_referral()
    _judge_target(context, referral)
    with context.change() as now:
        referral.subscription.accept(now=now)
    try:
        outgoing = dial(referral)
    except SoftphoneError:
        _notify_progress(context, referral.subscription, 400, "Bad Request")
        raise
    outgoing.transfers = referral.transfers
    context.tasks.spawn(_report(context, outgoing, referral.subscription))
    return outgoing


def _judge_target(context: AccountContext, referral: PendingReferral) -> None:
    """Refuse a REFER whose target the dial policy forbids.  Raises DialRefused."""
    try:
        target = context.config.target_uri(referral.refer_to)
    except ConfigurationError:
        return  # It cannot be called at all.
    try:
        context.dial_gate.check(target, now=asyncio.get_running_loop().time())
    except DialRefused as error:
        status = error.status
        context.run_command(lambda now: referral.subscription.reject(status, now=now))
        raise


def _notify_progress(context: AccountContext, to: NotifierUsage, status: int, reason: str) -> None:
    context.run_command(lambda now: to.notify_progress(status, reason, now=now))


async def _report(context: AccountContext, outgoing: OutgoingCall, to: NotifierUsage) -> None:
    try:
        async for event in outgoing.events():
            if isinstance(event, CallRinging):
                _notify_progress(context, to, event.status, event.reason)
            elif isinstance(event, CallAnswered):
                _notify_progress(context, to, 200, "OK")
                return
            elif isinstance(event, CallEnded):
                _notify_progress(context, to, max(event.status, 400), event.reason)
                return
    except DialRefused as error:
        _notify_progress(context, to, error.status, error.reason)
    except SecurityShortfall:
        _notify_progress(context, to, 488, "Not Acceptable Here")
    except SoftphoneError as error:
        _notify_progress(context, to, 503, str(error)[:80])
