"""Incoming calls: ring, play early media, answer, reject or redirect them (RFC 3261 section 13.3).

Early media needs our session description before the answer, in a 183: an unreliable one is a
preview that the 200 repeats, a reliable one completes the exchange (RFC 3262 section 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from softphone.call.audio_stream import AudioStream
from softphone.call.call import Call, CallHandle, detect_inband_digits, open_stream
from softphone.call.call_stream import CallItem
from softphone.call.end_cause import check_cause, refusal_status
from softphone.call.extra_headers import ExtraHeaders, checked_headers
from softphone.call.leg import (
    FAR_END_PATIENCE,
    CallLeg,
    DescriptionRefusal,
    KeptAudio,
    LegSetup,
    MediaProposal,
    MediaSetup,
    Negotiation,
    check_keep,
    contain,
    policy_refusal,
    warning_header,
)
from softphone.call.leg.call_leg import new_session_uuid
from softphone.call.leg.refusal import reason_headers
from softphone.call.leg.setup import HeaderFields
from softphone.errors import (
    CallFailed,
    Canceled,
    ConfigurationError,
    LocalProtocolError,
    MediaError,
    NotAcceptable,
    SoftphoneError,
)
from softphone.events import (
    CallEnded,
    CallerAttested,
    CallState,
    EarlyMediaStarted,
    EndedBy,
    SecurityRefused,
)
from softphone.security import MediaSecurity, SecurityShortfall, ShortfallCode
from softphone.sip import (
    AckReceived,
    Body,
    BodyRole,
    InviteCanceled,
    InviteReceived,
    InviteUsage,
    PrackReceived,
    SipEvent,
    parse_target,
)
from softphone.sip.message import NIL_UUID, SessionId, asserted_identity

if TYPE_CHECKING:
    from softphone.trust.stir import Attestation


class IncomingLeg(CallLeg):
    """The callee's side of a call.

    The offer is judged when the call arrives.  Ports, keys and our session description are made
    when they are first sent, so that a call that is never answered costs none.
    """

    _description: Body | None = None
    _accepted = False
    """Whether we have answered: the 200 may still wait for the PRACK of a 183."""
    _early: asyncio.Future[None] | None = None
    """Done once early media is open; None: our session description has not been sent early."""

    def __init__(self, setup: LegSetup, invite: InviteReceived[InviteUsage]) -> None:
        super().__init__(setup)
        self.usage = invite.usage
        self.request = invite.request
        self.replaces = invite.replaces
        self._proposal: MediaProposal | None = None
        self._offered = invite.role is BodyRole.OFFER
        self._body = invite.body
        if invite.request.asserts_identity and setup.asserts(invite.usage.flow):
            self.identity = asserted_identity(
                invite.request, remote_party_id_first=setup.persona.remote_party_id_first
            )
        self.named_on = invite.flow
        self._identify_session(invite)
        setup.handlers.set_handler(invite.usage, self)

    def _identify_session(self, invite: InviteReceived[InviteUsage]) -> None:
        """Send Session-ID, with our UUID of a call that this one replaces (RFC 7989 section 6)."""
        replaced = None if invite.replaces is None else invite.replaces.session_id
        ours = new_session_uuid(self.setup) if replaced is None else replaced.local
        if ours is not None:
            theirs = invite.request.session_id
            remote = NIL_UUID if theirs is None else theirs.local
            invite.usage.identify_session(SessionId(ours, remote))

    def evaluate_offer(self) -> bool:
        """Judge the offer, if there is one; False when it was refused (488)."""
        self._evaluate_offer()
        if self._state is CallState.TERMINATED:
            return False
        self.look_up_peer()
        return True

    @contain
    def _evaluate_offer(self) -> None:
        self._note_far_end(self.request)
        if not self._offered:
            return
        outcome = self.negotiation.judge_offer(self._body)
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
            outcome = self.negotiation.judge_offer(self._body)
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

    def attest(self, attestation: Attestation) -> None:
        """Store and report the result of verifying the caller's Identity (RFC 8224)."""
        self.attestation = attestation
        self.event_queue.put_event(
            CallerAttested(
                level="" if attestation.level is None else attestation.level.value,
                reason=attestation.reason,
                number=attestation.number,
                origin_id=attestation.origin_id,
                authorities=attestation.authorities,
                signer=attestation.signer,
            )
        )

    def ring(self, status: int = 180, headers: HeaderFields = ()) -> None:
        """Send a provisional response, 180 Ringing by default."""
        usage = self.active_usage
        with self.setup.command() as now:
            usage.send_provisional(status, now=now, headers=headers)
            if self._state is CallState.TRYING:
                self.state = CallState.EARLY

    async def find_public_addresses(self) -> None:
        """Find where our media is reached from outside, if the account asks a STUN server.

        The call is refused when that cannot be found.
        """
        if self.ended.done() or self.answering or (self._offered and self._proposal is None):
            return
        try:
            await self.negotiation.find_public_addresses()
        except MediaError as error:
            if not self.ended.done():
                self._no_media(error)

    def accept(self, keep: float | None = None, headers: HeaderFields = ()) -> None:
        """Send 200 with our answer to the offer, or with our own offer when there was none.

        With `keep`, sound is kept from now on, `keep` seconds of it.  Raises LocalProtocolError
        when the offer was refused.
        """
        usage = self.active_usage
        if self._accepted or usage.answered:
            raise LocalProtocolError("the call has been answered already")
        if self._early is None and not self._open_media():
            return
        # Our offer in a reliable 183 is in force: a second one here would be another (RFC 3262 5).
        body = self._description if self._offered or self._early is None else None
        self._accepted = True
        if keep is not None:
            self._keep_audio(keep)
        if self._early is not None and self.awaiting_far_end:
            self._start_far_end_timer(FAR_END_PATIENCE)
        with self.setup.change() as now:
            fields = (*self.setup.answer_headers(self._shown or self.security), *headers)
            usage.accept(body, now=now, headers=fields)

    def _keep_audio(self, seconds: float) -> None:
        """Keep sound for the first reader, unless something reads or records already."""
        if self.sound.records:
            return
        # What came before the answer is still in the playout buffer, and must not be kept.
        skip = self.statistics.playout_delay_ms / 1000 if self._early is not None else 0.0
        queue = self.event_queue
        self.kept_audio = KeptAudio(seconds, count_events=lambda: queue.written, skip=skip)
        self.sound.record(self.kept_audio)

    def drop_kept_audio_after(self, seconds: float) -> None:
        """Drop the kept sound unless it has been read within `seconds`."""
        kept, sound = self.kept_audio, self.sound
        if kept is None or not kept.waits:
            return

        def drop() -> None:
            if kept.waits:
                sound.stop_recording(kept)

        sound.call_at_end(self.setup.call_later(seconds, drop).cancel)

    def _open_media(self) -> bool:
        """Make our description and open media as far as it was agreed; False: refused instead.

        Raises LocalProtocolError when the offer was refused.
        """
        if self._offered and self._proposal is None:
            raise LocalProtocolError("the offer was refused")
        try:
            self.make_description()
        except MediaError as error:
            self._no_media(error)
            return False
        shortfalls = () if self._proposal is None else self.apply_proposal(self._proposal)
        if shortfalls:
            self._refuse_description(488, policy_refusal(shortfalls))
        return not shortfalls

    def send_early(self, headers: HeaderFields = ()) -> asyncio.Future[None]:
        """Send 183 with our session description, once; the future is done when media is open.

        The 183 is reliable where the caller supports 100rel.  Raises NotAcceptable when the caller
        made no offer and lacks 100rel: our offer could then only stand in the 200 (RFC 3261
        section 13.2.1).  Raises LocalProtocolError once we have answered or the call is over.
        """
        usage = self.active_usage
        if self.answering:
            raise LocalProtocolError("the call has been answered already")
        if self._early is not None:
            return self._early
        if not self._offered and not usage.can_send_reliably:
            message = "the caller made no offer and lacks 100rel: there can be no early media"
            raise NotAcceptable(message, status=421, reason="Extension Required")
        early = self._early = asyncio.get_running_loop().create_future()
        if not self._open_media():
            return early
        with self.setup.command() as now:
            usage.send_provisional(183, now=now, body=self._description, headers=headers)
            if self._state is CallState.TRYING:
                self.state = CallState.EARLY
        if self._offered and not self.awaiting_far_end:
            self.media_opened()
        return early

    @property
    def far_end_patience(self) -> float | None:
        """None before the answer: the time that a call may ring bounds early media, too."""
        return super().far_end_patience if self._early is None or self._accepted else None

    def media_opened(self) -> None:
        """Report early media before the answer; establish the call after it."""
        early = self._early
        if early is not None and not early.done() and not self._accepted:
            early.set_result(None)
            self.event_queue.put_event(EarlyMediaStarted(self.security))
        super().media_opened()

    def make_description(self) -> Body:
        """Make our answer, or our offer if there was none, once.  Raises NoPortFree."""
        if self._description is None:
            make = self.negotiation.make_answer if self._offered else self.negotiation.create_offer
            self._description = make()
        return self._description

    @property
    def accepted(self) -> bool:
        """Whether we have taken the call; the 200 may wait for a PRACK."""
        return self._accepted

    @property
    def answering(self) -> bool:
        """Whether we have answered; the 200 may wait for a PRACK."""
        return self._accepted or (self.usage is not None and self.usage.answered)

    def reject(
        self, status: int, reason: str = "", *, q850_cause: int = 0, headers: HeaderFields = ()
    ) -> None:
        """Refuse the call with `status`."""
        usage = self.active_usage
        self.finish(CallEnded(EndedBy.LOCAL, status, reason, q850_cause))
        fields = (*reason_headers(0, q850_cause, ""), *headers)
        with self.setup.command() as now:
            usage.reject(status, now=now, reason=reason, headers=fields)

    def redirect(self, contacts: tuple[str, ...], status: int, headers: HeaderFields = ()) -> None:
        """Redirect the caller to `contacts` with a 3xx.  Raises ConfigurationError, DialRefused."""
        usage = self.active_usage
        places = [parse_target(contact, self.own_uri) for contact in contacts]
        for place in places:
            self.setup.judge_referral(place.uri, False, asyncio.get_running_loop().time())
        self.finish(CallEnded(EndedBy.LOCAL, status, "redirected"))
        with self.setup.command() as now:
            usage.redirect(places, now=now, status=status, headers=headers)

    def _end_usage(self, usage: InviteUsage, ended: CallEnded, headers: HeaderFields) -> None:
        if usage.answered:
            super()._end_usage(usage, ended, headers)
            return
        fields = reason_headers(0, ended.q850_cause, "")
        if ended.reason:
            refusal = DescriptionRefusal(399, ended.reason)
            fields = (warning_header(refusal, self.setup.warning_agent), *fields)
        status = ended.status if 400 <= ended.status <= 699 else 480
        with self.setup.command() as now:
            usage.reject(status, now=now, headers=(*fields, *headers))

    def _handle(self, event: SipEvent) -> None:
        if isinstance(event, AckReceived | PrackReceived):
            # Only who received our response knows its tag (RFC 3261 13.2.2.4, RFC 3262 section 3).
            self.negotiation.send_anywhere()
        if not isinstance(event, InviteCanceled):
            super()._handle(event)
            return
        error = Canceled("the caller gave up", status=487, reason="Request Terminated")
        ended = CallEnded(EndedBy.REMOTE, event.status or 487, event.reason, event.q850_cause)
        self.finish(ended, error)


class IncomingCall(CallHandle[IncomingLeg]):
    """A call that waits for our answer.  Calls refused on security grounds are never offered here.

    `replaces` is our call that this one is to replace (RFC 3891): answering this one ends it.
    """

    def __init__(self, leg: IncomingLeg, *, replaces: Call | None = None) -> None:
        """`Account.incoming` gives incoming calls.

        :meta private:
        """
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

    async def attested(self) -> Attestation | None:
        """Wait, for 2 s at most, until the caller's attestation (STIR) is verified; return it.

        None where the account verifies no callers (`[stir]`).
        """
        if self._leg.verification is not None:
            await asyncio.wait([self._leg.verification])
        return self._leg.attestation

    def ring(self, *, headers: ExtraHeaders = ()) -> None:
        """Send 180 Ringing, with `headers`.

        Raises LocalProtocolError when the call is over, ConfigurationError for `headers` as
        `Account.dial` does.
        """
        self._leg.ring(headers=checked_headers(headers))

    @property
    def early_audio(self) -> AudioStream | None:
        """The early audio; None before `EarlyMediaStarted`."""
        return AudioStream.for_owner(self._leg)

    def stream(self) -> AsyncIterator[CallItem]:
        """Iterate over the caller's sound and the call's events in one order, from early media on.

        It replaces `Call.stream`: it continues through the answer, and
        `CallEnded` is the last item, also of a call that is not answered.  Raises
        LocalProtocolError before `early_media`.
        """
        if self.early_audio is None:
            raise LocalProtocolError("there is no sound yet: call early_media() first, or answer()")
        return open_stream(self._leg)

    async def early_media(self, *, headers: ExtraHeaders = ()) -> AudioStream:
        """Send 183 Session Progress with our session description; return the audio once it is open.

        `headers` go into the 183.  The caller hears what is played and is heard, with digits,
        before the answer; `answer` then goes on with the same sound and keys.  The 183 is reliable
        (RFC 3262) where the caller supports that, and `answer` waits for its PRACK.  Media is
        judged as in the answer: nothing flows before the policy is met.  A second call sends
        nothing more.

        Raises SecurityShortfall when the policy is not met, Canceled when the caller gave up,
        CallFailed when no media port is left or no PRACK came: the call has then ended.  Raises
        NotAcceptable, and the call goes on, when the caller made no offer and lacks 100rel;
        ConfigurationError for `headers` as `Account.dial` does, LocalProtocolError when the call
        was answered already.
        """
        leg, fields = self._leg, checked_headers(headers)
        await leg.find_public_addresses()
        if leg.ended.done():
            raise leg.early_end()
        opened = leg.send_early(fields)
        ends: set[asyncio.Future[None] | asyncio.Future[CallEnded]]
        ends = {opened, leg.confirmed, leg.ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if leg.ended.done():
            raise leg.early_end()
        detect_inband_digits(leg)
        return AudioStream(leg)

    async def answer(self, *, keep: float | None = None, headers: ExtraHeaders = ()) -> Call:
        """Answer, and wait until the ACK has arrived and media is open; `headers` go into the 200.

        A caller that hangs up at once may have ended the call by the time it is returned.

        With `keep`, the caller's first words are kept in memory, from the answer on and never from
        before it: the first `audio.read` or `stream` within `keep` seconds (30 at most) gets them,
        and then what follows.  No other reader gets them.  After that time, and at the end of the
        call, they are overwritten.  Where SRTP is required, only authenticated sound is kept.
        Nothing is kept where something records already.

        Raises ConfigurationError for another `keep` and for `headers` as `Account.dial` does,
        SecurityShortfall when the answer to our offer, or the far end, does not meet the policy,
        Canceled when the caller gave up, CallFailed when no ACK came or no media port is left,
        LocalProtocolError when the call was answered already.
        """
        leg, fields = self._leg, checked_headers(headers)
        if keep is not None:
            check_keep(keep)
        await leg.find_public_addresses()
        if not leg.ended.done():
            leg.accept(keep, fields)
        try:
            await leg.wait_until_up()
        except asyncio.CancelledError:
            leg.hang_up()
            raise
        # A BYE right behind the ACK ends a call that was answered.
        if not leg.came_up:
            raise leg.early_end()
        if keep is not None:
            leg.drop_kept_audio_after(keep)
        return Call.for_leg(leg)

    def reject(
        self,
        status: int | None = None,
        reason: str = "",
        *,
        q850_cause: int = 0,
        headers: ExtraHeaders = (),
    ) -> None:
        """Refuse the call: 486 Busy Here, 603 Decline, 480 Temporarily Unavailable, ...

        `q850_cause` goes into Reason (RFC 6432), and determines a status that is None (RFC 3398);
        without both the status is 486.  `headers` go into the response.  Raises LocalProtocolError
        for a status that is no refusal, and when the call is over; ConfigurationError for a cause
        or reason that cannot be sent, words in the place of the status, and for `headers` as
        `Account.dial` does.
        """
        if isinstance(status, bool | str) or not isinstance(reason, str):
            raise ConfigurationError(
                'reject: the status comes before the words: give reject(603, "in a meeting")'
            )
        status = refusal_status(q850_cause) if status is None else status
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal; use 300 to 699")
        check_cause(status, q850_cause, reason)
        fields = checked_headers(headers)
        self._leg.reject(status, reason, q850_cause=q850_cause, headers=fields)

    def redirect(self, *contacts: str, status: int = 302, headers: ExtraHeaders = ()) -> None:
        """Redirect the caller to other addresses; `headers` go into the response.

        Each is a target as `Account.dial` takes it.  Raises ConfigurationError for a contact that
        is no SIP URI and for `headers` as `Account.dial` does, DialRefused when the account's dial
        policy forbids a contact, LocalProtocolError when the call is over.
        """
        self._leg.redirect(contacts, status, checked_headers(headers))
