"""Following a transfer that the far end asks for, with word of its progress (RFC 3515)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from softphone.call import Call, OutgoingCall
from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.events import CallAnswered, CallEnded, CallRinging
from softphone.sans_io import OpenDrain
from softphone.security import SecurityShortfall
from softphone.sip import NotifierUsage

__all__ = ["ReferralHost", "follow_referral"]


class ReferralHost(Protocol):
    """What following a transfer needs of an account."""

    @property
    def change(self) -> OpenDrain:
        """Opens a drain of the endpoint."""

    def dial(
        self,
        target: str,
        *,
        replaces: str | None = None,
        video: bool = False,
        follows: Call | None = None,
        allow_clear: bool = False,
    ) -> OutgoingCall:
        """Call `target` in place of the far end of `follows`, under the stricter policy of both."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as long as the account lives."""


def follow_referral(
    account: ReferralHost, call: Call, *, allow_clear: bool = False
) -> OutgoingCall:
    """Accept the REFER of `call`, call its target, and NOTIFY how that goes.

    What was demanded of `call` is demanded of the new one; only with `allow_clear` its signaling
    may be less secure.

    Raises LocalProtocolError when nobody asked for a transfer, ConfigurationError when its target
    is nothing that can be called (which is reported to the far end, too).
    """
    referral = call.take_referral()
    with account.change() as now:
        referral.subscription.accept(now=now)
    try:
        # Who was seen is to be seen by whomever the call goes on with.
        video = call.video is not None
        outgoing = account.dial(
            referral.refer_to,
            replaces=referral.replaces,
            video=video,
            follows=call,
            allow_clear=allow_clear,
        )
    except SoftphoneError:
        _progress(account, referral.subscription, 400, "Bad Request")
        raise
    outgoing.transfers = referral.transfers
    account.spawn(_report(account, outgoing, referral.subscription))
    return outgoing


def _progress(account: ReferralHost, to: NotifierUsage, status: int, reason: str) -> None:
    try:
        with account.change() as now:
            to.notify_progress(status, reason, now=now)
    except LocalProtocolError:
        # The subscriber left before the end, which is its right: nobody wants the report.
        return


async def _report(account: ReferralHost, outgoing: OutgoingCall, to: NotifierUsage) -> None:
    try:
        async for event in outgoing.events():
            if isinstance(event, CallRinging):
                _progress(account, to, event.status, event.reason)
            elif isinstance(event, CallAnswered):
                _progress(account, to, 200, "OK")
                return
            elif isinstance(event, CallEnded):
                _progress(account, to, max(event.status, 400), event.reason)
                return
    except SecurityShortfall:
        _progress(account, to, 488, "Not Acceptable Here")
    except SoftphoneError as error:
        _progress(account, to, 503, str(error)[:80])
