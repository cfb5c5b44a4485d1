"""A call that we make: from the INVITE to the answer (RFC 3261 section 13.2).

    async with account.dial("sip:bob@example.test") as outgoing:
        call = await outgoing.answered(timeout=30)

Leaving the block ends whatever is there, with CANCEL or BYE.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from softphone.call.audio_stream import AudioStream
from softphone.call.call import Call
from softphone.call.leg import (
    FAR_END_PATIENCE,
    CallLeg,
    DescriptionRefusal,
    LegSetup,
    TimerHandle,
    check_digits,
)
from softphone.contacts import Contact
from softphone.diagnostics import explain_response
from softphone.diagnostics.refusal_text import explain_early_end, explain_no_answer
from softphone.errors import (
    Busy,
    CallError,
    CallFailed,
    Canceled,
    Declined,
    LocalProtocolError,
    NoAnswer,
    NoConnection,
    NotAcceptable,
    NotFound,
    Redirected,
    SoftphoneError,
    copy_error,
)
from softphone.events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallRinging,
    CallState,
    EarlyMediaStarted,
    EndedBy,
    StreamStatistics,
)
from softphone.media import MediaError
from softphone.security import (
    MediaSecurity,
    SecurityPolicy,
    SecurityState,
    Shortfall,
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
)

__all__ = ["OutgoingCall", "OutgoingLeg"]

EARLY_PATIENCE = 180.0
"""Seconds that a server may take before the answer to say what the far end of early media is."""

NO_CONNECTION = 503
"""Without a response it is our own (RFC 3261 section 8.1.3.1)."""

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
    """The INVITE of a call that has been answered, whose way there is forgotten."""
    raise LocalProtocolError("the call has been answered")


class OutgoingLeg(CallLeg):
    """The caller's side of a call; `make_invite` makes the INVITE for a body.

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
        *,
        delayed: bool = False,
    ) -> None:
        super().__init__(setup)
        self._make_invite = make_invite
        self._delayed = delayed
        self._early_answers: dict[str, Body] = {}

    def send_invite(self) -> None:
        """Send the INVITE.  Raises NoPortFree."""
        try:
            body = None if self._delayed else self.negotiation.create_offer()
            with self.setup.change() as now:
                invite = replace(self._make_invite(body), renew_body=self._renew_offer)
                self.usage = self.setup.endpoint.invite(invite, now=now)
                self.setup.handlers.set_handler(self.usage, self)
            self.peer_name.look_up(self.peer)
        except BaseException:
            self.negotiation.close()
            raise

    def _renew_offer(self) -> Body | None:
        """Our offer for another place, which gets keys of its own; None: it is to offer."""
        return None if self._delayed else self.negotiation.renew_offer()

    def cancel(self, status: int = 0, text: str = "") -> None:
        """Give the call up."""
        self._canceled = True
        self.hang_up(status, text)

    # Before the answer

    def _provisional(self, event: ProvisionalReceived[InviteUsage]) -> None:
        if self.state in (CallState.TRYING, CallState.PROCEEDING):
            self.state = CallState.EARLY if event.to_tag else CallState.PROCEEDING
        self.event_queue.put_event(CallRinging(event.response.status, event.response.reason))
        if event.role is BodyRole.OFFER:
            self._early_offer(event)
        elif event.role is BodyRole.ANSWER and event.body is not None:
            self.select_fork(event.to_tag)
            self._early_answers[event.to_tag] = event.body
            if event.reliable:
                self._early_answer = event.body
            outcome = self.negotiation.receive_answer(event.body, final=False)
            # The far end's level may come as late as the answer: an early answer just waits.
            if isinstance(outcome, DescriptionRefusal):
                self.end_for_refusal(outcome)
                return
            shortfalls = self.apply_proposal(outcome, accepted=self._media_opened, patience=None)
            if shortfalls:
                self.end_for_shortfalls(shortfalls)
            self._bound_early()

    def _early_offer(self, event: ProvisionalReceived[InviteUsage]) -> None:
        """Our INVITE had no offer, and a reliable response has one: PRACK answers (RFC 3262 5)."""
        self.select_fork(event.to_tag)
        answer = self._accept_their_offer(event.body, accepted=self._media_opened, patience=None)
        if answer is not None:
            tag = event.to_tag
            self.run_command(lambda now: event.usage.prack(answer, now=now, to_tag=tag))
        self._bound_early()

    def _bound_early(self) -> None:
        """Early media waits for the far end's level no longer than `EARLY_PATIENCE` in all."""
        if self.awaiting_far_end and self._early_bound is None:
            self._early_bound = self.setup.call_later(
                EARLY_PATIENCE, lambda: self.run_guarded(self._early_is_over)
            )

    def _early_is_over(self) -> None:
        if self.state is not CallState.CONFIRMED:
            self.give_up_waiting()

    def finish(self, ended: CallEnded, error: SoftphoneError | None = None) -> None:
        """The call is over."""
        if self._early_bound is not None:
            self._early_bound.cancel()
        super().finish(ended, error)

    def _media_opened(self) -> None:
        if self.state is not CallState.CONFIRMED:
            self.event_queue.put_event(EarlyMediaStarted(self.security))

    # The answer

    def _answered(self, event: InviteAnswered[InviteUsage]) -> None:
        self.state = CallState.CONFIRMED
        self._make_invite = _placed
        tag = event.response.to.tag or ""
        self.select_fork(tag)
        if event.role is BodyRole.OFFER:
            # Our INVITE had no offer: this 2xx has one, and the ACK must answer it.
            answer = self._accept_their_offer(
                event.body, accepted=self.established, patience=FAR_END_PATIENCE
            )
            if answer is not None:
                self.run_command(lambda now: event.usage.acknowledge(answer, now=now))
            return
        body = event.body
        if event.role is None:
            # The answer was in a reliable provisional response (RFC 3262 section 5).
            body = self._early_answers.get(tag)
        self._early_answer = None
        if body is not None and self.negotiation.offer_pending:
            self._take_answer(body, accepted=self.established)
        else:
            self._answer_complete(event)

    def _accept_their_offer(
        self, body: Body | None, *, accepted: Callable[[], None], patience: float | None
    ) -> Body | None:
        """Our answer to an offer in a response to our INVITE; None: the call is over."""
        try:
            outcome = self.negotiation.receive_offer(body)
        except MediaError as error:
            outcome = DescriptionRefusal(370, f"no media stream can be opened: {error}")
        if isinstance(outcome, DescriptionRefusal):
            self.end_for_refusal(outcome)
            return None
        shortfalls = self.apply_proposal(outcome, accepted=accepted, patience=patience)
        if shortfalls:
            self.end_for_shortfalls(shortfalls)
            return None
        return outcome.body

    def _answer_complete(self, event: InviteAnswered[InviteUsage]) -> None:
        """A 2xx that brings no answer: fine if the exchange is complete, else it lacks one."""
        if self.negotiation.offer_pending or event.role is BodyRole.ANSWER:
            self.end_for_refusal(
                DescriptionRefusal(399, "the answer has no session description that fits")
            )
        elif self.awaiting_far_end:
            self.await_far_end(self.established)
        elif self.negotiation.media:
            self.established()
        else:
            self.end_for_refusal(DescriptionRefusal(399, "the answer has no session description"))

    def established(self) -> None:
        """Media is open: the call is up."""
        if self.state is not CallState.CONFIRMED or self.confirmed.done():
            return
        self.event_queue.put_event(CallAnswered(self.security))
        self.confirmed.set_result(None)

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
        self.finish(CallEnded(by, event.status, event.reason), self._cause(event, status))

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
        """Under `optional`, one INVITE with RTP/AVP follows a 488 to our RTP/SAVP offer."""
        persona = self.setup.persona
        if self._retried_in_clear or self._canceled or event.response is None:
            return False
        if not persona.retries_in_clear(self.policy.srtp, event.status):
            return False
        if not self._clear_is_allowed():
            return False
        self._retried_in_clear = True
        self.negotiation.close()
        self.policy = replace(self.policy, srtp=SrtpPolicy.OFF)
        self.negotiation = self.make_negotiation(replace(self.setup.media, policy=self.policy))
        self._early_answers.clear()
        self._early_answer = None
        self._stop_waiting()
        self.state = CallState.TRYING
        self.send_invite()
        return True

    def _clear_is_allowed(self) -> bool:
        """Whether a call in clear could pass the policy; else nobody's phone is to ring for it."""
        policy = replace(self.policy, srtp=SrtpPolicy.OFF)
        shortfalls = policy.judge(self._state_with((MediaSecurity("audio", "RTP/AVP"),)))
        return all(s.code is ShortfallCode.FAR_END_UNKNOWN for s in shortfalls)

    handlers: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        **CallLeg.handlers,
        ProvisionalReceived: _provisional,
        InviteAnswered: _answered,
        InviteRejected: _rejected,
    }


class OutgoingCall:
    """A call on its way; leaving the `async with` block ends it.

    `launch` finds the first hop, opens the flow and sends the INVITE.
    """

    def __init__(self, peer: NameAddr, launch: Callable[[], Awaitable[OutgoingLeg]]) -> None:
        self._called = peer
        self._launch = launch
        self._started: OutgoingLeg | None = None
        self._starting = asyncio.Lock()
        self.transfers = 0
        """How many transfers, one after another, have led to this call."""

    @property
    def _leg(self) -> OutgoingLeg:
        if self._started is None:
            raise LocalProtocolError("the call has not been started: enter it with `async with`")
        return self._started

    async def start(self) -> None:
        """Send the INVITE, once.

        Raises TransportError, CertificateError and their kin when the first hop cannot be
        reached, SecurityShortfall when its connection rules out what is demanded, NoPortFree when
        there is no media port.
        """
        async with self._starting:
            if self._started is None:
                self._started = await self._launch()
                self._started.transfers = self.transfers

    @property
    def id(self) -> str:
        """The Call-ID; "" before the start."""
        usage = None if self._started is None else self._started.usage
        return "" if usage is None else usage.call_id

    @property
    def peer(self) -> NameAddr:
        """Whom we call."""
        return self._called

    @property
    def contact(self) -> Contact | None:
        """Whom we call, as far as directories have said until now."""
        return None if self._started is None else self._started.peer_name.contact

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return CallState.TRYING if self._started is None else self._started.state

    @property
    def security(self) -> SecurityState:
        """What the call has now.  Raises LocalProtocolError before the start."""
        return self._leg.security

    @property
    def inherited_policy(self) -> SecurityPolicy:
        """What a call that comes from this one has to meet, beside its own account's policy.

        Raises LocalProtocolError before the start.
        """
        return self._leg.inherited_policy

    @property
    def statistics(self) -> StreamStatistics:
        """Of its audio, early or not; after the end, the last."""
        return StreamStatistics() if self._started is None else self._started.statistics

    @property
    def early_audio(self) -> AudioStream | None:
        """The audio before the answer, once `EarlyMediaStarted` was told."""
        return AudioStream.for_owner(self._leg)

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """Why we refused the call on security grounds; () if we did not."""
        return () if self._started is None else self._started.refused

    @property
    def explanation(self) -> str:
        """Why the call was refused or failed, as a sentence; "" if it was not."""
        return "" if self._started is None else self._started.explanation

    async def events(self) -> AsyncIterator[CallEvent]:
        """Everything that happens to the call, from its start (which this brings about)."""
        await self.start()
        async for event in self._leg.event_queue.events():
            yield event

    async def answered(self, timeout: float | None = None) -> Call:  # noqa: ASYNC109
        """Wait for the answer, `timeout` seconds at most (then the call is canceled).

        Raises Busy, Declined, NotFound, NoAnswer, NotAcceptable, Redirected, CallFailed by the
        far end's refusal, SecurityShortfall when we refused what it answered, NoAnswer on
        time-out, Canceled when the call was given up.
        """
        limit = asyncio.timeout(timeout)
        late = False
        try:
            async with limit:
                await self.start()
                leg = self._leg
                try:
                    waiting: set[asyncio.Future[Any]] = {leg.confirmed, leg.ended}
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    # Both a time-out and our own cancellation give the call up.
                    leg.cancel(480, "not answered in time" if limit.expired() else "")
                    raise
        except TimeoutError:
            late = limit.expired()
            if not late:
                raise
        finally:
            # It holds its task, which an error of ours would be held by, and the error this frame.
            del limit
        if late:
            raise NoAnswer(f"nobody answered within {timeout:g} seconds", status=408)
        leg = self._leg
        if leg.ended.done():
            raise self._failure(leg.ended.result())
        return Call.for_leg(leg)

    def _failure(self, ended: CallEnded) -> SoftphoneError:
        if self._leg.failure is not None:
            return copy_error(self._leg.failure)
        if ended.by is EndedBy.LOCAL:
            return Canceled("the call was given up", status=487)
        return CallFailed(explain_early_end(ended), status=ended.status, reason=ended.reason)

    def send_digits(self, digits: str) -> None:
        """Dial on: tell the server of digits that it still collects (RFC 4730).

        Raises ConfigurationError for what is no digit, LocalProtocolError when nobody collects.
        """
        check_digits(digits)
        if not len(self._leg.kpml_subscriptions):
            raise LocalProtocolError("the server does not collect digits for this call")
        for digit in digits:
            self._leg.kpml_subscriptions.report_digit(digit)

    def cancel(self) -> None:
        """Give the call up; nothing happens when it is over."""
        self._leg.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._started is not None:
            self._started.hang_up()
