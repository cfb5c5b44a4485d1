"""Negotiation: the media negotiation of one call, which joins SDP, SDES keys and media rows.

    body = negotiation.create_offer()                 outcome = negotiation.receive_offer(body)
    outcome = negotiation.receive_answer(body)        (`outcome.body` is the answer)

An outcome is a `MediaProposal`, whose `media` the caller judges by the call's policy, or a
`DescriptionRefusal` with the reasons.  Nothing changes on the wire before `commit`; `rollback`
leaves the session as it was (RFC 3264 section 8, RFC 3261 section 14.1).  The policy's demand on
the media (`srtp`) is enforced here, on offers and answers in both directions; the caller judges
the level of the whole call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from softphone.call.leg.media_row import MediaStreamRow, capabilities, security_of
from softphone.call.leg.refusal import (
    SDP_TYPE,
    DescriptionRefusal,
    check_media_address,
    clear_refused,
    describe_crypto_refusals,
    fallback_not_agreed,
    no_usable_key,
    read_description,
    transport_refused,
)
from softphone.call.leg.rtcp_xr_demand import DEFAULT_XR_DEMAND, RtcpXrDemand
from softphone.call.leg.video_setup import VideoSetup
from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.fast_dataclass import fast_init
from softphone.media import (
    AllocatedStream,
    EventCallback,
    MediaBackend,
    StreamHandle,
    StreamSpec,
    VideoStream,
)
from softphone.sans_io import Entropy
from softphone.sdp import (
    AnswerMismatch,
    CryptoLine,
    NegotiatedMedia,
    OfferAnswerSession,
    OfferedMedia,
    SessionDescription,
)
from softphone.sdp import LocalMediaLine as LocalLine
from softphone.security import (
    CryptoSuite,
    MediaSecurity,
    SecurityPolicy,
    SrtpPolicy,
)
from softphone.sip import Body
from softphone.srtp import (
    CryptoRefusal,
    KeyHistory,
    SdesAgreement,
    SdesNegotiation,
    choose_crypto,
)

__all__ = ["DescriptionRefusal", "MediaProposal", "MediaSetup", "Negotiation", "OfferedKeys"]


def _nothing() -> None:
    """Request no key frame: there is no way to do so."""


@fast_init
@dataclass(frozen=True, slots=True)
class MediaSetup:
    """The settings of a negotiation.

    `fallback` is whether RTP/AVP may answer our RTP/SAVP where the policy leaves that open.
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
    comfort_noise: bool = False
    video: VideoSetup | None = None
    reports: RtcpXrDemand = DEFAULT_XR_DEMAND
    clear_latching: tuple[str, ...] = ()


@fast_init
@dataclass(frozen=True, slots=True)
class MediaProposal:
    """A description that can be agreed on; `body` is the answer to send, for a received offer.

    `notes` say which crypto lines were passed over, and why.
    """

    media: tuple[MediaSecurity, ...]
    direction: Direction
    body: Body | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _StreamCandidate:
    """The state that a stream takes at `commit`."""

    row: MediaStreamRow
    media: NegotiatedMedia
    agreement: SdesAgreement | None
    answered: bool = False
    """Whether the answer is ours: its keys are then in force only once it is committed."""
    refused: tuple[CryptoRefusal, ...] = ()
    """Why none of the far end's crypto lines can be used; () if it has none."""

    @property
    def security(self) -> MediaSecurity:
        return security_of(self.media, self.agreement, self.refused)


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

    def usable(self, line: OfferedMedia) -> bool:
        """Whether an m-line has a usable key."""
        choice = self._choices.get(line.index)
        return choice is not None and choice.crypto is not None

    @property
    def hostile_line(self) -> OfferedMedia | None:
        """The first m-line whose media type has hostile crypto lines and no usable key; or None."""
        for line in self._offered:
            kin = [other for other in self._offered if other.media == line.media]
            refused = any(refusal.code.hostile for refusal in self.refusals(line.media))
            if refused and not any(self.usable(other) for other in kin):
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
            capabilities(tuple(setup.codecs), setup.comfort_noise, setup.video, setup.reports),
            address=setup.host,
            session_id=int.from_bytes(setup.entropy(7), "big") >> 3,
        )
        self._rows: dict[str, MediaStreamRow] = {}
        self._history = KeyHistory()
        self._pending = _PendingExchange()
        self._in_clear: bool | None = None
        self.ask_for_picture: Callable[[], None] = _nothing
        self.held = False
        """Whether we hold: our offers and answers then say sendonly (RFC 3264 section 8.4)."""

    # What is in force

    @property
    def media(self) -> tuple[MediaSecurity, ...]:
        """The security of every stream in force."""
        return tuple([r.security for r in self._rows.values() if r.security is not None])

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
        """How the audio stream was opened last; None before that."""
        row = self._rows.get("audio")
        return None if row is None else row.spec

    @property
    def direction(self) -> Direction:
        """The audio stream's direction in force, from our point of view."""
        spec = self.spec
        return Direction.INACTIVE if spec is None else spec.direction

    @property
    def offer_pending(self) -> bool:
        """Whether an offer waits for its answer."""
        return self._session.offer_pending

    # Offering

    def create_offer(self, *, full: bool = False) -> Body:
        """Make our offer: RTP/SAVP with every allowed suite, or RTP/AVP where SRTP is off.

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
        # SRTP under RTP/AVP is accepted but never offered; a negotiated RTP/SAVPF is kept.
        profile = next((m.profile for m in current if "SAVP" in m.profile), "RTP/SAVP")
        media = ["audio"]
        if self.setup.video is not None and (self.setup.video.offer or self.video is not None):
            media.append("video")
        lines = [
            self._line(kind, profile if secure else "RTP/AVP", direction, full) for kind in media
        ]
        return Body(SDP_TYPE, self._session.make_offer(lines).encode())

    def _line(self, media: str, profile: str, direction: Direction, full: bool) -> LocalLine:
        row = self._row(media)
        secure = "SAVP" in profile
        return LocalLine(
            media,
            row.local.rtp_port,
            profile=profile,
            direction=direction,
            crypto=row.plan.make_offer(full=full, direction=direction) if secure else (),
            rtcp_port=row.local.rtcp_port,
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
        notes: list[str] = []
        for media in negotiated:
            away = check_media_address(media.remote_address[0], self.setup.host)
            others = [
                line
                for other in negotiated
                if other.media != media.media
                for line in other.remote_crypto
            ]
            candidate = away or self._judge_answer(media, others, notes, final=final)
            if isinstance(candidate, DescriptionRefusal):
                return candidate
            pending.candidates.append(candidate)
        self._pending = pending
        return self._propose(notes=notes)

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
        notes: list[str],
        *,
        final: bool,
    ) -> _StreamCandidate | DescriptionRefusal:
        row = self._row(media.media)
        secure = "SAVP" in media.profile
        if secure and not media.local_crypto:
            return DescriptionRefusal(
                302, f"the answer is {media.profile} and our offer was RTP/AVP"
            )
        if not media.local_crypto or not (secure or media.remote_crypto):
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
        notes.extend(describe_crypto_refusals(outcome))
        if secure or any(refusal.code.hostile for refusal in outcome):
            return no_usable_key("answer", media.profile, outcome)
        refused = outcome if media.remote_crypto else ()
        return self._clear(row, media, "answer", refused=refused)

    # Answering

    def receive_offer(self, body: Body | None) -> MediaProposal | DescriptionRefusal:
        """Judge an offer and prepare the answer.  Raises NoPortFree."""
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
        notes: list[str] = []
        lines: dict[int, LocalLine] = {}
        agreements: dict[int, SdesAgreement] = {}
        for line in chosen:
            row = self._row(line.media)
            agreement = self._agree(row, line, keys, notes)
            if isinstance(agreement, DescriptionRefusal):
                self._session.rollback()
                return agreement
            if agreement is not None:
                agreements[line.index] = agreement
            lines[line.index] = LocalLine(
                line.media,
                row.local.rtp_port,
                direction=Direction.SENDONLY if self.held else line.direction,
                crypto=() if agreement is None else (agreement.local,),
                rtcp_port=row.local.rtcp_port,
                index=line.index,
            )
        answer = self._session.make_answer(lines)
        waiting = self._pending if self._pending.agreed else None
        self._pending = _PendingExchange(final=True, before=waiting)
        for media in self._session.negotiated:
            row = self._row(media.media)
            agreed = agreements.get(media.index)
            refused = keys.refusals(media.media) if agreed is None else ()
            self._pending.candidates.append(
                _StreamCandidate(row, media, agreed, answered=True, refused=refused)
            )
        return self._propose(body=Body(SDP_TYPE, answer.encode()), notes=notes)

    def _refuse_lines(
        self, chosen: Sequence[OfferedMedia], keys: OfferedKeys
    ) -> DescriptionRefusal | None:
        """Return why an offer must not be answered, for its addresses or its keys; or None."""
        for line in chosen:
            away = check_media_address(line.remote_address[0], self.setup.host)
            if away is not None:
                return away
        hostile = keys.hostile_line
        if hostile is None:
            return None
        return no_usable_key("offer", hostile.profile, keys.refusals(hostile.media))

    def _agree(
        self,
        row: MediaStreamRow,
        line: OfferedMedia,
        keys: OfferedKeys,
        notes: list[str],
    ) -> SdesAgreement | DescriptionRefusal | None:
        """Agree on keys for a chosen line; None: it is answered in clear, as `_worth` allowed."""
        if self.setup.policy.srtp is SrtpPolicy.OFF or not line.crypto:
            return None
        outcome = row.plan.make_answer(
            line.crypto,
            remote=line.remote_address,
            direction=line.direction,
            others=keys.others(line),
        )
        if isinstance(outcome, SdesAgreement):
            return outcome
        notes.extend(describe_crypto_refusals(outcome))
        expected = line.secure or keys.usable(line)
        return no_usable_key("offer", line.profile, outcome) if expected else None

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
        if media.local_crypto and not self.setup.fallback:
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
        pending, self._pending = self._pending, _PendingExchange()
        for candidate in pending.candidates:
            candidate.row.open_stream(
                candidate.media,
                candidate.agreement,
                refused=candidate.refused,
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
                host=setup.host,
                clear_latching=setup.clear_latching if self._may_be_clear else (),
            )
        return self._rows[media]

    @property
    def _may_be_clear(self) -> bool:
        return self.setup.policy.srtp is not SrtpPolicy.REQUIRED

    def _propose(self, *, notes: list[str], body: Body | None = None) -> MediaProposal:
        candidates = self._pending.candidates
        direction = next(
            (c.media.direction for c in candidates if c.media.media == "audio"), Direction.INACTIVE
        )
        media = tuple(candidate.security for candidate in candidates)
        return MediaProposal(media, direction, body, tuple(notes))
