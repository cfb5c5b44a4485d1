"""Offer and answer (RFC 3264): one `Session` a call leg.

It decides about m-lines, formats, directions, ports and payload types.  It carries crypto lines
and judges none; it opens no port and knows no policy: whoever drives it says, for each m-line
that it wants, with which port, profile and crypto lines.

    offering:   description = session.offer([LocalMedia(...)])
                media = session.receive_answer(answer)            # or session.rollback()
    answering:  offered = session.receive_offer(offer)
                chosen = session.choose(offered)
                description = session.answer({line.index: LocalMedia(...) for line in chosen})
                session.negotiated
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from softphone.errors import SoftphoneError
from softphone.events import Direction
from softphone.machine import Address
from softphone.sdp.attributes import Crypto, CryptoLine
from softphone.sdp.description import MediaDescription, SessionDescription

__all__ = [
    "AnswerMismatch",
    "Codec",
    "LocalMedia",
    "MediaCapability",
    "NegotiatedCodec",
    "NegotiatedMedia",
    "OfferedMedia",
    "Session",
    "TelephoneEvent",
]


class AnswerMismatch(SoftphoneError):
    """An answer does not fit the offer that it answers; the sentence says how."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec that we can send and receive.

    `payload_type` is its static number, or the dynamic one that we prefer; None lets the session
    choose from 96 on.  `fmtp` are our own receive parameters; `feedback` our rtcp-fb values
    (RFC 4585), without the payload type.
    """

    name: str
    clock_rate: int
    channels: int = 1
    payload_type: int | None = None
    fmtp: str | None = None
    feedback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaCapability:
    """What we can do with one kind of media, codecs in order of preference.

    `profiles` are those that we accept; `ptimes_ms` are packet times that we can send, the
    preferred one first (it is also the one that we ask for); `maxptime_ms` is the most that we
    can receive, None leaves it unsaid.
    """

    media: str
    codecs: tuple[Codec, ...]
    profiles: tuple[str, ...] = ("RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF")
    telephone_event: bool = False
    ptimes_ms: tuple[int, ...] = (20,)
    maxptime_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our side of one m-line in an offer or an answer.

    `profile` is None in an answer (the offer's is echoed).  `index` places it on an m-line of
    its own choosing in a re-offer; None takes the active line of its kind, a removed one, or a
    new one.  `rtcp_port` None is `port` + 1, and not said.
    """

    media: str
    port: int
    profile: str | None = None
    direction: Direction = Direction.SENDRECV
    crypto: tuple[Crypto, ...] = ()
    rtcp_port: int | None = None
    rtcp_mux: bool = False
    index: int | None = None
    ssrc: int | None = None
    cname: str | None = None


@dataclass(frozen=True, slots=True)
class NegotiatedCodec:
    """A codec both sides have: send with the remote's payload type, receive on ours.

    `fmtp` is the remote's (what it wants to receive), `receive_fmtp` ours.
    """

    name: str
    clock_rate: int
    channels: int
    send_payload_type: int
    receive_payload_type: int
    fmtp: str | None = None
    receive_fmtp: str | None = None
    feedback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """Named telephone events (RFC 4733) as agreed."""

    clock_rate: int
    send_payload_type: int
    receive_payload_type: int
    events: str = "0-15"


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """One m-line of a received offer that we could answer.

    `direction` is the most that we may answer, as we see it; `secure` whether the profile is one
    of SRTP.  `current` says that the line already carries a stream of this session.
    """

    index: int
    media: str
    profile: str
    remote_address: Address
    direction: Direction
    codecs: tuple[NegotiatedCodec, ...]
    crypto: tuple[CryptoLine, ...] = ()
    current: bool = False

    @property
    def secure(self) -> bool:
        """Whether the profile is RTP/SAVP or RTP/SAVPF."""
        return "SAVP" in self.profile


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """One m-line as agreed; port 0 lines are not in the list of them.

    `remote_address` and `remote_rtcp` are where to send RTP and RTCP; `direction` is ours.
    `codec` is what we send; `codecs` all that may arrive, `codec` first.  `local_crypto` are the
    lines that we printed, `remote_crypto` those received.  `remote_hold` says that the other side
    does not want to receive.
    """

    index: int
    media: str
    profile: str
    remote_address: Address
    remote_rtcp: Address
    local_port: int
    direction: Direction
    codec: NegotiatedCodec
    codecs: tuple[NegotiatedCodec, ...]
    telephone_event: TelephoneEvent | None = None
    ptime_ms: int = 20
    rtcp_mux: bool = False
    local_crypto: tuple[Crypto, ...] = ()
    remote_crypto: tuple[CryptoLine, ...] = ()
    remote_hold: bool = False
    feedback: tuple[str, ...] = ()


Worth = Callable[[OfferedMedia], int | None]


def prefer_secure(line: OfferedMedia) -> int:
    """The default worth of an offered line: SRTP profiles before clear ones."""
    return 1 if line.secure else 0


class Session:
    """The offer/answer state of one call leg (RFC 3264).

    `address` is our own address in `o=` and `c=` lines and may be set between offers.
    `session_id` should be unique on this host (RFC 8866 section 5.2), below 2^62.
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
        raise NotImplementedError

    @property
    def negotiated(self) -> tuple[NegotiatedMedia, ...]:
        """The streams agreed by the last completed exchange, in the order of their m-lines."""
        raise NotImplementedError

    @property
    def local(self) -> SessionDescription | None:
        """Our description of the last completed exchange."""
        raise NotImplementedError

    @property
    def remote(self) -> SessionDescription | None:
        """The remote's description of the last completed exchange."""
        raise NotImplementedError

    @property
    def offer_pending(self) -> bool:
        """Whether an offer, ours or theirs, waits for its answer."""
        raise NotImplementedError

    def offer(self, media: Sequence[LocalMedia]) -> SessionDescription:
        """Make an offer: initial, delayed, or a re-offer (m-lines keep their places; 8).

        Raises LocalProtocolError while an offer is pending or when `media` names no capability.
        """
        raise NotImplementedError

    def receive_answer(
        self, description: SessionDescription, *, final: bool = True
    ) -> tuple[NegotiatedMedia, ...]:
        """Match an answer with our offer.  `final` False is early: the offer stays pending.

        Raises AnswerMismatch (the offer stays pending: then `rollback`), LocalProtocolError when
        there is no offer of ours.
        """
        raise NotImplementedError

    def receive_offer(self, description: SessionDescription) -> tuple[OfferedMedia, ...]:
        """Take an offer; every m-line that could be answered comes back, maybe none.

        Raises LocalProtocolError while an offer is pending.
        """
        raise NotImplementedError

    def choose(
        self, offered: Sequence[OfferedMedia], *, worth: Worth = prefer_secure
    ) -> tuple[OfferedMedia, ...]:
        """One line for each kind of media: the worthiest, then the current, then the first.

        `worth` None leaves a line out: the floor above refuses what its policy forbids.
        """
        raise NotImplementedError

    def answer(self, media: Mapping[int, LocalMedia]) -> SessionDescription:
        """Answer the offer received: every m-line, those not in `media` with port 0 (6).

        Raises LocalProtocolError without an offer, or when an index was not offered as usable.
        """
        raise NotImplementedError

    def rollback(self) -> None:
        """Forget the pending offer: it was refused (488, 491) or withdrawn; all stays as it was."""
        raise NotImplementedError
