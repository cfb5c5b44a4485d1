"""The offer/answer exchange (RFC 3264): one `OfferAnswerSession` for each call leg.

Negotiates m-lines, formats, directions, ports and payload types.  It carries crypto lines without
judging them, opens no port and knows no policy: for each m-line that it wants, the caller gives
port, profile and crypto lines.

    offering:   description = session.make_offer([LocalMediaLine(...)])
                media = session.apply_answer(answer)              # or session.rollback()
    answering:  offered = session.apply_offer(offer)
                chosen = session.choose_lines(offered)
                ours = {line.index: LocalMediaLine(...) for line in chosen}
                description = session.make_answer(ours)
                session.negotiated                                # or session.undo_exchange()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.sdp.attributes import read_crypto
from softphone.sdp.codecs import (
    DEFAULT_EVENTS,
    TELEPHONE_EVENT,
    CodecCapability,
    MediaCapability,
    MediaFormat,
    NegotiatedCodec,
    NegotiatedTelephoneEvent,
    PayloadTypes,
    common_codecs,
    packet_time,
    read_formats,
)
from softphone.sdp.description import (
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
)
from softphone.sdp.media_line import (
    COMFORT_NOISE,
    LocalMediaLine,
    NegotiatedMedia,
    OfferedMedia,
    event_codec,
    intersect_directions,
    may_answer,
    media_line,
    refused_line,
    remote_address,
    remote_bandwidth,
    remote_direction,
    remote_extended_reports,
    remote_rtcp,
    stream_attributes,
)


class AnswerMismatch(SoftphoneError):
    """An answer does not fit the offer that it answers; the text says how."""

    _hint = "look at offer and answer in the log of softphone.sip: the answer must fit the offer"


Worth: TypeAlias = Callable[[OfferedMedia], int | None]


def prefer_secure(line: OfferedMedia) -> int:
    """The default rank of an offered line: SRTP profiles before clear ones."""
    return 1 if line.secure else 0


# The session ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _LocalOffer:
    """Our pending offer: the description sent, and our side of each m-line."""

    description: SessionDescription
    local_lines: Mapping[int, LocalMediaLine]


@dataclass(frozen=True, slots=True)
class _RemoteOffer:
    """A received offer that waits for our answer."""

    description: SessionDescription
    usable: Mapping[int, OfferedMedia]


@dataclass(frozen=True, slots=True)
class _RelayedOffer:
    """A pending offer of another party's stream; `line` is the stream of ours that it replaces."""

    description: SessionDescription
    line: NegotiatedMedia


_Agreed: TypeAlias = tuple[SessionDescription | None, tuple[NegotiatedMedia, ...]]
"""Our description and the streams of a completed exchange; the remote's is not kept."""


class OfferAnswerSession:
    """The offer/answer state of one call leg (RFC 3264).

    `address` is our own address for `o=` and `c=` lines; it may be changed between offers.
    `session_id` should be unique on this host (RFC 8866 section 5.2) and below 2^62.
    """

    def __init__(
        self,
        capabilities: Sequence[MediaCapability],
        *,
        address: str,
        session_id: int,
        username: str = "-",
        session_name: str = "-",
    ) -> None:
        self.address = address
        self._capabilities = {capability.media: capability for capability in capabilities}
        self._payload_types = {media: PayloadTypes() for media in self._capabilities}
        self._username, self._session_id = username, str(session_id)
        self._session_name = session_name
        self._sent: SessionDescription | None = None
        self._local: SessionDescription | None = None
        self._negotiated: tuple[NegotiatedMedia, ...] = ()
        self._before: _Agreed | None = None
        self._pending: _LocalOffer | _RelayedOffer | _RemoteOffer | None = None

    @property
    def negotiated(self) -> tuple[NegotiatedMedia, ...]:
        """The streams agreed by the last completed exchange, in the order of their m-lines."""
        return self._negotiated

    @property
    def local(self) -> SessionDescription | None:
        """Our description in the last completed exchange."""
        return self._local

    @property
    def offer_pending(self) -> bool:
        """Whether an offer, ours or the remote's, waits for its answer."""
        return self._pending is not None

    def rollback(self) -> None:
        """Drop the pending offer after a refusal (488, 491) or withdrawal; nothing else changes."""
        self._pending = None

    def undo_exchange(self) -> None:
        """Undo the last completed exchange, once, when our answer was judged and never sent.

        Raises LocalProtocolError while an offer is pending, or when there is nothing to undo.
        """
        self._require_no_pending_offer()
        if self._before is None:
            raise LocalProtocolError("there is no exchange to take back")
        (self._local, self._negotiated), self._before = self._before, None

    # Offering -----------------------------------------------------------------------------------

    def make_offer(self, media: Sequence[LocalMediaLine]) -> SessionDescription:
        """Make an offer: initial, delayed, or a re-offer (m-lines keep their places; section 8).

        Raises LocalProtocolError while an offer is pending, when `media` names no capability, or
        when two of its lines want the same m-line.
        """
        self._require_no_pending_offer()
        placed = self._assign_lines(media)
        slots = self._local.media if self._local else ()
        lines = [
            self._offer_line(placed[index]) if index in placed else refused_line(slots[index])
            for index in range(max(len(slots), max(placed, default=-1) + 1))
        ]
        description = self._describe(lines)
        self._pending = _LocalOffer(description, placed)
        return description

    def _require_no_pending_offer(self) -> None:
        if self._pending is not None:
            raise LocalProtocolError("an offer is pending: answer it or roll it back first")

    def _assign_lines(self, media: Sequence[LocalMediaLine]) -> dict[int, LocalMediaLine]:
        """Assign each stream an m-line: its own, its kind's active one, a free one or a new one."""
        slots = self._local.media if self._local else ()
        active = {line.index: line.media for line in self._negotiated}
        # Removed or refused, by us or in the answer: its place may be used again (section 8.1).
        free = [i for i in range(len(slots)) if i not in active]
        placed: dict[int, LocalMediaLine] = {}
        following = len(slots)
        for local in sorted(media, key=lambda local: local.index is None):
            if local.media not in self._capabilities:
                raise LocalProtocolError(f"there is no capability for {local.media}")
            index = local.index
            if index is None:
                mine = (i for i, kind in active.items() if kind == local.media and i not in placed)
                index = next(mine, None)
            if index is None:
                index = next((i for i in free if i not in placed), following)
            if index in placed or index > following:
                raise LocalProtocolError(f"m-line {index} cannot be taken")
            following = max(following, index + 1)
            placed[index] = local
        return dict(sorted(placed.items()))

    def _offer_line(self, local: LocalMediaLine) -> MediaDescription:
        capability = self._capabilities[local.media]
        codecs = list(capability.codecs)
        if capability.telephone_event:
            rates = dict.fromkeys([codec.clock_rate for codec in codecs])
            codecs += map(event_codec, rates)
        if capability.comfort_noise:
            codecs.append(COMFORT_NOISE)
        numbers = self._payload_types[local.media]
        taken = [
            (codec, number) for codec in codecs if (number := numbers.assign(codec)) is not None
        ]
        rest = stream_attributes(local, capability, local.direction, mux=local.rtcp_mux)
        return media_line(local, local.profile or capability.profiles[0], taken, rest)

    def _describe(self, media: Sequence[MediaDescription]) -> SessionDescription:
        """A description with the last version sent, or the next one if it differs (section 8)."""
        last, sent = (self._sent.origin.session_version, self._sent) if self._sent else (0, None)
        description = self._describe_version(last if sent else 1, media)
        if sent is not None and description != sent:
            description = self._describe_version(last + 1, media)
        self._sent = description
        return description

    def _describe_version(
        self, number: int, media: Sequence[MediaDescription]
    ) -> SessionDescription:
        family = "IP6" if ":" in self.address else "IP4"
        return SessionDescription(
            origin=Origin(
                self._username, self._session_id, number, address_type=family, address=self.address
            ),
            media=tuple(media),
            session_name=self._session_name,
            connection=Connection(self.address, family),
        )

    def apply_answer(
        self, description: SessionDescription, *, final: bool = True
    ) -> tuple[NegotiatedMedia, ...]:
        """Match an answer with our offer.  An early answer (`final` False) leaves it pending.

        Raises AnswerMismatch (the offer stays pending: call `rollback`), and LocalProtocolError
        when we have no pending offer.
        """
        offer = self._pending
        if not isinstance(offer, _LocalOffer):
            raise LocalProtocolError("there is no offer of ours to be answered")
        ours = offer.description.media
        if len(description.media) != len(ours):
            raise AnswerMismatch(
                f"the answer has {len(description.media)} m-lines and the offer {len(ours)}"
            )
        agreed = []
        for index, (mine, theirs) in enumerate(zip(ours, description.media, strict=True)):
            if theirs.media != mine.media:
                raise AnswerMismatch(f"m-line {index} of the answer is not {mine.media}")
            if theirs.port:
                agreed.append(self._match_answer_line(index, offer, description))
        if final:
            self._commit(offer.description, agreed)
        return tuple(agreed)

    def _match_answer_line(
        self, index: int, offer: _LocalOffer, description: SessionDescription
    ) -> NegotiatedMedia:
        theirs, local = description.media[index], offer.local_lines.get(index)
        if local is None:
            raise AnswerMismatch(f"m-line {index} was removed and the answer takes it up")
        profile = offer.description.media[index].protocol
        if not may_answer(profile, theirs.protocol):
            raise AnswerMismatch(f"m-line {index} answers {profile} with {theirs.protocol}")
        remote = remote_address(description, theirs)
        formats = read_formats(theirs)
        codecs = self._negotiate_codecs(theirs.media, formats, assign=False)
        if remote is None or not codecs:
            what = "a codec that we offered" if remote else "a c= line that holds for it"
            raise AnswerMismatch(f"m-line {index} of the answer has not {what}")
        direction = remote_direction(description, theirs).reversed
        crypto = read_crypto(theirs, description.attributes)
        answered = OfferedMedia(
            index, theirs.media, theirs.protocol, remote, direction, codecs, crypto
        )
        return self._negotiate_line(answered, formats, theirs, local, description)

    # Relaying -----------------------------------------------------------------------------------

    def relay_offer(self, media: MediaDescription) -> SessionDescription:
        """Offer another party's stream in the place of ours of its kind (RFC 7088 section 2).

        The `o=` line stays ours, with its next version; our other m-lines are removed.  Raises
        LocalProtocolError while an offer is pending, or without such a stream of ours.
        """
        self._require_no_pending_offer()
        ours = self._local
        line = next((line for line in self._negotiated if line.media == media.media), None)
        if ours is None or line is None:
            raise LocalProtocolError(f"the session has no {media.media} stream to replace")
        lines = [
            media if index == line.index else refused_line(slot)
            for index, slot in enumerate(ours.media)
        ]
        description = self._describe(lines)
        self._pending = _RelayedOffer(description, line)
        return description

    def apply_relayed_answer(self, description: SessionDescription) -> MediaDescription:
        """Return the m-line that answers the relayed stream.

        The exchange is complete in any case, since the far end has accepted the offer.  Raises
        AnswerMismatch, and LocalProtocolError when no relayed offer is pending.
        """
        offer = self._pending
        if not isinstance(offer, _RelayedOffer):
            raise LocalProtocolError("there is no relayed offer to be answered")
        self._commit(offer.description, (offer.line,))
        offered, answered = offer.description.media, description.media
        if [line.media for line in offered] != [line.media for line in answered]:
            raise AnswerMismatch("the answer has not the m-lines of the offer")
        index = offer.line.index
        if any(line.port for at, line in enumerate(answered) if at != index):
            raise AnswerMismatch("the answer takes up an m-line that was removed")
        theirs = answered[index]
        if not theirs.port:
            raise AnswerMismatch(f"the answer refuses the {theirs.media} stream")
        if not may_answer(offered[index].protocol, theirs.protocol):
            mine = offered[index].protocol
            raise AnswerMismatch(f"m-line {index} answers {mine} with {theirs.protocol}")
        return theirs

    # Answering ----------------------------------------------------------------------------------

    def apply_offer(self, description: SessionDescription) -> tuple[OfferedMedia, ...]:
        """Take an offer; return every m-line that we could answer, possibly none.

        Fewer m-lines than before count as removed: a server that connects another far end to the
        call sends that one's description.  Raises LocalProtocolError while an offer is pending.
        """
        self._require_no_pending_offer()
        found = [
            self._read_offered_line(index, description) for index in range(len(description.media))
        ]
        usable = {line.index: line for line in found if line is not None}
        self._pending = _RemoteOffer(description, usable)
        return tuple(usable.values())

    def _read_offered_line(
        self, index: int, description: SessionDescription
    ) -> OfferedMedia | None:
        media = description.media[index]
        capability = self._capabilities.get(media.media)
        remote = remote_address(description, media)
        if capability is None or remote is None or not media.port:
            return None
        if media.protocol.upper() not in capability.profiles:
            return None
        codecs = self._negotiate_codecs(media.media, read_formats(media), assign=True)
        if not codecs:
            return None
        return OfferedMedia(
            index=index,
            media=media.media,
            profile=media.protocol,
            remote_address=remote,
            direction=remote_direction(description, media).reversed,
            codecs=codecs,
            crypto=read_crypto(media, description.attributes),
            current=any(
                line.index == index and line.media == media.media for line in self._negotiated
            ),
        )

    def unknown_profile(self, description: SessionDescription, media: str) -> str:
        """The profile of the first m-line of kind `media`; "" if we know the profile of any."""
        offered = [m.protocol for m in description.media if m.media == media and m.port]
        capability = self._capabilities.get(media)
        known = () if capability is None else capability.profiles
        return "" if any(one.upper() in known for one in offered) else next(iter(offered), "")

    def choose_lines(
        self, offered: Sequence[OfferedMedia], *, worth: Worth = prefer_secure
    ) -> tuple[OfferedMedia, ...]:
        """One line for each kind of media: the highest `worth`, then the current, then the first.

        A line whose `worth` is None is left out: the caller refuses what its policy forbids.
        """
        best: dict[str, tuple[tuple[int, bool, int], OfferedMedia]] = {}
        for line in offered:
            value = worth(line)
            if value is None:
                continue
            rank = (value, line.current, -line.index)
            if line.media not in best or rank > best[line.media][0]:
                best[line.media] = (rank, line)
        chosen = [line for _, line in best.values()]
        return tuple(sorted(chosen, key=lambda line: line.index))

    def make_answer(self, media: Mapping[int, LocalMediaLine]) -> SessionDescription:
        """Answer the received offer: every m-line, those not in `media` with port 0 (section 6).

        Raises LocalProtocolError without an offer, or when an index was not offered as usable.
        """
        offer = self._pending
        if not isinstance(offer, _RemoteOffer):
            raise LocalProtocolError("there is no offer to answer")
        unknown = media.keys() - offer.usable.keys()
        if unknown:
            raise LocalProtocolError(f"m-lines {sorted(unknown)} cannot be answered")
        for index, local in media.items():
            if local.media != offer.usable[index].media:
                raise LocalProtocolError(f"m-line {index} is not {local.media}")
        agreed = {
            index: self._negotiate_line(
                offer.usable[index],
                read_formats(offer.description.media[index]),
                offer.description.media[index],
                local,
                offer.description,
            )
            for index, local in sorted(media.items())
        }
        lines = [
            self._answer_line(agreed[index], media[index])
            if index in agreed
            else refused_line(theirs)
            for index, theirs in enumerate(offer.description.media)
        ]
        description = self._describe(lines)
        self._commit(description, list(agreed.values()))
        return description

    def _answer_line(self, agreed: NegotiatedMedia, local: LocalMediaLine) -> MediaDescription:
        """Our m-line with one codec, so that the remote cannot switch codecs, and its events."""
        codec = agreed.codec
        mine = CodecCapability(
            codec.name,
            codec.clock_rate,
            codec.channels,
            fmtp=codec.receive_fmtp,
            feedback=codec.feedback,
        )
        codecs = [(mine, codec.receive_payload_type)]
        if agreed.telephone_event is not None:
            events = agreed.telephone_event
            codecs.append((event_codec(events.clock_rate), events.receive_payload_type))
        if agreed.comfort_noise is not None:
            codecs.append((COMFORT_NOISE, agreed.comfort_noise))
        capability = self._capabilities[local.media]
        rest = stream_attributes(local, capability, agreed.direction, mux=agreed.rtcp_mux)
        return media_line(local, agreed.profile, codecs, rest)

    # Offering and answering ---------------------------------------------------------------------

    def _negotiate_codecs(
        self, media: str, formats: Sequence[MediaFormat], *, assign: bool
    ) -> tuple[NegotiatedCodec, ...]:
        """The common codecs in the remote's order; `assign` adopts its payload types for ours."""
        capability, numbers = self._capabilities[media], self._payload_types[media]
        found = []
        for codec, fmt in common_codecs(capability, formats):
            mine = (
                numbers.assign(codec, fmt.payload_type) if assign else numbers.current_number(codec)
            )
            if mine is None:
                continue
            found.append(
                NegotiatedCodec(
                    name=codec.name,
                    clock_rate=codec.clock_rate,
                    channels=codec.channels,
                    send_payload_type=fmt.payload_type,
                    receive_payload_type=mine,
                    fmtp=fmt.fmtp,
                    receive_fmtp=codec.fmtp,
                    feedback=tuple(filter(fmt.feedback.__contains__, codec.feedback)),
                )
            )
        return tuple(found)

    def _negotiate_telephone_event(
        self, media: str, formats: Sequence[MediaFormat], codec: NegotiatedCodec, *, assign: bool
    ) -> NegotiatedTelephoneEvent | None:
        """Telephone events, preferably at the codec's clock rate, else at another offered rate."""
        if not self._capabilities[media].telephone_event:
            return None
        events = [fmt for fmt in formats if fmt.name.lower() == TELEPHONE_EVENT]
        if len(events) > 1:
            events.sort(key=lambda fmt: fmt.clock_rate != codec.clock_rate)
        for fmt in events:
            mine = self._event_number(media, fmt, assign=assign)
            if mine is not None:
                return NegotiatedTelephoneEvent(
                    fmt.clock_rate, fmt.payload_type, mine, fmt.fmtp or DEFAULT_EVENTS
                )
        return None

    def _negotiate_comfort_noise(
        self, media: str, formats: Sequence[MediaFormat], codec: NegotiatedCodec, *, assign: bool
    ) -> int | None:
        """The comfort noise payload type, if both sides support it at the codec's clock rate."""
        capability, numbers = self._capabilities[media], self._payload_types[media]
        if not capability.comfort_noise or codec.clock_rate != COMFORT_NOISE.clock_rate:
            return None
        numbered = [(f.name.upper(), f.clock_rate, f.payload_type) for f in formats]
        if (
            COMFORT_NOISE.name,
            COMFORT_NOISE.clock_rate,
            COMFORT_NOISE.payload_type,
        ) not in numbered:
            return None
        return numbers.assign(COMFORT_NOISE) if assign else numbers.current_number(COMFORT_NOISE)

    def _event_number(self, media: str, fmt: MediaFormat, *, assign: bool) -> int | None:
        numbers, codec = self._payload_types[media], event_codec(fmt.clock_rate)
        return numbers.assign(codec, fmt.payload_type) if assign else numbers.current_number(codec)

    def _negotiate_line(
        self,
        line: OfferedMedia,
        formats: Sequence[MediaFormat],
        theirs: MediaDescription,
        local: LocalMediaLine,
        description: SessionDescription,
    ) -> NegotiatedMedia:
        mux = local.rtcp_mux and theirs.has_attribute("rtcp-mux")
        assign = isinstance(self._pending, _RemoteOffer)
        media, codec = line.media, line.codecs[0]
        return NegotiatedMedia(
            index=line.index,
            media=media,
            profile=line.profile,
            remote_address=line.remote_address,
            remote_rtcp=remote_rtcp(theirs, line.remote_address, mux=mux),
            local_port=local.port,
            direction=intersect_directions(local.direction, line.direction),
            codec=codec,
            codecs=line.codecs[:1] if assign else line.codecs,
            telephone_event=self._negotiate_telephone_event(media, formats, codec, assign=assign),
            comfort_noise=self._negotiate_comfort_noise(media, formats, codec, assign=assign),
            ptime_ms=packet_time(self._capabilities[media], theirs),
            rtcp_mux=mux,
            local_crypto=local.crypto,
            remote_crypto=line.crypto,
            remote_hold=not line.direction.sends,
            bandwidth=remote_bandwidth(theirs),
            extended_reports=remote_extended_reports(description, theirs),
            remote_session=(description.origin.session_id, description.origin.session_version),
        )

    def _commit(self, local: SessionDescription, agreed: Sequence[NegotiatedMedia]) -> None:
        self._before = (self._local, self._negotiated)
        self._local, self._negotiated = local, tuple(agreed)
        self._pending = None
