"""Negotiation: the media negotiation of one call, which joins SDP, SDES keys and media rows.

    body = negotiation.create_offer()                 outcome = negotiation.judge_offer(body)
    outcome = negotiation.receive_answer(body)        body = negotiation.make_answer()

An outcome is a `MediaProposal`, whose `media` the caller judges by the call's policy, or a
`DescriptionRefusal` with the reasons.  Nothing changes on the wire before `commit`; `rollback`
leaves the session as it was (RFC 3264 section 8, RFC 3261 section 14.1).  No row is reserved and
no key drawn before an offer or an answer of ours is made.  The policy's demand on
the media (`srtp`) is enforced here, on offers and answers in both directions; the caller judges
the level of the whole call.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from operator import attrgetter
from typing import TypeAlias

from softphone.call.leg.media_row import MediaStreamRow
from softphone.call.leg.refusal import (
    DescriptionRefusal,
    clear_refused,
    describe_crypto_refusals,
    fallback_not_agreed,
    no_usable_key,
    transport_refused,
)
from softphone.call.leg.rtcp_xr_demand import DEFAULT_XR_DEMAND, RtcpXrDemand
from softphone.call.leg.video_setup import VideoSetup, video_capability
from softphone.errors import LocalProtocolError, MediaError
from softphone.events import Direction
from softphone.fast_dataclass import fast_init
from softphone.media import (
    AllocatedStream,
    EventCallback,
    MediaBackend,
    PublicAddresses,
    StreamHandle,
    StreamSpec,
    VideoStream,
)
from softphone.media.bank import find_codec
from softphone.sans_io import Entropy
from softphone.sdp import (
    AnswerMismatch,
    CodecCapability,
    Crypto,
    CryptoLine,
    MalformedDescription,
    MediaCapability,
    MediaDescription,
    NegotiatedMedia,
    OfferAnswerSession,
    OfferedMedia,
    SessionDescription,
    media_address_fault,
)
from softphone.sdp import LocalMediaLine as LocalLine
from softphone.security import (
    CryptoSuite,
    KeyExchange,
    MediaSecurity,
    SecurityPolicy,
    SrtpPolicy,
)
from softphone.sip import Body
from softphone.srtp import (
    CryptoChoice,
    CryptoRefusal,
    KeyHistory,
    SdesAgreement,
    SdesNegotiation,
    choose_crypto,
)

__all__ = ["DescriptionRefusal", "MediaProposal", "MediaSetup", "Negotiation", "OfferedKeys"]

logger = logging.getLogger("softphone.call")

SDP_TYPE = "application/sdp"

MOST_REASONS = 4
"""The maximum number of faulty crypto lines per m-line for which a reason is kept."""


def security_of(
    media: OfferedMedia | NegotiatedMedia,
    suite: CryptoSuite | None,
    refused: Sequence[CryptoRefusal] = (),
) -> MediaSecurity:
    """Return a stream's security, in force or proposed; `refused` are unusable crypto lines."""
    if suite is None:
        reasons = tuple(describe_crypto_refusals(refused[:MOST_REASONS]))
        return MediaSecurity(media.media, media.profile, unusable_crypto=reasons)
    return MediaSecurity(media.media, media.profile, suite, KeyExchange.SDES)


_SECURITY = attrgetter("security")


def _nothing() -> None:
    """Do nothing: key frames cannot be requested."""


AskPublic: TypeAlias = Callable[[StreamHandle], Awaitable[PublicAddresses]]
"""`await ask(handle)`: where an audio stream is reached from outside.  Raises MediaError."""


@fast_init
@dataclass(frozen=True, slots=True)
class MediaSetup:
    """The settings of a negotiation.

    `host` is the local address of the media, `advertised` the one that descriptions name where it
    is another, as behind a 1:1 NAT.  `ask_public` finds both for each stream by STUN.
    `fallback` is whether RTP/AVP may answer our RTP/SAVP where the policy leaves that open.
    `media_security` asks for mediasec in each offer (`softphone.sip.auth.media_security`).
    `dscp` has the code points of audio and of video (RFC 2474).
    `opportunistic` offers RTP/AVP with keys where SRTP is optional (OSRTP, RFC 8643).
    `video` None: video is neither offered nor accepted.  `clear_latching` lists the networks from
    which a host that was not signaled may be adopted (`softphone.media.clear_latching`), never
    where the policy requires SRTP.
    """

    backend: MediaBackend
    policy: SecurityPolicy
    entropy: Entropy
    host: str
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    cname: str = "softphone"
    fallback: bool = True
    opportunistic: bool = False
    dscp: tuple[int, int] = (0, 0)
    advertised: str | None = None
    media_security: bool = False
    ask_public: AskPublic | None = None
    comfort_noise: bool = False
    video: VideoSetup | None = None
    reports: RtcpXrDemand = DEFAULT_XR_DEMAND
    clear_latching: tuple[str, ...] = ()


@fast_init
@dataclass(frozen=True, slots=True)
class MediaProposal:
    """A description that can be agreed on; `body` is the answer to send, once it is made."""

    media: tuple[MediaSecurity, ...]
    body: Body | None = None


class _StreamCandidate:
    """The state that a stream takes at `commit`.

    `answered` says that the answer is ours: its keys are then in force only once it is committed.
    `refused` says why none of the far end's crypto lines can be used; () if it has none.
    """

    __slots__ = ("agreement", "answered", "media", "row", "security")

    def __init__(
        self,
        row: MediaStreamRow,
        media: NegotiatedMedia,
        agreement: SdesAgreement | None,
        *,
        answered: bool = False,
        refused: tuple[CryptoRefusal, ...] = (),
    ) -> None:
        self.row = row
        self.media = media
        self.agreement = agreement
        self.answered = answered
        self.security = security_of(media, None if agreement is None else agreement.suite, refused)


@fast_init
@dataclass(frozen=True, slots=True)
class _JudgedLine:
    """An m-line of an offer that we may answer, and the key chosen for it.

    `choice` is None for a line that is answered in clear; `refused` says why none of its crypto
    lines can be used.
    """

    media: OfferedMedia
    choice: CryptoChoice | None
    refused: tuple[CryptoRefusal, ...]

    @property
    def security(self) -> MediaSecurity:
        return security_of(
            self.media, None if self.choice is None else self.choice.suite, self.refused
        )


@dataclass(slots=True)
class _PendingExchange:
    """An offer/answer exchange that was judged and not yet committed.

    `final` is False for an early answer.  `agreed` says that its answer has been sent or accepted:
    then it cannot be undone, even while its rows wait.  `before` is the exchange that waited when
    this one began.
    """

    candidates: list[_StreamCandidate] = field(default_factory=list)
    final: bool = False
    agreed: bool = False
    before: _PendingExchange | None = None


class OfferedKeys:
    """The SDES keys of an offer, judged by the policy m-line by m-line (RFC 4568).

    With SRTP off no key is looked at.  A key of the call's `history` must not come again.
    """

    def __init__(
        self, offered: Sequence[OfferedMedia], policy: SecurityPolicy, history: KeyHistory
    ) -> None:
        self._offered = tuple(offered)
        looked_at = () if policy.srtp is SrtpPolicy.OFF else self._offered
        self._choices = {
            line.index: choose_crypto(
                line.crypto,
                allowed=policy.suites,
                check_key=partial(history.find_fault, line.media, others=self.others(line)),
            )
            for line in looked_at
            if line.crypto
        }

    def choice(self, line: OfferedMedia) -> CryptoChoice | None:
        """Return the choice among an m-line's crypto lines; None where none was looked at."""
        return self._choices.get(line.index)

    def usable(self, line: OfferedMedia) -> bool:
        """Whether an m-line has a usable key."""
        choice = self._choices.get(line.index)
        return choice is not None and choice.crypto is not None

    @property
    def hostile_line(self) -> OfferedMedia | None:
        """The first m-line whose media type has hostile crypto lines and no usable key; or None."""
        for line in self._offered:
            refused = self.refusals(line.media)
            if refused and any(refusal.code.hostile for refusal in refused):
                kin = [other for other in self._offered if other.media == line.media]
                if not any(self.usable(other) for other in kin):
                    return line
        return None

    def refusals(self, media: str) -> tuple[CryptoRefusal, ...]:
        """Return why crypto lines cannot be used, in all m-lines of one media type."""
        return tuple(
            refusal
            for line in self._offered
            if line.media == media and line.index in self._choices
            for refusal in self._choices[line.index].refusals
        )

    def others(self, line: OfferedMedia) -> list[CryptoLine]:
        """Return the crypto lines of other media types: no key may be shared between types."""
        return [
            crypto
            for other in self._offered
            if other.media != line.media
            for crypto in other.crypto
        ]


class Negotiation:
    """The media of one call leg; see the module's docstring."""

    def __init__(self, setup: MediaSetup, on_event: EventCallback | None = None) -> None:
        """Reserve no row yet; `on_event` gets the media events of this leg."""
        self.setup = setup
        self._on_event = on_event
        self._session = OfferAnswerSession(
            capabilities(
                tuple(setup.codecs),
                setup.comfort_noise,
                setup.video,
                setup.reports,
                setup.media_security,
            ),
            address=setup.advertised or setup.host,
            session_id=int.from_bytes(setup.entropy(7), "big") >> 3,
        )
        self._rows: dict[str, MediaStreamRow] = {}
        self.only_host: str | None = None
        """The only host that media is sent to until `send_anywhere`; None: any."""
        self._public: PublicAddresses | None = None
        self._history = KeyHistory()
        self._judged: tuple[_JudgedLine, ...] = ()
        self._pending = _PendingExchange()
        self._in_clear: bool | None = None
        self.ask_for_picture: Callable[[], None] = _nothing
        self.held = False
        """Whether we hold: our offers and answers then say sendonly (RFC 3264 section 8.4)."""
        self.relayed = False
        """Whether the far end's audio is with another party, such as a music source."""
        self._had_video = False

    # What is in force

    @property
    def media(self) -> tuple[MediaSecurity, ...]:
        """The security of every stream in force."""
        return tuple(filter(None, map(_SECURITY, self._rows.values())))

    @property
    def audio(self) -> AllocatedStream | None:
        """The row of the audio stream."""
        row = self._rows.get("audio")
        return None if row is None else row.local

    @property
    def video(self) -> VideoStream | None:
        """The video stream, while the session has one."""
        row, video = self._rows.get("video"), self.setup.video
        if row is None or row.security is None or row.closed or video is None:
            return None
        return video.port.stream(row.local.handle)

    @property
    def spec(self) -> StreamSpec | None:
        """The spec that the audio stream was last opened with; None before that."""
        row = self._rows.get("audio")
        return None if row is None else row.spec

    @property
    def direction(self) -> Direction:
        """The audio stream's direction in force, from our point of view."""
        row = self._rows.get("audio")
        return Direction.INACTIVE if row is None or row.spec is None else row.spec.direction

    @property
    def offer_pending(self) -> bool:
        """Whether an offer waits for its answer."""
        return self._session.offer_pending

    # Offering

    async def find_public_addresses(self) -> None:
        """Find where the audio is reached from outside, once, if the setup has it asked.

        Descriptions made later name it.  Raises NoPortFree, MediaError.
        """
        ask = self.setup.ask_public
        if ask is None or self._public is not None:
            return
        self._public = public = await ask(self._row("audio").local.handle)
        self._session.address = public.rtp[0]
        if public.symmetric:
            logger.warning(
                "the NAT before this host is symmetric: the media port %d that it shows to a STUN"
                " server is another one for far ends; use a server that relays media",
                public.rtp[1],
            )

    def move(self, host: str, advertised: str | None = None) -> None:
        """Bind the media's ports at another address of ours, which descriptions name from now on.

        Public addresses that were found are forgotten.  Raises NoPortFree and MediaError when the
        audio cannot be moved: then nothing has changed.  Video that cannot be moved is not sent.
        """
        row, video = self._rows.get("audio"), self._rows.get("video")
        if row is not None and not row.closed:
            row.rebind(host)
        if video is not None and not video.closed:
            try:
                video.rebind(host)
            except MediaError as error:
                logger.warning("the video does not follow to our new address: %s", error)
        self.setup = replace(self.setup, host=host, advertised=advertised)
        self._public = None
        self._session.address = advertised or host

    def _ports(self, row: MediaStreamRow) -> tuple[int, int]:
        """Return the ports of RTP and RTCP that a description names."""
        if self._public is not None and row is self._rows.get("audio"):
            return self._public.rtp[1], self._public.rtcp[1]
        return row.local.rtp_port, row.local.rtcp_port

    def create_offer(self, *, full: bool = False) -> Body:
        """Make our offer: RTP/SAVP with every allowed suite, or RTP/AVP where SRTP is off.

        An opportunistic offer has the keys under RTP/AVP.
        Under `optional`, media agreed in clear is offered in clear again unless `full`.  Raises
        NoPortFree, and LocalProtocolError while an offer is pending.
        """
        return self._create_offer(
            Direction.SENDONLY if self.held else Direction.SENDRECV, full=full
        )

    def renew_offer(self) -> Body:
        """Make the pending offer again, with fresh keys for another target (RFC 4568 7.1.4).

        A target that has seen an offer knows its keys, and could decrypt a call that another
        target answers.
        """
        self.rollback()
        return self.create_offer()

    def use_suites(self, suites: Sequence[CryptoSuite]) -> None:
        """Offer these suites for audio from the next offer on.  Raises NoPortFree."""
        self._row("audio").plan.set_suites(suites)

    def offer_in_clear(self, clear: bool) -> None:
        """Offer RTP/AVP from the next offer on, or, with False, SRTP again.

        A server does so before it connects the call to a server without SRTP, such as one for
        music on hold.  Only `optional` SRTP is affected.
        """
        self._in_clear = clear

    def repeat(self) -> None:
        """Take our last description as a new offer: a session refresh repeats it (RFC 4028 7.4).

        Raises LocalProtocolError when nothing was agreed, or an offer is pending.
        """
        ours = self._session.local
        line = next((m for m in ours.media if m.media == "audio"), None) if ours else None
        if ours is None or line is None:
            raise LocalProtocolError("there is no session to refresh")
        self._create_offer(ours.direction_of(line), full=False)

    def _create_offer(self, direction: Direction, *, full: bool) -> Body:
        row = self._row("audio")
        demand = self.setup.policy.srtp
        secure = demand is not SrtpPolicy.OFF
        current = self._session.negotiated
        clear = bool(current) and row.plan.current is None
        if demand is SrtpPolicy.OPTIONAL and clear and not full:
            # A hold alone must not turn media agreed in clear into SRTP.
            secure = False
        if demand is SrtpPolicy.OPTIONAL and self._in_clear is not None:
            secure = not self._in_clear
        # A negotiated RTP/SAVPF is kept.
        profile = next(
            (m.profile for m in current if m.secure),
            "RTP/AVP" if self._opportunistic else "RTP/SAVP",
        )
        media = ["audio"]
        video = self.setup.video
        if video is not None and (video.offer or self._had_video or self.video is not None):
            media.append("video")
        lines = [
            self._line(kind, profile if secure else "RTP/AVP", direction, full=full, keys=secure)
            for kind in media
        ]
        return Body(SDP_TYPE, self._session.make_offer(lines).encode())

    @property
    def _opportunistic(self) -> bool:
        return self.setup.opportunistic and self.setup.policy.srtp is SrtpPolicy.OPTIONAL

    def _line(
        self, media: str, profile: str, direction: Direction, *, full: bool, keys: bool
    ) -> LocalLine:
        row = self._row(media)
        rtp_port, rtcp_port = self._ports(row)
        return LocalLine(
            media,
            rtp_port,
            profile=profile,
            direction=direction,
            crypto=row.plan.make_offer(full=full, direction=direction) if keys else (),
            rtcp_port=rtcp_port,
        )

    def receive_answer(
        self, body: Body | None, *, final: bool = True
    ) -> MediaProposal | DescriptionRefusal:
        """Judge the answer to our offer; `final` False is an early one (RFC 3261 13.2.1)."""
        description = read_description(body)
        if isinstance(description, DescriptionRefusal):
            return description
        if not self._session.offer_pending:
            return DescriptionRefusal(399, "no offer of ours waits for this answer")
        try:
            negotiated = self._session.apply_answer(description, final=final)
        except AnswerMismatch as error:
            return DescriptionRefusal(399, f"the answer does not fit our offer: {error}")
        if not negotiated:
            return DescriptionRefusal(304, "the answer refuses every media stream")
        pending = _PendingExchange(final=final)
        for media in negotiated:
            away = media_address_fault(media.remote_address[0], self.setup.host)
            if away is not None:
                return DescriptionRefusal(301, away)
            others = [
                line
                for other in negotiated
                if other.media != media.media
                for line in other.remote_crypto
            ]
            candidate = self._judge_answer(media, others, final=final)
            if isinstance(candidate, DescriptionRefusal):
                return candidate
            pending.candidates.append(candidate)
        self._pending = pending
        return MediaProposal(tuple([candidate.security for candidate in pending.candidates]))

    def complete(self, body: Body) -> DescriptionRefusal | None:
        """Make an early answer final; it is in force already (RFC 3262 section 5)."""
        waiting = self._pending
        outcome = self.receive_answer(body)
        if isinstance(outcome, DescriptionRefusal):
            return outcome
        self.confirm_exchange()
        if not waiting.candidates:
            self._pending = _PendingExchange()
        return None

    def _judge_answer(
        self,
        media: NegotiatedMedia,
        others: Sequence[CryptoLine],
        *,
        final: bool,
    ) -> _StreamCandidate | DescriptionRefusal:
        row = self._row(media.media)
        if media.secure and not media.local_crypto:
            return DescriptionRefusal(
                302, f"the answer is {media.profile} and our offer was RTP/AVP"
            )
        if not media.local_crypto or not (media.secure or media.remote_crypto):
            return self._clear(row, media, "answer")
        outcome = row.plan.apply_answer(
            media.remote_crypto,
            remote=media.remote_address,
            direction=media.direction,
            final=final,
            others=others,
        )
        if isinstance(outcome, SdesAgreement):
            return _StreamCandidate(row, media, outcome)
        if media.secure or any(refusal.code.hostile for refusal in outcome):
            return no_usable_key("answer", media.profile, outcome)
        refused = outcome if media.remote_crypto else ()
        return self._clear(row, media, "answer", refused=refused)

    # Relaying another party's stream (RFC 7088)

    def relay_offer(self, media: MediaDescription) -> Body:
        """Offer another party's audio in the place of ours, and no video; ours is paused.

        In clear, a packet of ours that came after the offer would be taken for the other party's,
        if both are on one host.  Raises LocalProtocolError while an offer is pending.
        """
        body = Body(SDP_TYPE, self._session.relay_offer(media).encode())
        self._pause(True)
        return body

    def withdraw_relay(self) -> None:
        """Go on with our own media: the far end has refused the other party's."""
        if not self.relayed:
            self._pause(False)

    def _pause(self, paused: bool) -> None:
        for row in self._rows.values():
            row.pause(paused)

    def receive_relayed_answer(
        self, body: Body | None
    ) -> tuple[SessionDescription, MediaDescription] | DescriptionRefusal:
        """Return the answer to a relayed offer, and the m-line in it that answers the stream.

        Our own streams stop, whatever it says: the far end has left them.  The next ones have
        fresh keys.
        """
        self.relayed = True
        self.silence()
        for row in self._rows.values():
            row.plan.clear()
        description = read_description(body)
        if isinstance(description, DescriptionRefusal):
            self._session.rollback()
            return description
        try:
            return description, self._session.apply_relayed_answer(description)
        except AnswerMismatch as error:
            return DescriptionRefusal(399, f"the answer does not fit the offer: {error}")

    def commit_relayed(self, security: MediaSecurity) -> None:
        """Put the relayed stream in force: `security` is what the two parties have agreed on."""
        self._had_video = self.video is not None
        for media, row in self._rows.items():
            if media == "audio":
                row.security = security
            else:
                row.drop()

    # Answering

    def receive_offer(self, body: Body | None) -> MediaProposal | DescriptionRefusal:
        """Judge an offer and make the answer.  Raises NoPortFree."""
        outcome = self.judge_offer(body)
        if isinstance(outcome, DescriptionRefusal):
            return outcome
        return replace(outcome, body=self.make_answer())

    def judge_offer(self, body: Body | None) -> MediaProposal | DescriptionRefusal:
        """Judge an offer, which then waits for `make_answer` or `rollback`.

        Reserves no row and draws no key: that is done for offers that are answered only.
        """
        description = read_description(body)
        if isinstance(description, DescriptionRefusal):
            return description
        if self._session.offer_pending:
            return DescriptionRefusal(399, "an offer waits for its answer already")
        offered = self._session.apply_offer(description)
        keys = OfferedKeys(offered, self.setup.policy, self._history)
        chosen = self._session.choose_lines(offered, worth=partial(self._worth, keys))
        refusal = self._refuse_lines(chosen, keys)
        if refusal is None and not any(line.media == "audio" for line in chosen):
            refusal = self._explain(offered, description, keys)
        if refusal is not None:
            self._session.rollback()
            return refusal
        judged = []
        for line in chosen:
            choice = self._choose_key(line, keys)
            if isinstance(choice, DescriptionRefusal):
                self._session.rollback()
                return choice
            refused = keys.refusals(line.media) if choice is None else ()
            judged.append(_JudgedLine(line, choice, refused))
        self._judged = tuple(judged)
        return MediaProposal(tuple([line.security for line in judged]))

    def make_answer(self) -> Body:
        """Make the answer to the offer that was judged, and return it; `commit` puts it in force.

        Raises NoPortFree, and LocalProtocolError when no offer waits for its answer.
        """
        lines: dict[int, LocalLine] = {}
        agreements: dict[int, SdesAgreement] = {}
        for judged in self._judged:
            line = judged.media
            row = self._row(line.media)
            crypto: tuple[Crypto, ...] = ()
            if judged.choice is not None:
                agreement = agreements[line.index] = row.plan.make_answer(
                    judged.choice, remote=line.remote_address, direction=line.direction
                )
                crypto = (agreement.local,)
            rtp_port, rtcp_port = self._ports(row)
            lines[line.index] = LocalLine(
                line.media,
                rtp_port,
                direction=Direction.SENDONLY if self.held else line.direction,
                crypto=crypto,
                rtcp_port=rtcp_port,
                index=line.index,
            )
        answer = self._session.make_answer(lines)
        refused = {judged.media.index: judged.refused for judged in self._judged}
        waiting = self._pending if self._pending.agreed else None
        self._pending = _PendingExchange(final=True, before=waiting)
        for media in self._session.negotiated:
            self._pending.candidates.append(
                _StreamCandidate(
                    self._row(media.media),
                    media,
                    agreements.get(media.index),
                    answered=True,
                    refused=refused[media.index],
                )
            )
        self._judged = ()
        return Body(SDP_TYPE, answer.encode())

    def _refuse_lines(
        self, chosen: Sequence[OfferedMedia], keys: OfferedKeys
    ) -> DescriptionRefusal | None:
        """Return why an offer must not be answered, for its addresses or its keys; or None."""
        for line in chosen:
            away = media_address_fault(line.remote_address[0], self.setup.host)
            if away is not None:
                return DescriptionRefusal(301, away)
        hostile = keys.hostile_line
        if hostile is None:
            return None
        return no_usable_key("offer", hostile.profile, keys.refusals(hostile.media))

    def _choose_key(
        self, line: OfferedMedia, keys: OfferedKeys
    ) -> CryptoChoice | DescriptionRefusal | None:
        """Choose a key for a line; None: it is answered in clear, as `_worth` allowed."""
        row = self._rows.get(line.media)
        choice = keys.choice(line)
        if choice is not None and row is not None:
            # The stream's own suites, and its active one first.
            choice = row.plan.choose_line(
                line.crypto, keys.others(line), remote=line.remote_address
            )
        if choice is None or choice.crypto is not None:
            return choice
        expected = line.secure or keys.usable(line)
        return no_usable_key("offer", line.profile, choice.refusals) if expected else None

    def _worth(self, keys: OfferedKeys, line: OfferedMedia) -> int | None:
        """Rank an m-line: 3 for SRTP, 2 for SRTP under RTP/AVP, 1 for clear; None if forbidden."""
        demand = self.setup.policy.srtp
        if demand is SrtpPolicy.OFF:
            return None if line.secure else 1
        if keys.usable(line):
            return 3 if line.secure else 2
        if line.secure or demand is SrtpPolicy.REQUIRED:
            return None
        return 1

    def _explain(
        self,
        offered: Sequence[OfferedMedia],
        description: SessionDescription,
        keys: OfferedKeys,
    ) -> DescriptionRefusal:
        """Return why no audio line of an offer can be used."""
        audio = [line for line in offered if line.media == "audio"]
        if not audio:
            unknown = self._session.unknown_profile(description, "audio")
            if unknown:
                return transport_refused(unknown)
            return DescriptionRefusal(305, "the offer has no audio stream that we can decode")
        demand = self.setup.policy.srtp
        secure = [line for line in audio if line.secure or line.crypto]
        if demand is SrtpPolicy.OFF:
            return DescriptionRefusal(302, f"the offer is {audio[0].profile} and SRTP is off here")
        if not secure:
            return clear_refused("offer", audio[0].profile, "audio")
        return no_usable_key("offer", secure[0].profile, keys.refusals("audio"))

    def _clear(
        self,
        row: MediaStreamRow,
        media: NegotiatedMedia,
        what: str,
        *,
        refused: tuple[CryptoRefusal, ...] = (),
    ) -> _StreamCandidate | DescriptionRefusal:
        if self.setup.policy.srtp is SrtpPolicy.REQUIRED:
            return clear_refused(what, media.profile, media.media)
        if media.local_crypto and not (self.setup.fallback or self._opportunistic):
            return fallback_not_agreed(what, media.profile, media.media)
        return _StreamCandidate(row, media, None, refused=refused)

    # Taking effect

    def confirm_exchange(self) -> None:
        """Confirm the judged exchange: its answer is being sent, or was accepted.

        Its keys are then in force.  Rows wait for `commit`, which may come later, once the far
        end's level is known.
        """
        pending = self._pending
        if pending.agreed:
            return
        pending.agreed, pending.before = True, None
        for candidate in pending.candidates:
            if candidate.agreement is None:
                if pending.final:
                    candidate.row.plan.clear()
            elif candidate.answered:
                candidate.row.plan.commit()

    def commit(self, generation: int, *, silent: bool = False) -> None:
        """Put the judged exchange in force: rows are opened or changed.

        `generation` is the call's security generation, which grows whenever its level falls.
        With `silent`, nothing flows, whatever was negotiated.
        """
        self.confirm_exchange()
        self.relayed = self._had_video = False
        pending, self._pending = self._pending, _PendingExchange()
        for candidate in pending.candidates:
            candidate.row.open_stream(
                candidate.media,
                candidate.agreement,
                candidate.security,
                generation=generation,
                silent=silent,
                final=pending.final,
            )
        agreed = [candidate.row for candidate in pending.candidates]
        for row in self._rows.values():
            if pending.final and row not in agreed:
                row.drop()

    def set_security_generation(self, generation: int) -> None:
        """Stamp a newer security generation on media delivered from now on."""
        for row in self._rows.values():
            row.set_security_generation(generation)

    def send_anywhere(self) -> None:
        """Send to wherever the far end asks: it has shown that it receives what we send."""
        self.only_host = None
        for row in self._rows.values():
            row.send_anywhere()

    def silence(self) -> None:
        """Stop every stream at once, whatever was negotiated; the next commit starts them again."""
        for row in self._rows.values():
            row.silence()

    def kind_of(self, handle: StreamHandle) -> str:
        """Return the media type of a stream: "audio" or "video"."""
        return next(kind for kind, row in self._rows.items() if row.local.handle == handle)

    def follow_payload_type(self, handle: StreamHandle, payload_type: int) -> None:
        """Switch a stream to the negotiated codec that its far end now sends."""
        for row in self._rows.values():
            if row.local.handle == handle:
                row.follow_payload_type(payload_type)

    def rollback(self) -> None:
        """Undo an exchange that was refused or failed; what was agreed before stays in force."""
        self._judged = ()
        if self._session.offer_pending:
            self._session.rollback()
        elif self._pending.candidates and not self._pending.agreed:
            self._session.undo_exchange()
            self._pending = self._pending.before or _PendingExchange()
        for row in self._rows.values():
            row.plan.rollback()

    def close(self) -> None:
        """Close every row and drop the callbacks, to break reference cycles with their owners."""
        for row in self._rows.values():
            row.close()
        self._on_event, self.ask_for_picture = None, _nothing

    # Parts

    def _row(self, media: str) -> MediaStreamRow:
        """Return the row of a media type, reserved at first use.  Raises NoPortFree."""
        if media not in self._rows:
            setup = self.setup
            video = setup.video.port if media == "video" and setup.video is not None else None
            port = setup.backend if video is None else video
            local = port.allocate_stream(host=setup.host, on_event=self._on_event)
            if video is not None:
                video.stream(local.handle).ask_by_signaling = lambda: self.ask_for_picture()
            self._rows[media] = MediaStreamRow(
                port,
                local,
                SdesNegotiation(
                    setup.policy.suites,
                    entropy=setup.entropy,
                    media=media,
                    history=self._history,
                ),
                cname=setup.cname,
                reports=setup.reports,
                dscp=setup.dscp[media == "video"],
                clear_latching=setup.clear_latching if self._may_be_clear else (),
                only_host=self.only_host,
            )
        return self._rows[media]

    @property
    def _may_be_clear(self) -> bool:
        return self.setup.policy.srtp is not SrtpPolicy.REQUIRED


def read_description(body: Body | None) -> SessionDescription | DescriptionRefusal:
    """Parse the session description of a message, or return why that is impossible."""
    if body is None:
        return DescriptionRefusal(399, "a session description is missing")
    if body.media_type != SDP_TYPE:
        return DescriptionRefusal(399, f"{body.media_type} is no session description")
    try:
        return SessionDescription.parse(body.data)
    except MalformedDescription as error:
        return DescriptionRefusal(399, f"the session description is malformed: {error}")


def capabilities(
    codecs: tuple[str, ...],
    comfort_noise: bool,
    video: VideoSetup | None,
    reports: RtcpXrDemand = DEFAULT_XR_DEMAND,
    media_security: bool = False,
) -> list[MediaCapability]:
    """Return our media capabilities (RFC 3264 section 5.1, RFC 3551).

    They are audio, with the extended reports that we ask for, and video where a call may have it.
    """
    audio = _audio_capability(codecs, comfort_noise, reports, media_security)
    return [audio] if video is None else [audio, video_capability(video.codecs)]


@lru_cache(64)
def _audio_capability(
    codecs: tuple[str, ...], comfort_noise: bool, reports: RtcpXrDemand, media_security: bool
) -> MediaCapability:
    return MediaCapability(
        "audio",
        tuple(_described(name) for name in codecs),
        telephone_event=True,
        comfort_noise=comfort_noise,
        extended_reports=reports.attribute,
        media_security=media_security,
    )


def _described(name: str) -> CodecCapability:
    """Describe a codec for an offer; static payload types are customary (RFC 3551 section 3)."""
    found = find_codec(name)
    return CodecCapability(
        found.name,
        found.clock_rate,
        found.channels,
        payload_type=found.payload_type,
        fmtp=found.fmtp or None,
    )
