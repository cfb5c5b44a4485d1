"""The Conference soft key: a call server joins two of our calls (Cisco's remote call control).

An out-of-dialog REFER names both dialogs; the server accepts it and reports the outcome in a
NOTIFY.  Media and the security level then change by re-INVITE, as in any call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from softphone.call.leg import CallLeg
from softphone.errors import CallError, LocalProtocolError, NotAcceptable
from softphone.sans_io import Flow
from softphone.sip import (
    Body,
    InviteUsage,
    NameAddr,
    NotifyReceived,
    SipUri,
    SubscriberUsage,
    SubscriptionTerminated,
)
from softphone.sip.dialog import ReferRequest
from softphone.sip.event_packages import DialogName, response_code, soft_key
from softphone.sip.message import AbsoluteUri

PATIENCE = 10.0
"""Seconds to wait for the server's NOTIFY."""
CONFERENCE = "Conference"


@dataclass(slots=True, weakref_slot=True, eq=False)
class _SoftKeyReply:
    """Collects the server's outcome: status code and reason."""

    done: asyncio.Future[tuple[int, str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def handle_event(self, event: object) -> None:
        code, reason = None, ""
        if isinstance(event, NotifyReceived):
            code = response_code(event.body)
        elif isinstance(event, SubscriptionTerminated):
            code, reason = event.status or 500, event.reason
        if code is not None and not self.done.done():
            self.done.set_result((code, reason))


async def confer(leg: CallLeg, other: CallLeg) -> None:
    """Have the server join the call of `other` to that of `leg`, and wait for the outcome.

    The remaining call must then meet the policies of both.  Raises CallError with the status of a
    refusal (408 after `PATIENCE`), SecurityShortfall when one call does not meet the other's
    policy, LocalProtocolError unless both are up.
    """
    body = soft_key(CONFERENCE, _name(leg.active_usage), _name(other.active_usage))
    usage, answer = leg.active_usage, _SoftKeyReply()
    policy = leg.policy_with(other)
    flow = usage.flow
    if flow is None:
        raise LocalProtocolError("there is no connection to the server at the moment")
    with leg.setup.change() as now:
        subscription = leg.setup.endpoint.refer(_refer(usage, body, flow), now=now)
        leg.setup.handlers.set_handler(subscription, answer)
    code, reason = await _patiently(answer, subscription)
    if not 200 <= code <= 299:
        message = f"the server did not join the calls: {code} {reason}".rstrip()
        raise CallError(message, status=code, reason=reason)
    leg.tighten_policy(policy)


async def _patiently(answer: _SoftKeyReply, subscription: SubscriberUsage) -> tuple[int, str]:
    try:
        async with asyncio.timeout(PATIENCE):
            return await answer.done
    except TimeoutError:
        message = f"the server did not say within {PATIENCE:.0f} s whether it joins the calls"
        raise CallError(message, status=408, reason="Request Timeout") from None


def _name(usage: InviteUsage) -> DialogName:
    dialog = usage.dialog
    if dialog is None:
        raise LocalProtocolError("the call is not up")
    return dialog.id


def _refer(usage: InviteUsage, body: Body, flow: Flow) -> ReferRequest:
    local = usage.local
    if not isinstance(local.uri, SipUri):
        raise NotAcceptable("the account's address has no server", status=606)
    server = SipUri("sip", None, None, local.uri.host)
    return ReferRequest(
        uri=server,
        local=NameAddr(local.display_name, local.uri, ()),
        remote=NameAddr(None, server, ()),
        to=flow,
        refer_to=NameAddr(None, AbsoluteUri("cid", f"{usage.call_id}@{local.uri.host}"), ()),
        body=body,
        credentials=usage.credentials,
    )
