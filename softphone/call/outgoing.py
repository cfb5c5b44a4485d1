"""Outgoing calls, from the INVITE to the answer (RFC 3261 section 13.2).

    async with account.dial("sip:bob@example.test") as outgoing:
        call = await outgoing.answered(timeout=30)

Leaving the block ends the call, with CANCEL or BYE.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Self

from softphone.call.audio_stream import AudioStream
from softphone.call.call import Call, CallHandle
from softphone.call.dial_permit import DialPermit
from softphone.call.end_cause import check_cause
from softphone.call.extra_headers import ExtraHeaders, checked_headers
from softphone.call.leg import (
    FAR_END_PATIENCE,
    CallLeg,
    DescriptionRefusal,
    LegSetup,
    MediaProposal,
    TimerHandle,
    check_digits,
)
from softphone.call.leg.call_leg import new_session_uuid
from softphone.call.leg.public_fields import public_fields
from softphone.call.leg.setup import HeaderFields
from softphone.diagnostics import explain_response
from softphone.diagnostics.refusal_text import explain_no_answer
from softphone.errors import (
    Busy,
    CallError,
    CallFailed,
    Canceled,
    Declined,
    LocalProtocolError,
    MediaError,
    NoAnswer,
    NoConnection,
    NotAcceptable,
    NotFound,
    Redirected,
    SoftphoneError,
)
from softphone.events import (
    CallEnded,
    CallEvent,
    CallRinging,
    CallState,
    EarlyMediaStarted,
    EndedBy,
)
from softphone.security import (
    MediaSecurity,
    ShortfallCode,
    SrtpPolicy,
)
from softphone.sip import (
    Body,
    BodyRole,
    InviteAnswered,
    InviteRejected,
    InviteRequest,
    InviteUsage,
    NameAddr,
    ProvisionalReceived,
    Response,
    SipEvent,
)
from softphone.sip.message import EndReason

EARLY_PATIENCE = 180.0
"""Seconds that a server may take, before the answer, to report the far end's security level."""

NO_CONNECTION = 503
"""The status of a transport failure, generated locally (RFC 3261 section 8.1.3.1)."""

_BY_STATUS: Mapping[int, type[CallError]] = {
    486: Busy,
    600: Busy,
    403: Declined,
    603: Declined,
    404: NotFound,
    410: NotFound,
    484: NotFound,
    604: NotFound,
    408: NoAnswer,
    480: NoAnswer,
    415: NotAcceptable,
    488: NotAcceptable,
    606: NotAcceptable,
    487: Canceled,
}


def _placed(_: Body | None) -> InviteRequest:
    """Replaces `make_invite` after the answer, so that what it refers to is released."""
    raise LocalProtocolError("the call has been answered")


class OutgoingLeg(CallLeg):
    """The caller's side of a call; `make_invite` builds the INVITE for a body.

    With `delayed` the INVITE has no session description: the far end offers in its 200 and our
    answer goes into the ACK (RFC 3264 section 4, RFC 3261 section 13.2.1).
    """

    _retried_in_clear = False
    _canceled = False
    _early_bound: TimerHandle | None = None

    def __init__(
        self,
        setup: LegSetup,
        make_invite: Callable[[Body | None], InviteRequest],
        permit: DialPermit,
        *,
        delayed: bool = False,
        session_uuid: str | None = None,
    ) -> None:
        """`permit` shows that the call may be placed.

        `session_uuid` is our UUID in the call that this one follows; None makes a new one.
        """
        super().__init__(setup)
        self._session_uuid = session_uuid or new_session_uuid(self.setup)
        self._make_invite = make_invite
        self.permit = permit
        self._delayed = delayed
        self._early_answers: dict[str, Body] = {}

    async def find_public_addresses(self) -> None:
        """Find where our media is reached from outside, if the account asks a STUN server.

        Raises NoPortFree, MediaError.
        """
        try:
            await self.negotiation.find_public_addresses()
        except BaseException:
            self.negotiation.close()
            raise

    def send_invite(self) -> None:
        """Send the INVITE.  Raises NoPortFree; LocalProtocolError past the permit."""
        try:
            body = None if self._delayed else self.negotiation.create_offer()
            made = self._make_invite(body)
            self.permit.check(made.uri)
            with self.setup.change() as now:
                self.usage = self.setup.endpoint.invite(
                    made, now=now, session_uuid=self._session_uuid, renew_body=self._renew_offer
                )
                self.setup.handlers.set_handler(self.usage, self)
            self.look_up_peer()
        except BaseException:
            self.negotiation.close()
            raise

    def _renew_offer(self) -> Body | None:
        """Make the offer for another target, with fresh keys; None with a delayed offer."""
        return None if self._delayed else self.negotiation.renew_offer()

    def cancel(
        self,
        status: int = 0,
        text: str = "",
        *,
        q850_cause: int = 0,
        headers: HeaderFields = (),
    ) -> None:
        """Cancel the call; `CallEnded` then has a local cause."""
        self._canceled = True
        self.hang_up(status, text, q850_cause=q850_cause, headers=headers)

    def _handle(self, event: SipEvent) -> None:
        match event:
            case ProvisionalReceived():
                self._provisional(event)
            case InviteAnswered():
                self._answered(event)
            case InviteRejected():
                self._rejected(event)
            case _:
                super()._handle(event)

    # Before the answer

    def _provisional(self, event: ProvisionalReceived[InviteUsage]) -> None:
        if self.state in (CallState.TRYING, CallState.PROCEEDING):
            self.state = CallState.EARLY if event.to_tag else CallState.PROCEEDING
        said = event.response
        self.event_queue.put_event(CallRinging(said.status, said.reason, public_fields(said)))
        if event.role is BodyRole.OFFER:
            # Our INVITE had no offer: PRACK answers (RFC 3262 section 5).
            self.select_fork(event.to_tag)
            accepted = self._accept_their_offer(event.body)
            if accepted is not None:
                with self.setup.command() as now:
                    event.usage.prack(accepted.body, now=now, to_tag=event.to_tag)
        elif event.role is BodyRole.ANSWER and event.body is not None:
            self.select_fork(event.to_tag)
            self._early_answers[event.to_tag] = event.body
            if event.reliable:
                self._early_answer = event.body
            self.apply_outcome(self.negotiation.receive_answer(event.body, final=False))
        if self.awaiting_far_end and self._early_bound is None:
            self._early_bound = self.setup.call_later(EARLY_PATIENCE, self._early_is_over)

    @property
    def far_end_patience(self) -> float | None:
        """None before the answer: early media waits up to `EARLY_PATIENCE` in all instead."""
        return super().far_end_patience if self.acknowledged else None

    def _early_is_over(self) -> None:
        """Stop waiting for the far end's level, `EARLY_PATIENCE` after the first wait began."""
        if not self.acknowledged:
            self.give_up_waiting()

    def finish(self, ended: CallEnded, error: SoftphoneError | None = None) -> None:
        """End the leg, and cancel the timer for early media."""
        if self._early_bound is not None:
            self._early_bound.cancel()
        super().finish(ended, error)

    def media_opened(self) -> None:
        """Report early media before the answer; establish the call after it."""
        if not self.acknowledged:
            self.event_queue.put_event(EarlyMediaStarted(self.security))
        super().media_opened()

    # The answer

    def _answered(self, event: InviteAnswered[InviteUsage]) -> None:
        self.state, self.acknowledged = CallState.CONFIRMED, True
        self._make_invite = _placed
        response = event.response
        self.answer = Response(response.status, response.reason, response.headers)
        self.named_on = self.flow
        response.headers.drop_index()
        tag = response.to.tag or ""
        self.select_fork(tag)
        if event.role is BodyRole.OFFER:
            # Our INVITE had no offer: this 2xx has one, and the ACK must answer it.
            accepted = self._accept_their_offer(event.body)
            if accepted is not None and accepted.body is not None:
                with self.setup.command() as now:
                    event.usage.acknowledge(accepted.body, now=now)
            return
        body = event.body
        if event.role is None:
            # The answer was in a reliable provisional response (RFC 3262 section 5).
            body = self._early_answers.get(tag)
        self._early_answer = None
        if body is not None and self.negotiation.offer_pending:
            self.apply_outcome(self.negotiation.receive_answer(body))
        else:
            self._answer_complete(event)

    def _accept_their_offer(self, body: Body | None) -> MediaProposal | None:
        """Answer an offer in a response to our INVITE; None when the call has ended instead."""
        try:
            outcome = self.negotiation.receive_offer(body)
        except MediaError as error:
            outcome = DescriptionRefusal(370, f"no media stream can be opened: {error}")
        return self.apply_outcome(outcome)

    def _answer_complete(self, event: InviteAnswered[InviteUsage]) -> None:
        """Handle a 2xx without an answer: it must complete an exchange, or the call ends."""
        if self.negotiation.offer_pending or event.role is BodyRole.ANSWER:
            self.end_for_refusal(
                DescriptionRefusal(399, "the answer has no session description that fits")
            )
        elif self.awaiting_far_end:
            self._start_far_end_timer(FAR_END_PATIENCE)
        elif self.negotiation.media:
            self.media_opened()
        else:
            self.end_for_refusal(DescriptionRefusal(399, "the answer has no session description"))

    # The refusal

    def _rejected(self, event: InviteRejected[InviteUsage]) -> None:
        if self._retry_in_clear(event):
            return
        status = 487 if event.canceled else event.status
        by = EndedBy.REMOTE
        if event.response is None:
            by = EndedBy.TRANSPORT if status == NO_CONNECTION else EndedBy.TIMEOUT
        if event.canceled or self._canceled:
            by = EndedBy.LOCAL
        cause = 0 if event.response is None else EndReason.of(event.response.reasons).q850_cause
        fields = public_fields(event.response)
        ended = CallEnded(by, event.status, event.reason, cause, fields)
        self.finish(ended, self._cause(event, status))

    def _cause(self, event: InviteRejected[InviteUsage], status: int) -> SoftphoneError:
        reason = event.reason
        if event.contacts:
            contacts = tuple(str(contact.uri) for contact in event.contacts)
            message = f"the far end is to be found elsewhere: {', '.join(contacts)}"
            return Redirected(message, status=status, reason=reason, contacts=contacts)
        explanation = f"{status} {reason}".strip()
        if event.response is not None:
            explanation = explain_response(event.response)
            if event.unauthorized:
                explanation += f"; {event.unauthorized}"
        elif status == NO_CONNECTION:
            self.explanation = f"no answer to our INVITE: {explain_no_answer(reason)}"
            return NoConnection(self.explanation, reason=reason)
        self.explanation = explanation
        kind = _BY_STATUS.get(status, CallFailed)
        return kind(explanation, status=status, reason=reason)

    def _retry_in_clear(self, event: InviteRejected[InviteUsage]) -> bool:
        """Send one INVITE with RTP/AVP after a 488 to our RTP/SAVP offer, under `optional`.

        An opportunistic offer was RTP/AVP already, and the ports of a second one would have to be
        found by STUN first.
        """
        persona = self.setup.persona
        if self._retried_in_clear or self._canceled or event.response is None:
            return False
        if self.setup.media.opportunistic or self.setup.media.ask_public is not None:
            return False
        if not persona.retries_in_clear(self.policy.srtp, event.status):
            return False
        if not self._clear_is_allowed():
            return False
        self._retried_in_clear = True
        self.negotiation.close()
        self.policy = replace(self.policy, srtp=SrtpPolicy.OFF)
        media = replace(self.setup.media, policy=self.policy)
        self.negotiation = self.make_negotiation(self.setup.negotiation, media)
        self._early_answers.clear()
        self._early_answer = None
        self._stop_waiting()
        self.state = CallState.TRYING
        self.send_invite()
        return True

    def _clear_is_allowed(self) -> bool:
        """Whether a call in clear could meet the policy; otherwise no phone should ring for it."""
        policy = replace(self.policy, srtp=SrtpPolicy.OFF)
        shortfalls = policy.judge(self._state_with((MediaSecurity("audio", "RTP/AVP"),)))
        return all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls)


class OutgoingCall(CallHandle[OutgoingLeg]):
    """A call that is not answered yet; leaving the `async with` block ends it.

    `launch` finds the first hop, opens the flow and sends the INVITE.
    """

    def __init__(self, peer: NameAddr, launch: Callable[[], Awaitable[OutgoingLeg]]) -> None:
        """`Account.dial` makes outgoing calls.

        :meta private:
        """
        super().__init__(None)
        self._called = peer
        self._launch = launch
        self._starting = asyncio.Lock()
        self.transfers = 0
        """The number of consecutive transfers that led to this call.

        :meta private:
        """

    async def start(self) -> None:
        """Send the INVITE, once.

        Raises DialRefused when the account's dial policy forbids the call, TransportError,
        CertificateError or a subclass when the first hop cannot be reached,
        SecurityShortfall when its connection cannot meet the policy, NoPortFree when no media port
        is free.
        """
        if self._started is not None:
            return
        async with self._starting:
            if self._started is None:
                self._started = await self._launch()
                self._started.transfers = self.transfers

    @property
    def peer(self) -> NameAddr:
        """The address that is called, until the account's server names who rings or answers."""
        return self._called if self._started is None else self._started.peer

    @property
    def early_audio(self) -> AudioStream | None:
        """The early audio; None before `EarlyMediaStarted`."""
        return AudioStream.for_owner(self._leg)

    async def events(self) -> AsyncIterator[CallEvent]:
        """Start the call if needed, and iterate over its events from the start."""
        await self.start()
        async for event in self._leg.event_queue.events():
            yield event

    async def answered(self, timeout: float | None = None) -> Call:  # noqa: ASYNC109
        """Wait for the answer, for at most `timeout` seconds; then the call is canceled.

        A far end that hangs up at once may have ended the call by the time it is returned.

        Raises Busy, Declined, NotFound, NoAnswer, NotAcceptable, Redirected or CallFailed,
        depending on the refusal, DialRefused when the account's dial policy forbids the call,
        SecurityShortfall when we refused the answer, NoAnswer on time-out, Canceled when we gave
        the call up.
        """
        limit = asyncio.timeout(timeout)
        late = False
        try:
            async with limit:
                await self.start()
                leg = self._leg
                try:
                    up = await leg.wait_until_up()
                except asyncio.CancelledError:
                    # Both a time-out and our own cancellation give the call up.
                    leg.cancel(480, "not answered in time" if limit.expired() else "")
                    raise
        except TimeoutError:
            late = limit.expired()
            if not late:
                raise
        finally:
            # Breaks a reference cycle: the limit holds its task, the task our error, the error
            # this frame.
            del limit
        if late:
            raise NoAnswer(f"nobody answered within {timeout:g} seconds", status=408)
        hung_up = leg.came_up and leg.ended.done() and leg.ended.result().by is EndedBy.REMOTE
        if up or hung_up:
            return Call.for_leg(leg)
        if leg.failure is None and leg.ended.result().by is EndedBy.LOCAL:
            raise Canceled("the call was given up", status=487)
        raise leg.early_end()

    def send_digits(self, digits: str) -> None:
        """Report digits to a server that still collects them (overlap dialing, RFC 4730).

        Raises ConfigurationError for a character that is no digit, LocalProtocolError when the
        server has no KPML subscription, DialRefused where a dial policy has judged the number.
        """
        check_digits(digits)
        self._leg.permit.check_overlap()
        if not len(self._leg.kpml_subscriptions):
            raise LocalProtocolError("the server does not collect digits for this call")
        for digit in digits:
            self._leg.kpml_subscriptions.report_digit(digit)

    def cancel(
        self,
        *,
        status: int = 0,
        q850_cause: int = 0,
        reason: str = "",
        headers: ExtraHeaders = (),
    ) -> None:
        """Cancel the call; does nothing once it is over.  The arguments are those of `Call.hangup`.

        Raises ConfigurationError for a cause or `headers` that cannot be sent.
        """
        check_cause(status, q850_cause, reason)
        fields = checked_headers(headers)
        self._leg.cancel(status, reason, q850_cause=q850_cause, headers=fields)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._started is not None:
            self._started.hang_up()
