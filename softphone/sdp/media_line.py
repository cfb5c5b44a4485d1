"""One m-line: ours, as offered, and as negotiated (RFC 3264).

Reads remote m-lines (address, direction, RTCP port) and writes ours.  The negotiation state is in
`softphone.sdp.offer_answer`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from softphone.events import Direction
from softphone.fast_dataclass import fast_init
from softphone.sans_io import Address
from softphone.sdp.attributes import Crypto, CryptoLine, RtcpPort
from softphone.sdp.codecs import (
    DEFAULT_EVENTS,
    TELEPHONE_EVENT,
    CodecCapability,
    MediaCapability,
    NegotiatedCodec,
    NegotiatedTelephoneEvent,
    codec_attributes,
)
from softphone.sdp.description import (
    Attribute,
    MalformedDescription,
    MediaDescription,
    SessionDescription,
)


@fast_init
@dataclass(frozen=True, slots=True)
class LocalMediaLine:
    """Our side of one m-line in an offer or an answer.

    `profile` is None in an answer (the offer's is echoed).  `index` selects the m-line to use in a
    re-offer; with None the active line of this kind is used, else a removed one, else a new one.
    With `rtcp_port` None RTCP uses `port` + 1, and no attribute says so.
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


@fast_init
@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """An m-line of a received offer that we can answer.

    `direction` is the widest that we may answer, from our side.  `secure` says whether the profile
    is an SRTP one.  `current` says that the line already carries a stream of this session.
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
        return "SAVP" in self.profile.upper()


@fast_init
@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """A negotiated m-line; lines with port 0 are left out of the list of them.

    `remote_address` and `remote_rtcp` are where to send RTP and RTCP; `direction` is from our side.
    `codec` is the one that we send; `codecs` are all that may arrive, `codec` first.
    `local_crypto` are the crypto lines that we printed, `remote_crypto` those received.
    `remote_hold` says that the other side does not want to receive.  `comfort_noise` is its payload
    type if both sides support it.  `bandwidth` is the limit of the remote's `b=` lines, in bits a
    second.  `extended_reports` names the reports that the remote asks for (RFC 3611 section 5.1),
    in lower case.  `remote_session` holds the session id and version of the remote's `o=` line.
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
    telephone_event: NegotiatedTelephoneEvent | None = None
    comfort_noise: int | None = None
    ptime_ms: int = 20
    rtcp_mux: bool = False
    local_crypto: tuple[Crypto, ...] = ()
    remote_crypto: tuple[CryptoLine, ...] = ()
    remote_hold: bool = False
    bandwidth: int | None = None
    extended_reports: tuple[str, ...] = ()
    remote_session: tuple[str, int] = ("", 0)

    @property
    def secure(self) -> bool:
        """Whether the profile is RTP/SAVP or RTP/SAVPF."""
        return "SAVP" in self.profile.upper()


# Reading the remote's lines ---------------------------------------------------------------------


def remote_address(description: SessionDescription, media: MediaDescription) -> Address | None:
    """Where to send `media`; None without a `c=` line of network type IN."""
    connection = description.connection_of(media)
    if connection is None or connection.network_type != "IN":
        return None
    return (connection.address, media.port)


_MEMORABLE = 128
"""Longer than any address, even with a zone: longer names are not cached, to bound memory."""


def media_address_fault(host: str, ours: str) -> str | None:
    """Return why no media may be sent to `host`; None if it may.  `ours` is our address.

    It must be numeric, without a zone, and of our own family.  No name is looked up.  Multicast and
    broadcast addresses (RFC 1112, RFC 919) are refused too: they would have us flood a network.
    """
    if len(host) > _MEMORABLE:
        return _no_address(host)
    return _address_fault(host, ours)


def _no_address(host: str) -> str:
    return f"the media address {host[:64]} is a name, not an address"


@lru_cache(1024)
def _address_fault(host: str, ours: str) -> str | None:
    """Judge one address; cached, since few addresses recur, several times per call."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _no_address(host)
    if "%" in host:
        return "the media address has a zone, which means nothing here"
    if address.version != (6 if ":" in ours else 4):
        return f"the media address {host} is not of our own address family"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # 240.0.0.0/4 holds the broadcast address.
    if address.is_multicast or (address.version == 4 and address.is_reserved):
        return f"the media address {host} is not that of one host"
    return None


def remote_direction(description: SessionDescription, media: MediaDescription) -> Direction:
    """The remote's direction; an unspecified address does not receive (RFC 3264 section 8.4)."""
    direction = description.direction_of(media)
    connection = description.connection_of(media)
    if connection is not None and connection.on_hold:
        return _direction(sends=direction.sends, receives=False)
    return direction


def _direction(*, sends: bool, receives: bool) -> Direction:
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def intersect_directions(one: Direction, other: Direction) -> Direction:
    """The widest direction that both allow."""
    return _direction(sends=one.sends and other.sends, receives=one.receives and other.receives)


def remote_bandwidth(media: MediaDescription) -> int | None:
    """Bits a second that the `b=` lines of `media` allow (RFC 3890; RFC 8866 section 5.8)."""
    factors = {"TIAS": 1, "AS": 1000}
    if not media.bandwidth:
        return None
    given = [line for line in media.bandwidth if line.type in factors]
    return min((line.value * factors[line.type] for line in given), default=None)


def remote_extended_reports(
    description: SessionDescription, media: MediaDescription
) -> tuple[str, ...]:
    """The names of the extended reports that the remote asks for (RFC 3611 section 5.1).

    The m-line's attribute replaces the session's; an empty list asks for none.
    """
    for line in (*media.attributes, *description.attributes):
        if line.name == "rtcp-xr":
            words = (line.value or "").lower().split()[:MOST_REPORTS]
            return tuple(dict.fromkeys([word.partition("=")[0] for word in words]))
    return ()


MOST_REPORTS = 16
"""Formats that are read from one list; RFC 3611 defines seven."""


def remote_rtcp(media: MediaDescription, remote: Address, *, mux: bool) -> Address:
    """The RTCP address: RTP's own port (RFC 5761), the given port (RFC 3605), or the next port."""
    host, port = remote
    if mux:
        return remote
    for attribute in media.attributes:
        if attribute.name != "rtcp" or attribute.value is None:
            continue
        try:
            rtcp = RtcpPort.parse(attribute.value)
        except MalformedDescription:
            break
        if rtcp.port:
            return (rtcp.address or host, rtcp.port)
    return (host, min(port + 1, 65535))


def is_secure_profile(profile: str) -> bool:
    """Whether a transport profile is one of SRTP, in capital or small letters (RFC 3711, 5124)."""
    return "SAVP" in profile.upper()


def _features(profile: str) -> tuple[bool, bool]:
    """Whether a profile is secure, and whether it has feedback (RFC 3711, 4585, 5124)."""
    return is_secure_profile(profile), profile.upper().endswith("F")


def may_answer(offered: str, answered: str) -> bool:
    """Whether profile `answered` may answer `offered`: the same, or one with fewer features.

    CUCM falls back to RTP in this way.  The security policy decides whether that is acceptable.
    """
    if offered.upper() == answered.upper():
        return True
    if answered.upper() not in ("RTP/AVP", "RTP/SAVP", "RTP/AVPF"):
        return False
    (secure, feedback), (less_secure, less_feedback) = _features(offered), _features(answered)
    return less_secure <= secure and less_feedback <= feedback


# Writing our lines ------------------------------------------------------------------------------


@lru_cache(16)
@lru_cache(64)
def event_codec(clock_rate: int) -> CodecCapability:
    """Our telephone-event format at one clock rate (RFC 4733 section 2.4)."""
    # 101 at 8000 Hz is the common choice, and old gateways assume it.
    number = 101 if clock_rate == 8000 else None
    return CodecCapability(TELEPHONE_EVENT, clock_rate, payload_type=number, fmtp=DEFAULT_EVENTS)


COMFORT_NOISE = CodecCapability("CN", 8000, payload_type=13)
"""Comfort noise (RFC 3389 section 5)."""


def stream_attributes(
    local: LocalMediaLine, capability: MediaCapability, direction: Direction, *, mux: bool
) -> list[Attribute]:
    """The attributes of the stream that belong to none of its formats."""
    lines = [_same_line("ptime", str(capability.ptimes_ms[0]))] if local.media == "audio" else []
    if capability.maxptime_ms is not None:
        lines.append(_same_line("maxptime", str(capability.maxptime_ms)))
    lines += [Attribute("crypto", crypto.to_wire()) for crypto in local.crypto]
    if local.rtcp_port is not None and local.rtcp_port != local.port + 1:
        lines.append(Attribute("rtcp", str(local.rtcp_port)))
    if mux:
        lines.append(_same_line("rtcp-mux"))
    if capability.extended_reports:
        lines.append(_same_line("rtcp-xr", capability.extended_reports))
    if capability.media_security and local.crypto:
        lines.append(_same_line("3ge2ae", "requested"))
    if local.ssrc is not None and local.cname is not None:
        lines.append(Attribute("ssrc", f"{local.ssrc} cname:{local.cname}"))
    lines.append(_same_line(str(direction)))
    return lines


_same_line = lru_cache(64)(Attribute)
"""Returns a cached Attribute, for lines that are alike in most calls."""


def media_line(
    local: LocalMediaLine,
    profile: str,
    codecs: Sequence[tuple[CodecCapability, int]],
    rest: Sequence[Attribute],
) -> MediaDescription:
    """An m-line of ours with its formats, and then its other attributes."""
    formats = [
        line
        for codec, number in codecs
        for line in codec_attributes(
            number, codec.name, codec.clock_rate, codec.channels, codec.fmtp, codec.feedback
        )
    ]
    return MediaDescription(
        media=local.media,
        port=local.port,
        protocol=profile,
        formats=tuple([str(number) for _, number in codecs]),
        attributes=(*formats, *rest),
    )


def refused_line(media: MediaDescription) -> MediaDescription:
    """The same m-line with port 0: refused or removed."""
    return MediaDescription(media.media, 0, media.protocol, media.formats)
