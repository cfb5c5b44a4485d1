"""What happens within a call: changes of the session, transfers, digits by INFO, the end.

RFC 3261 section 14 (re-INVITE), RFC 3311 (UPDATE), RFC 3515 (REFER), RFC 6086 (INFO).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import ReferenceType, ref

from softphone.call.leg.dtmf import parse_dtmf_info
from softphone.call.leg.kpml_subscriptions import KpmlSubscriptions
from softphone.call.leg.leg_base import CallLegBase, HeaderFields, LegSetup
from softphone.call.leg.negotiation import MediaProposal, MediaSetup, Negotiation
from softphone.call.leg.refusal import DescriptionRefusal, policy_refusal, warning_header
from softphone.call.leg.video_setup import MEDIA_CONTROL, is_key_frame_request, key_frame_request
from softphone.diagnostics.refusal_text import explain_change, explain_transfer
from softphone.errors import (
    CallError,
    CallFailed,
    LocalProtocolError,
    NotAcceptable,
    SoftphoneError,
)
from softphone.events import (
    CallEnded,
    CallState,
    EndedBy,
    InfoReceived,
    SecurityRefused,
    TransferProgressed,
    TransferRequested,
)
from softphone.media import MediaError
from softphone.security import OnDrop, SecurityShortfall, Shortfall, ShortfallCode
from softphone.sip import (
    AckReceived,
    Body,
    BodyRole,
    Cause,
    InDialogRequestReceived,
    InviteEnded,
    InviteUsage,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    NotifierUsage,
    NotifyReceived,
    PrackReceived,
    ReferReceived,
    Request,
    ServerExchange,
    SessionRefreshed,
    SubscribeReceived,
    SubscriberUsage,
    SubscriptionRefreshed,
    SubscriptionTerminated,
)

__all__ = ["CallLeg", "PendingReferral"]


def _type_of(request: Request) -> str:
    return str(request.content_type or "")


MAXIMUM_TRANSFERS = 16
"""Transfers that far ends may ask for in a row, from call to call: nobody sends us in circles."""

_PENDING = "another change of the session is under way at the far end; try again"

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
    """A transfer that the far end asks of us, not answered yet; `transfers` led here, this too."""

    subscription: NotifierUsage
    refer_to: str
    replaces: str | None
    transfers: int = 1


@dataclass(frozen=True, slots=True)
class _PendingModification:
    """A change of the session that we have asked for; `held_before` holds again if it fails."""

    done: asyncio.Future[None]
    held_before: bool
    full: bool


def _result() -> asyncio.Future[None]:
    """A future whose failure may go unheard: its waiter may have been canceled."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def _resolve_future(future: asyncio.Future[None] | None, error: CallError | None) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


class CallLeg(CallLegBase):
    """A leg whose session can change."""

    referral: PendingReferral | None = None
    transfers = 0
    """How many the far ends have asked for, of this call and of those that it came from."""
    _call_handle: object = None
    _call_handle_ref: ReferenceType[object] | None = None
    _modification: _PendingModification | None = None
    _hold_task: asyncio.Task[None] | None = None
    _transfer: asyncio.Future[None] | None = None
    _transfer_subscription: SubscriberUsage | None = None
    _early_answer: Body | None = None

    def __init__(self, setup: LegSetup) -> None:
        super().__init__(setup)
        self.kpml_subscriptions = KpmlSubscriptions(setup.change, setup.call_later)

    @property
    def call_handle(self) -> object:
        """What the application holds of this leg, made once; kept here until the end only."""
        if self._call_handle is None and self._call_handle_ref is not None:
            return self._call_handle_ref()
        return self._call_handle

    @call_handle.setter
    def call_handle(self, handle: object) -> None:
        self._call_handle_ref = ref(handle)
        self._call_handle = None if self.ended.done() else handle

    def make_negotiation(self, media: MediaSetup) -> Negotiation:
        """A fresh negotiation; its video asks for key frames by INFO where RTCP cannot."""
        negotiation = super().make_negotiation(media)
        negotiation.ask_for_picture = self._ask_for_picture
        return negotiation

    def _changed(self) -> None:
        """A change of the session is in force."""
        self._change_done(None)

    @property
    def changed_by(self) -> EndedBy:
        """Who is changing the session at the moment."""
        return EndedBy.REMOTE if self._modification is None else EndedBy.LOCAL

    @property
    def active_usage(self) -> InviteUsage:
        """The usage.  Raises LocalProtocolError before there is one and after the end."""
        if self.usage is None or self.state is CallState.TERMINATED:
            raise LocalProtocolError("the call is over")
        return self.usage

    # Changes that we ask for

    async def renegotiate(self, *, held: bool, headers: HeaderFields = ()) -> None:
        """Offer the session anew, with us holding or not.  A canceled wait cancels no change.

        Raises NotAcceptable or another CallError when the far end refuses (the session stays as
        it was), SecurityShortfall when what is held may not go on, LocalProtocolError when a
        change of ours is under way already.
        """
        usage = self.active_usage
        if self._modification is not None:
            raise LocalProtocolError("another change of the session is under way")
        if self.held_by_policy and not held:
            self._take_back()
        change = _PendingModification(
            _result(), self.negotiation.held, self.negotiation.held and not held
        )
        self.negotiation.held = held
        try:
            body = self.negotiation.create_offer(full=change.full)
        except LocalProtocolError as error:
            self.negotiation.held = change.held_before
            raise CallError(_PENDING, status=491, reason="Request Pending") from error
        self._modification = change
        if not self.run_command(lambda now: usage.reinvite(body, now=now, headers=headers)):
            self._change_failed(CallError(_PENDING, status=491, reason="Request Pending"))
        try:
            await asyncio.shield(change.done)
        finally:
            # An error of it would hold this frame, and this frame it, and the call with it.
            del change

    def _take_back(self) -> None:
        """What was held for falling below the policy may go on if it is above it again."""
        shortfalls = self.policy.judge(self.security)
        if shortfalls:
            raise SecurityShortfall(shortfalls)
        self.held_by_policy = False

    def _renew_change(self) -> None:
        """Our change waits for its turn, and the session has changed: offer it anew."""
        usage, change = self.usage, self._modification
        if change is None or usage is None or self.negotiation.offer_pending:
            return
        if usage.modification_waits:
            usage.replace_waiting_offer(self.negotiation.create_offer(full=change.full))

    def _modification_answered(self, event: ModificationAnswered[InviteUsage]) -> None:
        if event.role is not BodyRole.ANSWER:
            message = "the far end accepted the change without a session description"
            self._change_failed(NotAcceptable(message, status=500))
            return
        if not self.negotiation.offer_pending:
            # A refresh repeats our last description, which the far end answers as any offer.
            self.negotiation.repeat()
        self._take_answer(event.body, accepted=self._changed)

    def _modification_failed(self, event: ModificationFailed[InviteUsage]) -> None:
        kind = NotAcceptable if event.status in (488, 606, 415) else CallError
        message = explain_change(event.status, event.reason, answered=event.response is not None)
        self._change_failed(kind(message, status=event.status, reason=event.reason))

    def _change_failed(self, error: CallError) -> None:
        """The session stays as it was."""
        if self._modification is None:
            return
        if self.negotiation.offer_pending:
            self.negotiation.rollback()
        self.negotiation.held = self._modification.held_before
        self._change_done(error)

    def _change_done(self, error: CallError | None) -> None:
        change, self._modification = self._modification, None
        _resolve_future(None if change is None else change.done, error)

    # Changes that the far end asks for

    def _modification_received(self, event: ModificationReceived[InviteUsage]) -> None:
        if event.role is BodyRole.OFFER:
            self._answer_offer(event.body)
            return
        self._end_open_exchange()
        body = self.negotiation.create_offer(full=True)
        self.run_command(lambda now: event.usage.answer_modification(body, now=now))

    def _pracked(self, event: PrackReceived[InviteUsage]) -> None:
        if event.role is BodyRole.OFFER:
            self._answer_offer(event.body)
        elif event.role is BodyRole.ANSWER:
            self._take_answer(event.body, accepted=self._media_opened)

    def _media_opened(self) -> None:
        """Media is open; the call need not be up yet."""

    def _end_open_exchange(self) -> None:
        """An offer is about to be made or taken: what was open before it is settled or void."""
        self.finalize_early_answer()
        if self.negotiation.offer_pending:
            self.negotiation.rollback()

    def _answer_offer(self, body: Body | None) -> None:
        usage = self.active_usage
        self._end_open_exchange()
        try:
            outcome = self.negotiation.receive_offer(body)
        except MediaError as error:
            outcome = DescriptionRefusal(399, str(error))
        if isinstance(outcome, MediaProposal):
            answer, shortfalls = outcome.body, self._settle_change(outcome)
            if not shortfalls:
                self.run_command(lambda now: usage.answer_modification(answer, now=now))
                self._renew_change()
                return
            outcome = policy_refusal(shortfalls)
        self.negotiation.rollback()
        if outcome.shortfalls:
            self.event_queue.put_event(SecurityRefused(outcome.shortfalls))
        headers = (warning_header(outcome, self.setup.warning_agent),)
        self.run_command(lambda now: usage.reject_modification(488, now=now, headers=headers))
        self._renew_change()

    def _settle_change(self, proposal: MediaProposal) -> tuple[Shortfall, ...]:
        """Settle, or give the shortfalls; a call that waits for the far end's level waits on."""
        shortfalls = self.judge_proposal(proposal)
        unknown = all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls)
        if shortfalls and not self.held_by_policy and not (unknown and self.awaiting_far_end):
            return shortfalls
        return self.apply_proposal(proposal, accepted=self.on_media_open)

    def finalize_early_answer(self) -> None:
        """A reliable early answer ends its exchange once another one begins (RFC 3262 5).

        It was judged when it came, and is in force, or waits, since then.
        """
        body, self._early_answer = self._early_answer, None
        if body is not None and self.negotiation.offer_pending:
            refusal = self.negotiation.complete(body)
            if refusal is not None:
                self.end_for_refusal(refusal)

    def _acknowledged(self, event: AckReceived[InviteUsage]) -> None:
        if event.role is BodyRole.ANSWER:
            self._take_answer(event.body, accepted=self.established)
            self._renew_change()
        elif not self.negotiation.offer_pending:
            self.established()
        elif self.confirmed.done():
            self.negotiation.rollback()
        else:
            self.end_for_refusal(
                DescriptionRefusal(399, "our offer was never answered: the ACK has no SDP")
            )

    def _take_answer(self, body: Body | None, *, accepted: Callable[[], None]) -> None:
        """The final answer to an offer of ours, wherever it came (RFC 3261 13.2.1, 14)."""
        outcome = self.negotiation.receive_answer(body)
        self._take_outcome(outcome, accepted=accepted)

    def _take_outcome(
        self, outcome: MediaProposal | DescriptionRefusal, *, accepted: Callable[[], None]
    ) -> bool:
        """Settle; whatever may not be ends the call.  Whether it goes on."""
        if isinstance(outcome, DescriptionRefusal):
            self.end_for_refusal(outcome)
            return False
        shortfalls = self.apply_proposal(outcome, accepted=accepted)
        if shortfalls:
            self.end_for_shortfalls(shortfalls)
        return not shortfalls

    def established(self) -> None:
        """Media is open and the dialog confirmed; what that means is the role's."""

    # Falling below the policy

    def handle_shortfalls(self, shortfalls: tuple[Shortfall, ...]) -> None:
        """Hang up, or hold and stop the media, as the policy says."""
        if self.policy.on_drop is OnDrop.HANGUP or not self.confirmed.done():
            super().handle_shortfalls(shortfalls)
            return
        if self.held_by_policy:
            return
        self.event_queue.put_event(SecurityRefused(shortfalls))
        before = self.negotiation.direction
        self.held_by_policy = True
        self.negotiation.silence()
        self.emit_hold_change(before)
        self._hold_task = asyncio.ensure_future(self._hold_after_drop())

    async def _hold_after_drop(self) -> None:
        try:
            if self._modification is not None:
                await asyncio.shield(self._modification.done)
            if not self.negotiation.held:
                await self.renegotiate(held=True)
        except SoftphoneError as error:
            # Media is stopped already; a far end that refuses to be held is hung up.
            self.hang_up(488, f"the call fell below its security policy and was not held: {error}")

    # Requests within the dialog

    def _request_received(
        self, event: InDialogRequestReceived[InviteUsage, ServerExchange]
    ) -> None:
        request = event.request
        status = 200
        if request.method == "INFO":
            self._info(_type_of(request), request.body)
        elif request.method == "MESSAGE":
            self.event_queue.put_event(InfoReceived(_type_of(request), request.body))
        elif request.method == "NOTIFY":
            status = 481
        else:
            status = 501
        endpoint = self.setup.endpoint
        self.run_command(lambda now: endpoint.respond(event.exchange, status, now=now))

    def _info(self, content_type: str, body: bytes) -> None:
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type == MEDIA_CONTROL and is_key_frame_request(body):
            if self.negotiation.video is not None:
                self.negotiation.video.key_frame_wanted()
            return
        pressed = parse_dtmf_info(content_type, body)
        if pressed is None:
            self.event_queue.put_event(InfoReceived(content_type, body))
        elif pressed[0]:
            self.emit_digit(*pressed, "info")

    def _ask_for_picture(self) -> None:
        """Ask for a key frame by INFO, which CUCM's far ends understand (RFC 5168)."""
        usage = self.usage
        if usage is not None and self.confirmed.done() and not self.ended.done():
            self.run_command(lambda now: usage.info(key_frame_request(), now=now))

    def _subscribed(self, event: SubscribeReceived[InviteUsage, NotifierUsage]) -> None:
        """Only digits are subscribed to within a call."""
        if self.kpml_subscriptions.subscribe(event.subscription, event.request):
            self.setup.handlers.set_handler(event.subscription, self)

    def _subscription_refreshed(self, event: SubscriptionRefreshed[NotifierUsage]) -> None:
        self.kpml_subscriptions.refresh(event.subscription, event.request)

    # Transfers

    async def transfer(self, refer_to: Any, *, referred_by: Any = None) -> None:
        """Ask the far end to call `refer_to`, and wait until it says how that ended.

        Raises CallError with the status of the refusal.
        """
        usage = self.active_usage
        if self._transfer is not None and not self._transfer.done():
            raise LocalProtocolError("another transfer is under way")
        result = self._transfer = _result()
        try:
            with self.setup.change() as now:
                subscription = usage.refer(refer_to, now=now, referred_by=referred_by)
                self._transfer_subscription = subscription
                self.setup.handlers.set_handler(subscription, self)
            await result
        finally:
            # The next one may have begun before it was our turn.
            if self._transfer is result:
                self._transfer = None
            del result

    def _notified(self, event: NotifyReceived[SubscriberUsage]) -> None:
        if event.subscription is not self._transfer_subscription or not event.status:
            return
        final = event.status >= 200
        self.event_queue.put_event(TransferProgressed(event.status, event.reason, final))
        if final:
            self._transfer_done(event.status, event.reason)

    def _subscription_ended(self, event: SubscriptionTerminated[SubscriberUsage]) -> None:
        if event.subscription is self._transfer_subscription:
            self._transfer_done(event.status or 500, event.reason, answered=event.answered)

    def _transfer_done(self, status: int, reason: str, *, answered: bool = True) -> None:
        error = None
        if status >= 300:
            message = explain_transfer(status, reason, answered=answered)
            error = CallError(message, status=status, reason=reason)
        _resolve_future(self._transfer, error)

    def _refer_received(self, event: ReferReceived[InviteUsage, NotifierUsage]) -> None:
        if self.referral is not None and not self.referral.subscription.terminated:
            self.run_command(lambda now: event.subscription.reject(491, now=now))
            return
        if self.transfers >= MAXIMUM_TRANSFERS:
            self.run_command(lambda now: event.subscription.reject(603, now=now))
            return
        self.transfers += 1
        target = str(event.refer_to.uri)
        self.referral = PendingReferral(event.subscription, target, event.replaces, self.transfers)
        by = None if event.referred_by is None else str(event.referred_by.uri)
        self.event_queue.put_event(TransferRequested(target, by, event.replaces))

    # The end

    def _handle_ended(self, event: InviteEnded[InviteUsage]) -> None:
        if event.cause in (Cause.REMOTE, Cause.REPLACED):
            # A transferee may hang up on us before its last NOTIFY (RFC 5589 section 6.1).
            self._transfer_done(200, "the far end has left the call")
        self.finish(CallEnded(_BY[event.cause], event.status, event.reason))

    def finish(self, ended: CallEnded, error: SoftphoneError | None = None) -> None:
        """The call is over, and with it whatever was asked for within it."""
        self.kpml_subscriptions.close()
        super().finish(ended, error)
        self._call_handle = None
        self._change_done(CallFailed("the call ended before the change was made"))
        _resolve_future(self._transfer, CallFailed("the call ended before the transfer was made"))

    def _refreshed(self, event: SessionRefreshed[InviteUsage]) -> None:
        """What the message said of the far end has been heard; nothing else has changed."""

    handlers: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        ModificationAnswered: _modification_answered,
        ModificationFailed: _modification_failed,
        ModificationReceived: _modification_received,
        PrackReceived: _pracked,
        AckReceived: _acknowledged,
        InDialogRequestReceived: _request_received,
        NotifyReceived: _notified,
        SubscriptionTerminated: _subscription_ended,
        ReferReceived: _refer_received,
        SessionRefreshed: _refreshed,
        SubscribeReceived: _subscribed,
        SubscriptionRefreshed: _subscription_refreshed,
        InviteEnded: _handle_ended,
    }
