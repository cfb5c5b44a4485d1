"""Incoming calls: ring, answer, reject or redirect them (RFC 3261 section 13.3)."""

from __future__ import annotations

import asyncio

from softphone.call.call import Call, CallHandle, parse_target
from softphone.call.leg import (
    CallLeg,
    DescriptionRefusal,
    LegSetup,
    MediaProposal,
    MediaSetup,
    Negotiation,
    contain,
    policy_refusal,
    warning_header,
)
from softphone.errors import CallFailed, Canceled, LocalProtocolError, SoftphoneError
from softphone.events import CallEnded, CallState, EndedBy, SecurityRefused
from softphone.media import MediaError
from softphone.security import MediaSecurity, SecurityShortfall, ShortfallCode
from softphone.sip import (
    BodyRole,
    InviteCanceled,
    InviteReceived,
    InviteUsage,
    SipEvent,
)


class IncomingLeg(CallLeg):
    """The callee's side of a call."""

    def __init__(self, setup: LegSetup, invite: InviteReceived[InviteUsage]) -> None:
        super().__init__(setup)
        self.usage = invite.usage
        self.request = invite.request
        self.replaces = invite.replaces
        self._proposal: MediaProposal | None = None
        self._offered = invite.role is BodyRole.OFFER
        self._body = invite.body
        setup.handlers.set_handler(invite.usage, self)

    def evaluate_offer(self) -> bool:
        """Judge the offer, if there is one; False when it was refused (488, 503)."""
        self._evaluate_offer()
        if self.state is CallState.TERMINATED:
            return False
        self.look_up_peer()
        return True

    @contain
    def _evaluate_offer(self) -> None:
        self._note_far_end(self.request)
        if not self._offered:
            return
        try:
            outcome = self.negotiation.receive_offer(self._body)
        except MediaError as error:
            self._no_media(error)
            return
        if isinstance(outcome, MediaProposal):
            shortfalls = tuple(
                s
                for s in self.judge_proposal(outcome)
                if s.code is not ShortfallCode.FAR_END_UNKNOWN
            )
            if not shortfalls:
                self._proposal = outcome
                return
            outcome = policy_refusal(shortfalls)
        self._refuse_description(488, outcome)

    @property
    def proposed_media(self) -> tuple[MediaSecurity, ...]:
        """The media that our answer would agree to; () without an offer or before its judgment."""
        return () if self._proposal is None else self._proposal.media

    def reevaluate_offer(self, kind: type[Negotiation], media: MediaSetup) -> None:
        """Judge the offer again with another negotiation, before the answer.

        A server does so when the call's other leg turns out to be less secure.
        """
        self.negotiation.close()
        self.negotiation = self.make_negotiation(kind, media)
        self.policy = self.negotiation.setup.policy
        if self._offered:
            outcome = self.negotiation.receive_offer(self._body)
            self._proposal = outcome if isinstance(outcome, MediaProposal) else None

    def _no_media(self, error: MediaError) -> None:
        """Refuse with 503: no media port or row is left (RFC 3261 section 21.5.4)."""
        self._refuse_description(
            503, DescriptionRefusal(370, f"no media stream can be opened: {error}")
        )

    def _refuse_description(self, status: int, refusal: DescriptionRefusal) -> None:
        usage = self.active_usage
        self.explanation = refusal.explanation
        self.refused = refusal.shortfalls
        error: SoftphoneError = CallFailed(refusal.explanation, status=status)
        by = EndedBy.LOCAL
        if refusal.shortfalls:
            error, by = SecurityShortfall(refusal.shortfalls), EndedBy.POLICY
            self.event_queue.put_event(SecurityRefused(refusal.shortfalls))
        self.finish(CallEnded(by, status, refusal.explanation), error)
        headers = (warning_header(refusal, self.setup.warning_agent),)
        with self.setup.command() as now:
            usage.reject(status, now=now, headers=headers)

    def ring(self, status: int = 180) -> None:
        """Send a provisional response, 180 Ringing by default."""
        usage = self.active_usage
        with self.setup.command() as now:
            usage.send_provisional(status, now=now)
            if self.state is CallState.TRYING:
                self.state = CallState.EARLY

    def accept(self) -> None:
        """Send 200 with our answer to the offer, or with our own offer when there was none.

        Raises LocalProtocolError when the offer was refused.
        """
        usage = self.active_usage
        if self._offered:
            proposal = self._proposal
            if proposal is None:
                raise LocalProtocolError("the offer was refused")
            shortfalls = self.apply_proposal(proposal)
            if shortfalls:
                self._refuse_description(488, policy_refusal(shortfalls))
                return
            body = proposal.body
        else:
            try:
                body = self.negotiation.create_offer()
            except MediaError as error:
                self._no_media(error)
                return
        with self.setup.change() as now:
            usage.accept(body, now=now, headers=self.setup.answer_headers(self.security))

    @property
    def answering(self) -> bool:
        """Whether we have answered."""
        return self.usage is not None and self.usage.answered

    def reject(self, status: int, reason: str = "") -> None:
        """Refuse the call with `status`."""
        usage = self.active_usage
        self.finish(CallEnded(EndedBy.LOCAL, status, reason))
        with self.setup.command() as now:
            usage.reject(status, now=now, reason=reason)

    def redirect(self, contacts: tuple[str, ...], status: int) -> None:
        """Redirect the caller to `contacts` with a 3xx.  Raises ConfigurationError."""
        usage = self.active_usage
        places = [parse_target(contact, usage.local) for contact in contacts]
        self.finish(CallEnded(EndedBy.LOCAL, status, "redirected"))
        with self.setup.command() as now:
            usage.redirect(places, now=now, status=status)

    def _end_usage(self, usage: InviteUsage, status: int, text: str) -> None:
        if usage.answered:
            super()._end_usage(usage, status, text)
            return
        headers = (
            (warning_header(DescriptionRefusal(399, text), self.setup.warning_agent),)
            if text
            else ()
        )
        refusal = status if 400 <= status <= 699 else 480
        with self.setup.command() as now:
            usage.reject(refusal, now=now, headers=headers)

    def _handle(self, event: SipEvent) -> None:
        if not isinstance(event, InviteCanceled):
            super()._handle(event)
            return
        error = Canceled("the caller gave up", status=487, reason="Request Terminated")
        self.finish(CallEnded(EndedBy.REMOTE, event.status or 487, event.reason), error)


class IncomingCall(CallHandle[IncomingLeg]):
    """A call that waits for our answer.  Calls refused on security grounds are never offered here.

    `replaces` is our call that this one is to replace (RFC 3891): answering this one ends it.
    """

    def __init__(self, leg: IncomingLeg, *, replaces: Call | None = None) -> None:
        super().__init__(leg)
        self.replaces = replaces

    @property
    def ended(self) -> asyncio.Future[CallEnded]:
        """A future that is done when the call is over, also when the caller canceled."""
        return asyncio.shield(self._leg.ended)

    @property
    def unanswered(self) -> bool:
        """Whether the call still waits to be answered, rejected or redirected."""
        return self._leg.state is not CallState.TERMINATED and not self._leg.answering

    def ring(self) -> None:
        """Send 180 Ringing.  Raises LocalProtocolError when the call is over."""
        self._leg.ring()

    async def answer(self) -> Call:
        """Answer, and wait until the ACK has arrived and media is open.

        Raises SecurityShortfall when the answer to our offer, or the far end, does not meet the
        policy, Canceled when the caller gave up, CallFailed when no ACK came or no media port is
        left, LocalProtocolError when the call was answered already.
        """
        leg = self._leg
        if not leg.ended.done():
            leg.accept()
        try:
            up = await leg.wait_until_up()
        except asyncio.CancelledError:
            leg.hang_up()
            raise
        if not up:
            raise leg.early_end()
        return Call.for_leg(leg)

    def reject(self, status: int = 486, reason: str = "") -> None:
        """Refuse the call: 486 Busy Here, 603 Decline, 480 Temporarily Unavailable, ...

        Raises LocalProtocolError for another status, and when the call is over.
        """
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal; use 300 to 699")
        self._leg.reject(status, reason)

    def redirect(self, *contacts: str, status: int = 302) -> None:
        """Redirect the caller to other addresses.

        Each is a URI, or a user of our own domain.  Raises ConfigurationError for a contact that
        is no SIP URI, LocalProtocolError when the call is over.
        """
        self._leg.redirect(contacts, status)
