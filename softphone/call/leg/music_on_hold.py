"""Music on hold from a source of the network: the far end hears it directly (RFC 7088).

    await hold_with_music(leg, turn)         the account's source, or a plain hold

The source is called without an offer and makes one.  That is passed on in the re-INVITE that holds
the far end, and the far end's answer goes back in the ACK, with a key of ours in the place of its
own: the source sends only, and the far end may use its key for the call before and after the hold.
The key of the source is the one that it offers; we see it, and no packet.  The source must meet the
policy of the held call, which `CallLeg.judge_music` judges: before its offer is passed on, and with
the answer.  Whatever fails ends in a hold without music, which `MusicOnHoldFailed` reports.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from softphone.call.leg.call_leg import CallLeg, message_of, new_session_uuid
from softphone.call.leg.kpml_subscriptions import TimerHandle
from softphone.call.leg.negotiation import SDP_TYPE, read_description
from softphone.call.leg.refusal import (
    DescriptionRefusal,
    clear_refused,
    describe_crypto_refusals,
    no_usable_key,
    policy_refusal,
)
from softphone.call.leg.security import FarEndSecurity, signaling_security
from softphone.call.leg.setup import HeaderFields, LegSetup
from softphone.diagnostics import explain_response
from softphone.errors import CallError, CallFailed, NotAcceptable, SoftphoneError
from softphone.events import CallState, MusicOnHoldFailed
from softphone.sans_io import Entropy
from softphone.sdp import (
    Attribute,
    Crypto,
    MediaDescription,
    SendingLine,
    SessionDescription,
    media_address_fault,
    read_crypto,
    relayed_answer,
    same_stream,
    sending_lines,
)
from softphone.security import (
    KeyExchange,
    MediaSecurity,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    SecurityState,
    SignalingSecurity,
    SrtpPolicy,
)
from softphone.sip import (
    Body,
    BodyRole,
    InDialogRequestReceived,
    InviteAnswered,
    InviteEnded,
    InviteRejected,
    InviteRequest,
    InviteUsage,
    ModificationAnswered,
    ModificationReceived,
    ReferReceived,
    SipEvent,
    SubscribeReceived,
)
from softphone.srtp import (
    MOST_CRYPTO_LINES,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
)

if TYPE_CHECKING:
    from softphone.sip import NotifierUsage, ServerExchange

logger = logging.getLogger("softphone.call")

OFFER_PATIENCE = 3.0
"""Seconds that a source may take to answer with its offer: so long the far end is not on hold."""

_AUDIO = "audio"
_KEYS = ("crypto", "key-mgmt")
"""The attributes that hold keys (RFC 4568, RFC 4567)."""


# The source's stream ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MusicOffer:
    """A source's offer, and the one of its m-lines that a policy lets pass.

    `usable` are the crypto lines that the far end may choose from.
    """

    description: SessionDescription
    line: SendingLine
    usable: tuple[Crypto, ...]
    security: MediaSecurity
    """The best that can be agreed on."""

    @property
    def media(self) -> MediaDescription:
        """The m-line for the far end."""
        return self.line.offered({line.tag for line in self.usable})

    def judge_answer(
        self, description: SessionDescription, media: MediaDescription, host: str
    ) -> MediaSecurity | DescriptionRefusal:
        """Return what the far end's answer agrees on; `host` is our address."""
        connection = description.connection_of(media)
        away = media_address_fault("" if connection is None else connection.address, host)
        if away is not None:
            return DescriptionRefusal(301, away)
        answered = read_crypto(media, description.attributes)
        profile = media.protocol
        if not self.usable:
            return replace(self.security, profile=profile)
        choice = check_crypto_answer(self.usable, answered)
        if choice.suite is not None:
            return MediaSecurity(_AUDIO, profile, choice.suite, KeyExchange.SDES)
        if answered or self.line.secure:
            return no_usable_key("answer", profile, choice.refusals)
        return MediaSecurity(_AUDIO, profile)

    def answer_with(
        self, description: SessionDescription, media: MediaDescription, *, entropy: Entropy
    ) -> Body:
        """Convert the far end's answer into the answer to the source.

        The far end's key is left out: many use one for a whole call, and the source could decrypt
        what the far end says before and after the music.  Another stands in its place, so that the
        source authenticates no RTCP of the far end.
        """
        chosen = (line for line in read_crypto(media) if isinstance(line, Crypto) and self.usable)
        shown = (make_crypto_answer(line, entropy=entropy).to_wire() for line in chosen)
        kept = (one for one in media.attributes if one.name not in _KEYS)
        media = replace(media, attributes=(*kept, *(Attribute("crypto", line) for line in shown)))
        answer = relayed_answer(self.description, self.line.index, description, media)
        whole = tuple(one for one in answer.attributes if one.name not in _KEYS)
        return Body(SDP_TYPE, replace(answer, attributes=whole).encode())


def judge_music_offer(
    body: Body | None, policy: SecurityPolicy, host: str
) -> MusicOffer | DescriptionRefusal:
    """Choose the m-line of a source's offer to pass on, SRTP first, or say why there is none.

    `host` is our address, of whose family the source's must be.
    """
    description = read_description(body)
    if isinstance(description, DescriptionRefusal):
        return description
    refusal = DescriptionRefusal(305, "the offer has no audio that is sent over RTP with SDES")
    found: list[MusicOffer] = []
    for line in sending_lines(description, _AUDIO):
        away = media_address_fault(line.address[0], host)
        judged = DescriptionRefusal(301, away) if away else _judge_line(description, line, policy)
        if isinstance(judged, MusicOffer):
            found.append(judged)
        else:
            refusal = judged
    return max(found, key=lambda one: one.security.level, default=None) or refusal


def _judge_line(
    description: SessionDescription, line: SendingLine, policy: SecurityPolicy
) -> MusicOffer | DescriptionRefusal:
    profile = line.media.protocol
    if policy.srtp is SrtpPolicy.OFF:
        if line.secure:
            return DescriptionRefusal(302, f"the offer is {profile} and SRTP is off here")
        return MusicOffer(description, line, (), MediaSecurity(_AUDIO, profile))
    choice = choose_crypto(line.crypto, allowed=policy.suites)
    if choice.suite is not None:
        refused = {refusal.tag for refusal in choice.refusals}
        judged = line.crypto[:MOST_CRYPTO_LINES]
        usable = tuple(c for c in judged if isinstance(c, Crypto) and c.tag not in refused)
        best = MediaSecurity(_AUDIO, profile, choice.suite, KeyExchange.SDES)
        return MusicOffer(description, line, usable, best)
    if line.secure or any(refusal.code.hostile for refusal in choice.refusals):
        return no_usable_key("offer", profile, choice.refusals)
    if policy.srtp is SrtpPolicy.REQUIRED:
        return clear_refused("offer", profile, _AUDIO)
    reasons = tuple(describe_crypto_refusals(choice.refusals[:4])) if line.crypto else ()
    return MusicOffer(
        description, line, (), MediaSecurity(_AUDIO, profile, unusable_crypto=reasons)
    )


# The leg to the source ----------------------------------------------------------------------------


class MusicSource:
    """Our call to a music source, which makes the offer (RFC 3261 section 13.2.1).

    It has no media here.  Its owner, once set, learns of its end and of changes of its security.
    """

    owner: MusicOnHold | None = None
    _timer: TimerHandle | None = None

    def __init__(self, setup: LegSetup, invite: InviteRequest) -> None:
        """Send the INVITE, which has no offer."""
        self._setup = setup
        self._settled = asyncio.Event()
        self._offer: Body | None = None
        self._failure: tuple[str, int] | None = None
        self._far_ends = FarEndSecurity(setup.persona, setup.vouched, direct=setup.direct)
        invite = replace(invite, body=None, reliable=False)
        with setup.change() as now:
            self._usage: InviteUsage = setup.endpoint.invite(
                invite, now=now, session_uuid=new_session_uuid(setup)
            )
            setup.handlers.set_handler(self._usage, self)
        self._timer = setup.call_later(OFFER_PATIENCE, self._gave_no_offer)

    @property
    def signaling(self) -> SignalingSecurity:
        """The security of the connection to the source, or to the server before it."""
        return signaling_security(self._usage.flow, self._setup.proof)

    @property
    def far_end(self) -> SecurityLevel | None:
        """The source's own level, verified by us or reported by our server; None: unknown."""
        return self._far_ends.level

    async def wait_for_offer(self) -> Body | None:
        """Return the source's offer.  Raises CallFailed after `OFFER_PATIENCE` without one."""
        await self._settled.wait()
        if self._failure is not None:
            why, status = self._failure
            raise CallFailed(why, status=status)
        return self._offer

    def answer_offer(self, body: Body) -> None:
        """Send the ACK with the far end's answer."""
        with self._setup.command() as now:
            self._usage.acknowledge(body, now=now)

    def close(self) -> None:
        """Leave the source: BYE, or CANCEL before its answer."""
        self.owner = None
        self._fail("the call has ended")
        with self._setup.command() as now:
            self._usage.bye(now=now)

    def handle_event(self, event: SipEvent) -> None:
        """Handle an event of the call to the source."""
        message = message_of(event)
        if message is not None:
            if isinstance(event, InviteAnswered):
                self._far_ends.remote_tag = self._far_ends.remote_tag_of(message)
            self._far_ends.note_message(message, self._usage, self._usage.flow)
        match event:
            case InviteAnswered():
                self._answered(event)
            case InviteRejected():
                said = f"{event.status} {event.reason}".strip()
                why = said if event.response is None else explain_response(event.response)
                self._fail(f"the music source did not answer: {why}", event.status)
            case InviteEnded():
                self._fail("the music source has ended its call", event.status)
            case ModificationReceived():
                with self._setup.command() as now:
                    event.usage.reject_modification(488, now=now)
                self._fail("the music source wants to change its media")
            case ModificationAnswered() if self.owner is not None:
                self.owner.source_refreshed(event.body)
            case InDialogRequestReceived() | ReferReceived() | SubscribeReceived():
                self._refuse(event)
            case _:
                pass
        if self.owner is not None:
            self.owner.source_changed()

    def _answered(self, event: InviteAnswered[InviteUsage]) -> None:
        self._stop_timer()
        if event.role is not BodyRole.OFFER:
            self._fail("the music source has answered without an offer")
        else:
            self._offer = event.body
            self._settled.set()
            longest = self._setup.guards.maximum_duration
            if longest:
                why = f"the call to the music source has lasted {longest:g} s"
                self._timer = self._setup.call_later(longest, partial(self._fail, why))

    def _refuse(
        self,
        event: InDialogRequestReceived[InviteUsage, ServerExchange]
        | ReferReceived[InviteUsage, NotifierUsage]
        | SubscribeReceived[InviteUsage, NotifierUsage],
    ) -> None:
        with self._setup.command() as now:
            if isinstance(event, InDialogRequestReceived):
                self._setup.endpoint.respond(event.exchange, 501, now=now)
            else:
                event.subscription.reject(603, now=now)

    def _gave_no_offer(self) -> None:
        self._fail(f"the music source made no offer within {OFFER_PATIENCE:g} s", 408)

    def _fail(self, why: str, status: int = 0) -> None:
        self._stop_timer()
        if not self._settled.is_set():
            self._failure = why, status
            self._settled.set()
        elif self._failure is None and self.owner is not None:
            self.owner.give_up(why)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


# The music of one held call -----------------------------------------------------------------------


async def hold_with_music(leg: CallLeg, turn: asyncio.Lock, headers: HeaderFields = ()) -> None:
    """Hold the far end with the account's music, or plainly where that is not possible.

    `turn` is the lock under which this call's holds are made, one after the other: the caller
    has it.  Raises what a plain hold does: see `CallLeg.renegotiate`.
    """
    leg.active_usage  # noqa: B018 - raises once the call is over, before anybody is called
    music = leg.music = MusicOnHold(leg, turn)
    try:
        await music.start(headers)
    except SoftphoneError as error:
        music.fail(str(error))
    except BaseException:
        music.abandon()
        raise
    if not leg.negotiation.held or (leg.negotiation.relayed and not music.playing):
        await leg.renegotiate(held=True, headers=headers)


class MusicOnHold:
    """The music of one held call: the call to its source, from the start to the end."""

    playing = False
    """Whether the far end's media is with the source."""

    def __init__(self, leg: CallLeg, turn: asyncio.Lock) -> None:
        self._leg: CallLeg | None = leg
        self._turn = turn
        self._source: MusicSource | None = None
        self._offer: MusicOffer | None = None
        self._answer: tuple[SessionDescription, MediaDescription] | None = None
        self._hold_task: asyncio.Task[None] | None = None

    async def start(self, headers: HeaderFields) -> None:
        """Call the source and hold the far end with its stream.

        Raises CallError where one of the two refuses, SecurityShortfall where the source does not
        meet the policy, TransportError or CertificateError where it cannot be reached.
        """
        leg = self._held_leg()
        call, policy = leg.setup.call_music_source, leg.inherited_policy
        if call is None:
            raise NotAcceptable("the account has no music source")
        source = await call(policy)
        if self._leg is None:
            source.close()
        leg, source.owner, self._source = self._held_leg(), self, source
        try:
            body = await source.wait_for_offer()
        finally:
            del source  # Breaks a reference cycle through an error in its future.
        leg = self._held_leg()
        offer = judge_music_offer(body, policy, leg.setup.media.host)
        if isinstance(offer, DescriptionRefusal):
            raise _error_of(offer)
        shortfalls = leg.judge_music(self, offer.security)
        if shortfalls:
            raise SecurityShortfall(shortfalls)
        self._offer = offer
        await leg.renegotiate(held=True, headers=headers, relayed=offer.media)

    def _held_leg(self) -> CallLeg:
        if self._leg is None:
            raise CallFailed("the call has ended")
        return self._leg

    # Security

    def join_state(self, state: SecurityState) -> SecurityState:
        """Return the security of the far end's call with the source, `state` being its own.

        Our connection to either may be the weaker.  No packet passes here: the security of the
        media is what the two have signaled, and none of it is encrypted by us (FIPS).
        """
        source = self._source
        if source is None:
            return state
        signaling = min(state.signaling, source.signaling, key=_strength)
        levels = (state.far_end, source.far_end)
        known = [level for level in levels if level is not None]
        far_end = min(known) if len(known) == len(levels) else None
        return SecurityState(signaling, state.media, far_end, False, by_word=True, direct=False)

    def judge_answer(
        self, answer: tuple[SessionDescription, MediaDescription] | DescriptionRefusal
    ) -> MediaSecurity | DescriptionRefusal | None:
        """Judge the far end's answer to the source's offer; None: there is no source any more."""
        leg, offer = self._leg, self._offer
        if leg is None or offer is None or isinstance(answer, DescriptionRefusal):
            return answer if isinstance(answer, DescriptionRefusal) else None
        agreed = offer.judge_answer(*answer, leg.setup.media.host)
        if isinstance(agreed, MediaSecurity):
            shortfalls = leg.judge_music(self, agreed)
            if shortfalls:
                return policy_refusal(shortfalls)
        self._answer = answer
        return agreed

    # While it plays

    def begin(self) -> None:
        """Tell the source where the far end is, as the answer that was judged says."""
        leg, offer, answer = self._leg, self._offer, self._answer
        if (
            leg is not None
            and self._source is not None
            and offer is not None
            and answer is not None
        ):
            self.playing = True
            entropy = leg.setup.media.entropy
            self._source.answer_offer(offer.answer_with(*answer, entropy=entropy))

    def refreshed(self, body: Body | None) -> None:
        """Take the far end's answer to our session refresh: with other media the music ends."""
        if self._answer is not None:
            known, line = self._answer
            if not _repeats(body, known, known.media.index(line)):
                self.give_up("the far end has changed its media")

    def source_refreshed(self, body: Body | None) -> None:
        """Take the source's answer to our session refresh: with other media the music ends."""
        offer = self._offer
        if offer is not None and not _repeats(body, offer.description, offer.line.index):
            self.give_up("the music source has changed its media")

    def source_changed(self) -> None:
        """Judge the security of the call again."""
        if self.playing and self._leg is not None:
            self._leg.reevaluate_security()

    def media_returned(self) -> None:
        """End the music: the far end's media is with us again."""
        if not self.playing or self._leg is None:
            return
        leg = self._leg
        if leg.negotiation.held:
            self.fail("the session has changed")
        else:
            self.close()

    # The end

    def give_up(self, why: str) -> None:
        """End the music, and hold the far end plainly if it is with the source."""
        leg = self._leg
        if leg is None:
            return
        self.fail(why)
        self._hold_later(leg)
        leg.reevaluate_security()

    def abandon(self) -> None:
        """Stop at once, since the wait was canceled; a re-INVITE that is under way goes on."""
        leg = self._leg
        change = None if leg is None else leg.modification
        if leg is None or change is None or change.relayed is None:
            self.close()
            return

        def settle(done: asyncio.Future[None]) -> None:
            error = done.exception()
            if error is not None:
                self.fail(str(error))
                self._hold_later(leg)

        change.done.add_done_callback(settle)

    def _hold_later(self, leg: CallLeg) -> None:
        self._hold_task = asyncio.ensure_future(self._hold_plainly(leg))

    def fail(self, why: str) -> None:
        """End the music and report why, once."""
        leg = self._leg
        if leg is None:
            return
        self.close()
        if leg.state is not CallState.TERMINATED:
            logger.warning("no music on hold: %s", why, extra=leg.log_fields)
            leg.emit_event(MusicOnHoldFailed(why))

    def close(self) -> None:
        """Leave the source, once."""
        leg, source = self._leg, self._source
        self._leg = self._source = None
        self.playing = False
        if leg is not None and leg.music is self:
            leg.music = None
        if source is not None:
            source.close()

    async def _hold_plainly(self, leg: CallLeg) -> None:
        async with self._turn:
            try:
                if leg.modification is not None:
                    await asyncio.wait([leg.modification.done])
                if leg.negotiation.relayed and leg.state is not CallState.TERMINATED:
                    await leg.renegotiate(held=True)
            except SoftphoneError as error:
                logger.warning("the far end hears nothing: %s", error, extra=leg.log_fields)


def _repeats(body: Body | None, known: SessionDescription, index: int) -> bool:
    described = read_description(body)
    return not isinstance(described, DescriptionRefusal) and same_stream(described, known, index)


def _strength(signaling: SignalingSecurity) -> tuple[SecurityLevel, str]:
    return signaling.level, signaling.protocol or ""


def _error_of(refusal: DescriptionRefusal) -> CallError | SecurityShortfall:
    if refusal.shortfalls:
        return SecurityShortfall(refusal.shortfalls)
    return NotAcceptable(f"the music source: {refusal.explanation}", status=488)
