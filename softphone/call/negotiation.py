"""One call's media as it is negotiated: SDP, SDES keys and media rows, joined.

    body = negotiation.offer()                        outcome = negotiation.receive_offer(body)
    outcome = negotiation.receive_answer(body)        (`outcome.body` is the answer)

Either gives a `Proposal`, whose `media` the call's policy is judged on, or `Unacceptable` with
the reasons.  Nothing changes on the wire before `commit`; `rollback` leaves the session as it was
(RFC 3264 section 8, RFC 3261 section 14.1).  What the media must be (`srtp`) is enforced here on
offers and answers in both directions, the level of the whole call is judged by the caller.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from softphone.events import Direction
from softphone.machine import Entropy
from softphone.media.port import EventCallback, LocalMedia, MediaPort, SrtpKey, StreamSpec
from softphone.sdp import (
    AnswerMismatch,
    Codec,
    CryptoLine,
    MalformedDescription,
    MediaCapability,
    NegotiatedMedia,
    OfferedMedia,
    Session,
    SessionDescription,
)
from softphone.sdp import LocalMedia as LocalLine
from softphone.security import (
    KeyExchange,
    MediaSecurity,
    SecurityPolicy,
    Shortfall,
    ShortfallCode,
    SrtpPolicy,
)
from softphone.sip import Body
from softphone.srtp import Agreement, KeyPlan, Refusal, choose

__all__ = ["MediaSetup", "Negotiation", "Proposal", "Unacceptable"]

SDP_TYPE = "application/sdp"
_STATIC = {"PCMU": 0, "PCMA": 8}


@dataclass(frozen=True, slots=True)
class MediaSetup:
    """What a negotiation works with."""

    port: MediaPort
    policy: SecurityPolicy
    entropy: Entropy
    host: str
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    cname: str = "softphone"
    on_event: EventCallback | None = None


@dataclass(frozen=True, slots=True)
class Unacceptable:
    """A description that was refused: the Warning to send (RFC 3261 section 20.43), and why.

    `shortfalls` is not empty when it was refused on security grounds.
    """

    warning_code: int
    explanation: str
    shortfalls: tuple[Shortfall, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A description that could be agreed: `body` is the answer to send, for an offer received.

    `notes` say which crypto lines were passed over, and why.
    """

    media: tuple[MediaSecurity, ...]
    direction: Direction
    body: Body | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Stream:
    """One kind of media: its row, its keys, and what it would become."""

    local: LocalMedia
    plan: KeyPlan
    opened: bool = False
    closed: bool = False
    spec: StreamSpec | None = None
    security: MediaSecurity | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a stream becomes at `commit`."""

    stream: _Stream
    media: NegotiatedMedia
    agreement: Agreement | None
    answered: bool = False
    """Whether the answer is ours: its keys are then in force only once it is committed."""

    @property
    def security(self) -> MediaSecurity:
        if self.agreement is None:
            return MediaSecurity(self.media.media, self.media.profile)
        return MediaSecurity(
            self.media.media, self.media.profile, self.agreement.suite, KeyExchange.SDES
        )


@dataclass(slots=True)
class _Pending:
    """An exchange that was judged and not yet committed."""

    candidates: list[_Candidate] = field(default_factory=list)
    answered: bool = False


class Negotiation:
    """The media of one call leg; see the module's docstring."""

    def __init__(self, setup: MediaSetup) -> None:
        self.setup = setup
        self._session = Session(
            [_capability(setup.codecs)],
            address=setup.host,
            session_id=int.from_bytes(setup.entropy(7), "big") >> 3,
        )
        self._streams: dict[str, _Stream] = {}
        self._pending = _Pending()
        self.held = False
        """Whether we hold: our offers and answers then say sendonly (RFC 3264 section 8.4)."""

    # What is in force

    @property
    def media(self) -> tuple[MediaSecurity, ...]:
        """The security of every stream in force."""
        return tuple(s.security for s in self._streams.values() if s.security is not None)

    @property
    def audio(self) -> LocalMedia | None:
        """The row of the audio stream."""
        stream = self._streams.get("audio")
        return None if stream is None else stream.local

    @property
    def spec(self) -> StreamSpec | None:
        """The audio stream as it was opened last."""
        stream = self._streams.get("audio")
        return None if stream is None else stream.spec

    @property
    def direction(self) -> Direction:
        """The direction of the audio stream in force, as we see it."""
        spec = self.spec
        return Direction.INACTIVE if spec is None else spec.direction

    @property
    def offer_pending(self) -> bool:
        """Whether an offer waits for its answer."""
        return self._session.offer_pending

    # Offering

    def offer(self, *, full: bool = False) -> Body:
        """Our offer: RTP/SAVP with every allowed suite, or RTP/AVP where SRTP is off.

        Raises NoPortFree, and LocalProtocolError while an offer is pending.
        """
        stream = self._stream("audio")
        direction = Direction.SENDONLY if self.held else Direction.SENDRECV
        secure = self.setup.policy.srtp is not SrtpPolicy.OFF
        current = self._session.negotiated
        if secure and current and stream.plan.current is None and not full:
            # What was agreed in clear under `optional` is not re-opened as SRTP by a mere hold.
            secure = False
        # SRTP under RTP/AVP is understood and never offered; RTP/SAVPF is kept.
        profile = next((m.profile for m in current if "SAVP" in m.profile), "RTP/SAVP")
        line = LocalLine(
            "audio",
            stream.local.rtp_port,
            profile=profile if secure else "RTP/AVP",
            direction=direction,
            crypto=stream.plan.offer(full=full, direction=direction) if secure else (),
            rtcp_port=stream.local.rtcp_port,
        )
        return Body(SDP_TYPE, self._session.offer([line]).encode())

    def receive_answer(self, body: Body | None, *, final: bool = True) -> Proposal | Unacceptable:
        """Judge the answer to our offer; `final` False is an early one (RFC 3261 13.2.1)."""
        description = _description(body)
        if isinstance(description, Unacceptable):
            return description
        try:
            negotiated = self._session.receive_answer(description, final=final)
        except AnswerMismatch as error:
            return Unacceptable(399, f"the answer does not fit our offer: {error}")
        if not negotiated:
            return Unacceptable(304, "the answer refuses every media stream")
        self._pending = _Pending(answered=final)
        notes: list[str] = []
        for media in negotiated:
            unreachable = self._unreachable(media.remote_address[0])
            candidate = unreachable or self._judge_answer(media, notes, final=final)
            if isinstance(candidate, Unacceptable):
                return candidate
            self._pending.candidates.append(candidate)
        return self._propose(notes=notes)

    def _judge_answer(
        self, media: NegotiatedMedia, notes: list[str], *, final: bool
    ) -> _Candidate | Unacceptable:
        stream = self._stream(media.media)
        secure = "SAVP" in media.profile
        if secure and not media.local_crypto:
            return Unacceptable(302, f"the answer is {media.profile} and our offer was RTP/AVP")
        if not media.local_crypto or not (secure or media.remote_crypto):
            return self._clear(stream, media, "answer")
        outcome = stream.plan.receive_answer(
            media.remote_crypto,
            remote=media.remote_address,
            direction=media.direction,
            final=final,
        )
        if isinstance(outcome, Agreement):
            return _Candidate(stream, media, outcome)
        notes.extend(_sentences(outcome))
        if secure:
            return _no_key("answer", media.profile, outcome)
        return self._clear(stream, media, "answer")

    # Answering

    def receive_offer(self, body: Body | None) -> Proposal | Unacceptable:
        """Judge an offer and prepare the answer.  Raises NoPortFree."""
        description = _description(body)
        if isinstance(description, Unacceptable):
            return description
        offered = self._session.receive_offer(description)
        chosen = self._session.choose(offered, worth=self._worth)
        refusal = next(filter(None, (self._unreachable(c.remote_address[0]) for c in chosen)), None)
        if refusal is None and not any(line.media == "audio" for line in chosen):
            refusal = self._explain(offered)
        if refusal is not None:
            self._session.rollback()
            return refusal
        notes: list[str] = []
        lines: dict[int, LocalLine] = {}
        agreements: dict[int, Agreement] = {}
        for line in chosen:
            stream = self._stream(line.media)
            agreement = self._agree(stream, line, notes)
            if agreement is not None:
                agreements[line.index] = agreement
            lines[line.index] = LocalLine(
                line.media,
                stream.local.rtp_port,
                direction=self._answer_direction(line.direction),
                crypto=() if agreement is None else (agreement.local,),
                rtcp_port=stream.local.rtcp_port,
                index=line.index,
            )
        answer = self._session.answer(lines)
        self._pending = _Pending(answered=True)
        for media in self._session.negotiated:
            stream = self._stream(media.media)
            candidate = _Candidate(stream, media, agreements.get(media.index), answered=True)
            self._pending.candidates.append(candidate)
        return self._propose(body=Body(SDP_TYPE, answer.encode()), notes=notes)

    def _unreachable(self, host: str) -> Unacceptable | None:
        """Media goes to numeric addresses of our own family only: nobody is looked up for it."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return Unacceptable(301, f"the media address {host[:64]} is a name, not an address")
        if address.version != ipaddress.ip_address(self.setup.host).version:
            return Unacceptable(301, f"the media address {host} is not of our own address family")
        return None

    def _answer_direction(self, most: Direction) -> Direction:
        if not self.held:
            return most
        return Direction.SENDONLY if most.sends else Direction.INACTIVE

    def _agree(self, stream: _Stream, line: OfferedMedia, notes: list[str]) -> Agreement | None:
        """The keys of a chosen line; None: it is answered in clear, as `_worth` allowed."""
        if self.setup.policy.srtp is SrtpPolicy.OFF or not line.crypto:
            return None
        outcome = stream.plan.answer(
            line.crypto, remote=line.remote_address, direction=line.direction
        )
        if isinstance(outcome, Agreement):
            return outcome
        notes.extend(_sentences(outcome))
        return None

    def _usable(self, lines: Sequence[CryptoLine]) -> bool:
        return choose(lines, allowed=self.setup.policy.suites).crypto is not None

    def _worth(self, line: OfferedMedia) -> int | None:
        """SRTP first, SRTP under RTP/AVP second, clear last and only where it is allowed."""
        if line.media != "audio":
            return None
        demand = self.setup.policy.srtp
        if demand is SrtpPolicy.OFF:
            return None if line.secure else 1
        if self._usable(line.crypto):
            return 3 if line.secure else 2
        return None if line.secure or demand is SrtpPolicy.REQUIRED else 1

    def _explain(self, offered: Sequence[OfferedMedia]) -> Unacceptable:
        """Why no audio line of an offer could be used."""
        audio = [line for line in offered if line.media == "audio"]
        if not audio:
            return Unacceptable(305, "the offer has no audio stream that we can decode")
        demand = self.setup.policy.srtp
        secure = [line for line in audio if line.secure or line.crypto]
        if demand is SrtpPolicy.OFF:
            return Unacceptable(302, f"the offer is {audio[0].profile} and SRTP is off here")
        if not secure:
            return _clear_refused("offer", audio[0].profile, "audio")
        verdict = choose(secure[0].crypto, allowed=self.setup.policy.suites)
        return _no_key("offer", secure[0].profile, verdict.refusals)

    def _clear(
        self, stream: _Stream, media: NegotiatedMedia, what: str
    ) -> _Candidate | Unacceptable:
        if self.setup.policy.srtp is SrtpPolicy.REQUIRED:
            return _clear_refused(what, media.profile, media.media)
        return _Candidate(stream, media, None)

    # Taking effect

    def commit(self, generation: int) -> None:
        """Put the judged exchange in force: rows are opened or changed.

        `generation` is the call's security generation, which grows whenever its level falls.
        """
        agreed = {id(candidate.stream) for candidate in self._pending.candidates}
        for candidate in self._pending.candidates:
            self._open(candidate, generation)
        for stream in self._streams.values():
            if id(stream) not in agreed and stream.opened and self._pending.answered:
                self.setup.port.set_direction(stream.local.handle, Direction.INACTIVE)
                stream.security = None
        self._pending = _Pending()

    def _open(self, candidate: _Candidate, generation: int) -> None:
        stream, media, agreement = candidate.stream, candidate.media, candidate.agreement
        if agreement is None:
            stream.plan.clear()
        elif candidate.answered:
            stream.plan.commit()
        stream.spec = self._spec(media, agreement, generation)
        stream.security = candidate.security
        self.setup.port.open(stream.local.handle, stream.spec)
        stream.opened = True

    def restamp(self, generation: int) -> None:
        """Stamp a newer security generation on what the streams deliver from now on."""
        for stream in self._streams.values():
            if stream.spec is not None and stream.opened and not stream.closed:
                stream.spec = replace(stream.spec, security_generation=generation)
                self.setup.port.open(stream.local.handle, stream.spec)

    def silence(self) -> None:
        """Stop every stream at once, whatever was negotiated; the next commit starts them again."""
        for stream in self._streams.values():
            if stream.opened and not stream.closed:
                self.setup.port.set_direction(stream.local.handle, Direction.INACTIVE)

    def rollback(self) -> None:
        """Forget the exchange that was refused or failed; what was in force stays."""
        if self._session.offer_pending:
            self._session.rollback()
        elif self._pending.candidates:
            self._session.undo()
        for stream in self._streams.values():
            stream.plan.rollback()
        self._pending = _Pending()

    def close(self) -> None:
        """Close every row."""
        for stream in self._streams.values():
            if not stream.closed:
                stream.closed = True
                self.setup.port.close(stream.local.handle)

    # Parts

    def _stream(self, media: str) -> _Stream:
        """The stream of a kind; its row is reserved at first use."""
        if media not in self._streams:
            local = self.setup.port.allocate(host=self.setup.host, on_event=self.setup.on_event)
            plan = KeyPlan(self.setup.policy.suites, entropy=self.setup.entropy)
            self._streams[media] = _Stream(local, plan)
        return self._streams[media]

    def _propose(self, *, notes: list[str], body: Body | None = None) -> Proposal:
        candidates = self._pending.candidates
        direction = next(
            (c.media.direction for c in candidates if c.media.media == "audio"), Direction.INACTIVE
        )
        media = tuple(candidate.security for candidate in candidates)
        return Proposal(media, direction, body, tuple(notes))

    def _spec(
        self, media: NegotiatedMedia, agreement: Agreement | None, generation: int
    ) -> StreamSpec:
        event = media.telephone_event
        keys = (
            (None, None)
            if agreement is None
            else (
                SrtpKey(agreement.suite, agreement.send_key),
                SrtpKey(agreement.suite, agreement.receive_key),
            )
        )
        return StreamSpec(
            remote=media.remote_address,
            codec=media.codec.name.upper(),
            payload_type=media.codec.send_payload_type,
            receive_payload_type=media.codec.receive_payload_type,
            telephone_event=None if event is None else event.send_payload_type,
            receive_telephone_event=None if event is None else event.receive_payload_type,
            remote_rtcp=media.remote_rtcp,
            rtcp_mux=media.rtcp_mux,
            ptime_ms=media.ptime_ms,
            direction=media.direction,
            send_key=keys[0],
            receive_key=keys[1],
            security_generation=generation,
            cname=self.setup.cname,
        )


def _capability(codecs: Sequence[str]) -> MediaCapability:
    return MediaCapability(
        "audio",
        tuple(Codec(name, 8000, payload_type=_STATIC.get(name)) for name in codecs),
        telephone_event=True,
    )


def _description(body: Body | None) -> SessionDescription | Unacceptable:
    if body is None:
        return Unacceptable(399, "a session description is missing")
    if body.media_type != SDP_TYPE:
        return Unacceptable(399, f"{body.media_type} is no session description")
    try:
        return SessionDescription.parse(body.data)
    except MalformedDescription as error:
        return Unacceptable(399, f"the session description is malformed: {error}")


def _sentences(refusals: Sequence[Refusal]) -> list[str]:
    return [
        f"crypto line {'?' if refusal.tag is None else refusal.tag} "
        f"({refusal.suite or 'unreadable'}): {refusal.reason}"
        for refusal in refusals
    ]


def _no_key(what: str, profile: str, refusals: Sequence[Refusal]) -> Unacceptable:
    reasons = "; ".join(_sentences(refusals)) or "it has no crypto line"
    explanation = f"the {what} is {profile} and no crypto line of it can be used: {reasons}"
    return Unacceptable(399, explanation, (Shortfall(ShortfallCode.SRTP_REQUIRED, explanation),))


def _clear_refused(what: str, profile: str, media: str) -> Unacceptable:
    explanation = f"SRTP is required and the {what}'s {media} stream is {profile}, in clear"
    return Unacceptable(302, explanation, (Shortfall(ShortfallCode.SRTP_REQUIRED, explanation),))
