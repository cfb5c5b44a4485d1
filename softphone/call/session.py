"""What happens within a call: changes of the session, transfers, digits by INFO, the end.

RFC 3261 section 14 (re-INVITE), RFC 3311 (UPDATE), RFC 3515 (REFER), RFC 6086 (INFO).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from softphone.call.leg import HeaderFields, Leg, LegSetup, warning_header
from softphone.call.negotiation import Proposal, Unacceptable
from softphone.errors import CallError, LocalProtocolError, NotAcceptable
from softphone.events import (
    CallEnded,
    CallState,
    DigitReceived,
    EndedBy,
    InfoReceived,
    SecurityRefused,
    TransferProgressed,
    TransferRequested,
)
from softphone.media.port import MediaError
from softphone.security import OnDrop, Shortfall, ShortfallCode
from softphone.sip import (
    Acknowledged,
    Body,
    BodyRole,
    Cause,
    Ended,
    InDialogRequestReceived,
    InviteUsage,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    NotifyReceived,
    Pracked,
    ReferReceived,
    Request,
    ServerExchange,
    ServerSubscription,
    Subscription,
    SubscriptionTerminated,
)

__all__ = ["PendingReferral", "SessionLeg"]

_DTMF_SIGNAL = re.compile(rb"(?im)^[ \t]*signal[ \t]*=[ \t]*([0-9*#a-d])[ \t]*\r?$")
_DTMF_DURATION = re.compile(rb"(?im)^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,5})[ \t]*\r?$")


def _type_of(request: Request) -> str:
    return str(request.content_type or "")


_BY = {
    Cause.LOCAL: EndedBy.LOCAL,
    Cause.REMOTE: EndedBy.REMOTE,
    Cause.REPLACED: EndedBy.REMOTE,
    Cause.TIMEOUT: EndedBy.TIMEOUT,
    Cause.TRANSPORT: EndedBy.TRANSPORT,
    Cause.FAILED: EndedBy.TRANSPORT,
}


@dataclass(frozen=True, slots=True)
class PendingReferral:
    """A transfer that the far end asks of us, not answered yet."""

    subscription: ServerSubscription
    refer_to: str
    replaces: str | None


class SessionLeg(Leg):
    """A leg whose session can change."""

    def __init__(self, setup: LegSetup) -> None:
        super().__init__(setup)
        self.referral: PendingReferral | None = None
        self.face: object = None
        """What the application holds of this leg, made once."""
        self._accepted: Callable[[], None] = self._nothing
        self._transfer: asyncio.Future[None] | None = None
        self._transfer_subscription: Subscription | None = None
        self._early_answer: Body | None = None

    def _nothing(self) -> None:
        """What follows a change of an established session: nothing more."""

    @property
    def active_usage(self) -> InviteUsage:
        """The usage.  Raises LocalProtocolError before there is one and after the end."""
        if self.usage is None or self.state is CallState.TERMINATED:
            raise LocalProtocolError("the call is over")
        return self.usage

    # Changes that we ask for

    async def renegotiate(self, *, held: bool, headers: HeaderFields = ()) -> None:
        """Offer the session anew, with us holding or not.

        Raises NotAcceptable or another CallError when the far end refuses (the session stays as
        it was), LocalProtocolError when another change is under way.
        """
        usage = self.active_usage
        if self._change_result is not None:
            raise LocalProtocolError("another change of the session is under way")
        before = self.negotiation.held
        self.negotiation.held = held
        result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._change_result = result
        try:
            body = self.negotiation.offer(full=before and not held)
            with self.setup.change() as now:
                usage.reinvite(body, now=now, headers=headers)
            await result
        except BaseException:
            self.negotiation.held = before
            raise
        finally:
            self._change_result = None

    def _modification_answered(self, event: ModificationAnswered[InviteUsage]) -> None:
        if event.role is not BodyRole.ANSWER:
            self._change_done(None)
            return
        outcome = self.negotiation.receive_answer(event.body)
        if isinstance(outcome, Unacceptable):
            self.fail(outcome)
            return
        shortfalls = self.settle(outcome, accepted=self._nothing)
        if shortfalls:
            self.refuse(shortfalls)
            return
        self._change_done(None)

    def _modification_failed(self, event: ModificationFailed[InviteUsage]) -> None:
        self.negotiation.rollback()
        kind = NotAcceptable if event.status in (488, 606, 415) else CallError
        self._change_done(
            kind(
                f"the far end refused the change: {event.status} {event.reason}",
                status=event.status,
                reason=event.reason,
            )
        )

    def _change_done(self, error: CallError | None) -> None:
        result = self._change_result
        if result is None or result.done():
            return
        if error is None:
            result.set_result(None)
        else:
            result.set_exception(error)

    # Changes that the far end asks for

    def _modification_received(self, event: ModificationReceived[InviteUsage]) -> None:
        if event.role is BodyRole.OFFER:
            self._answer_offer(event.body)
            return
        self.finalize_early_answer()
        body = self.negotiation.offer(full=True)
        with self.setup.change() as now:
            event.usage.answer_modification(body, now=now)

    def _pracked(self, event: Pracked[InviteUsage]) -> None:
        if event.role is BodyRole.OFFER:
            self._answer_offer(event.body)
        elif event.role is BodyRole.ANSWER:
            self._take_late_answer(event.body)

    def _answer_offer(self, body: Body | None) -> None:
        usage = self.active_usage
        self.finalize_early_answer()
        try:
            outcome = self.negotiation.receive_offer(body)
        except MediaError as error:
            outcome = Unacceptable(399, str(error))
        if isinstance(outcome, Proposal):
            shortfalls = self._settle_change(outcome)
            if not shortfalls:
                with self.setup.change() as now:
                    usage.answer_modification(outcome.body, now=now)
                return
            outcome = Unacceptable(399, "; ".join(map(str, shortfalls)), shortfalls)
        self.negotiation.rollback()
        if outcome.shortfalls:
            self.mailbox.put(SecurityRefused(outcome.shortfalls))
        with self.setup.change() as now:
            usage.reject_modification(
                488, now=now, headers=(warning_header(outcome, self.setup.agent),)
            )

    def _settle_change(self, proposal: Proposal) -> tuple[Shortfall, ...]:
        """Settle, or give the shortfalls; a call that waits for the far end's level waits on."""
        shortfalls = self.judge(proposal)
        unknown = all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls)
        if shortfalls and not (unknown and self.waiting):
            return shortfalls
        return self.settle(proposal, accepted=self._accepted if self.waiting else self._nothing)

    def finalize_early_answer(self) -> None:
        """A reliable early answer ends its exchange once another one begins (RFC 3262 5)."""
        if self._early_answer is not None and self.negotiation.offer_pending:
            self.negotiation.receive_answer(self._early_answer)
            self.negotiation.commit(self._generation)
        self._early_answer = None

    def _acknowledged(self, event: Acknowledged[InviteUsage]) -> None:
        if event.role is BodyRole.ANSWER:
            self._take_late_answer(event.body)
        elif self.negotiation.offer_pending:
            self.fail(Unacceptable(399, "our offer was never answered: the ACK has no SDP"))
        else:
            self.established()

    def _take_late_answer(self, body: Body | None) -> None:
        """The answer to an offer that we made in a response (RFC 3261 13.2.1, 14.2)."""
        outcome = self.negotiation.receive_answer(body)
        if isinstance(outcome, Unacceptable):
            self.fail(outcome)
            return
        shortfalls = self.settle(outcome, accepted=self.established)
        if shortfalls:
            self.refuse(shortfalls)

    def established(self) -> None:
        """Media is open and the dialog confirmed; what that means is the role's."""

    # Falling below the policy

    def dropped(self, shortfalls: tuple[Shortfall, ...]) -> None:
        """Hang up, or hold and close the media, as the policy says."""
        if self.policy.on_drop is OnDrop.HANGUP or self.state is not CallState.CONFIRMED:
            super().dropped(shortfalls)
            return
        if self.negotiation.held:
            return
        self.mailbox.put(SecurityRefused(shortfalls))
        self.negotiation.silence()
        self._hold_task = asyncio.ensure_future(self._hold_after_drop())

    async def _hold_after_drop(self) -> None:
        try:
            await self.renegotiate(held=True)
        except (CallError, LocalProtocolError):
            # Media is closed already; a far end that refuses to be held is hung up.
            self.hang_up(488, "the call fell below its security policy")

    # Requests within the dialog

    def _request_received(
        self, event: InDialogRequestReceived[InviteUsage, ServerExchange]
    ) -> None:
        request = event.request
        status = 200
        if request.method == "INFO":
            self._info(_type_of(request), request.body)
        elif request.method == "MESSAGE":
            self.mailbox.put(InfoReceived(_type_of(request), request.body))
        elif request.method == "NOTIFY":
            status = 481
        else:
            status = 501
        with self.setup.change() as now:
            self.setup.endpoint.respond(event.exchange, status, now=now)

    def _info(self, content_type: str, body: bytes) -> None:
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type == "application/dtmf-relay":
            signal = _DTMF_SIGNAL.search(body[:1024])
            if signal is not None:
                duration = _DTMF_DURATION.search(body[:1024])
                milliseconds = float(duration[1]) if duration else 0.0
                digit = signal[1].decode().upper()
                self.mailbox.put(DigitReceived(digit, milliseconds, "info"))
            return
        self.mailbox.put(InfoReceived(content_type, body))

    # Transfers

    async def transfer(self, refer_to: Any, *, referred_by: Any = None) -> None:
        """Ask the far end to call `refer_to`, and wait until it says how that ended.

        Raises CallError with the status of the refusal.
        """
        usage = self.active_usage
        if self._transfer is not None and not self._transfer.done():
            raise LocalProtocolError("another transfer is under way")
        self._transfer = asyncio.get_running_loop().create_future()
        with self.setup.change() as now:
            subscription = usage.refer(refer_to, now=now, referred_by=referred_by)
        self._transfer_subscription = subscription
        self.setup.adopt(subscription, self.handle)
        await self._transfer

    def _notified(self, event: NotifyReceived[Subscription]) -> None:
        if event.subscription is not self._transfer_subscription or not event.status:
            return
        final = event.status >= 200
        self.mailbox.put(TransferProgressed(event.status, event.reason, final))
        if final:
            self._transfer_done(event.status, event.reason)

    def _subscription_ended(self, event: SubscriptionTerminated[Subscription]) -> None:
        if event.subscription is self._transfer_subscription:
            self._transfer_done(event.status or 500, event.reason)

    def _transfer_done(self, status: int, reason: str) -> None:
        result = self._transfer
        if result is None or result.done():
            return
        if status < 300:
            result.set_result(None)
        else:
            message = f"the transfer was refused: {status} {reason}"
            result.set_exception(CallError(message, status=status, reason=reason))

    def _refer_received(self, event: ReferReceived[InviteUsage, ServerSubscription]) -> None:
        if self.referral is not None:
            with self.setup.change() as now:
                event.subscription.reject(491, now=now)
            return
        target = str(event.refer_to.uri)
        self.referral = PendingReferral(event.subscription, target, event.replaces)
        by = None if event.referred_by is None else str(event.referred_by.uri)
        self.mailbox.put(TransferRequested(target, by, event.replaces))

    # The end

    def _ended(self, event: Ended[InviteUsage]) -> None:
        if self._transfer is not None and not self._transfer.done():
            # A transferee may hang up on us before its last NOTIFY (RFC 5589 section 6.1).
            self._transfer_done(200, "the far end has left the call")
        self.finish(CallEnded(_BY[event.cause], event.status, event.reason))

    handlers: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        ModificationAnswered: _modification_answered,
        ModificationFailed: _modification_failed,
        ModificationReceived: _modification_received,
        Pracked: _pracked,
        Acknowledged: _acknowledged,
        InDialogRequestReceived: _request_received,
        NotifyReceived: _notified,
        SubscriptionTerminated: _subscription_ended,
        ReferReceived: _refer_received,
        Ended: _ended,
    }
