"""Formats: codecs and their payload types (RFC 3264 5.1, 6.1, 8.3.2; RFC 3551).

`MediaCapability` is what we support; `read_formats` reads a remote m-line as `MediaFormat`s;
`PayloadTypes` keeps our payload type numbers for the life of a session.  H.264 formats are
distinguished by profile and packetization mode (RFC 6184 section 8.2.2), all others by name, clock
rate and channels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TypeAlias

from softphone.fast_dataclass import fast_init
from softphone.sdp.attributes import Fmtp, Rtpmap
from softphone.sdp.description import Attribute, MalformedDescription, MediaDescription

TELEPHONE_EVENT = "telephone-event"
DEFAULT_EVENTS = "0-15"

_STATIC = {
    row.payload_type: row
    for row in (
        Rtpmap(0, "PCMU", 8000),
        Rtpmap(3, "GSM", 8000),
        Rtpmap(4, "G723", 8000),
        Rtpmap(8, "PCMA", 8000),
        Rtpmap(9, "G722", 8000),
        Rtpmap(10, "L16", 44100, 2),
        Rtpmap(11, "L16", 44100),
        Rtpmap(13, "CN", 8000),
        Rtpmap(15, "G728", 8000),
        Rtpmap(18, "G729", 8000),
        Rtpmap(31, "H261", 90000),
        Rtpmap(34, "H263", 90000),
    )
}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""

_DYNAMIC = range(96, 128)
_MILLISECONDS = re.compile(r"[0-9]{1,4}")
_PROFILE_LEVEL_ID = re.compile(r"[0-9A-Fa-f]{6}")

CodecKey: TypeAlias = tuple[str, int, int, str]


@lru_cache(256)
def _codec_key(name: str, clock_rate: int, channels: int, fmtp: str | None) -> CodecKey:
    """What distinguishes a codec, cached: sessions keep it, so they share one object."""
    return (name.lower(), clock_rate, channels, fmtp or "")


@fast_init
@dataclass(frozen=True, slots=True)
class CodecCapability:
    """A codec that we can send and receive.

    `payload_type` is its static number, or the dynamic one that we prefer; with None the session
    chooses one, from 96 on.  `fmtp` holds our own receive parameters; `feedback` our rtcp-fb values
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
    """Our capability for one kind of media, codecs in order of preference.

    `profiles` are the transport profiles that we accept.  `ptimes_ms` are the packet times that we
    can send, the preferred one first (which is also the one that we ask for).  `maxptime_ms` is the
    longest that we can receive; None omits it.  `comfort_noise` says that we send it (RFC 3389).
    `media_security` asks for SDES by mediasec (a=3ge2ae, 3GPP TS 24.229).
    `extended_reports` are the reports that we ask for, in the form of `a=rtcp-xr` (RFC 3611 5.1).
    """

    media: str
    codecs: tuple[CodecCapability, ...]
    profiles: tuple[str, ...] = ("RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF")
    telephone_event: bool = False
    comfort_noise: bool = False
    ptimes_ms: tuple[int, ...] = (20,)
    maxptime_ms: int | None = None
    extended_reports: str = ""
    media_security: bool = False


@fast_init
@dataclass(frozen=True, slots=True)
class NegotiatedCodec:
    """A codec that both sides support: send with the remote's payload type, receive on ours.

    `fmtp` is the remote's (what it wants to receive), `receive_fmtp` ours.  `feedback` holds the
    rtcp-fb values that both sides listed.
    """

    name: str
    clock_rate: int
    channels: int
    send_payload_type: int
    receive_payload_type: int
    fmtp: str | None = None
    receive_fmtp: str | None = None
    feedback: tuple[str, ...] = ()


@fast_init
@dataclass(frozen=True, slots=True)
class NegotiatedTelephoneEvent:
    """Negotiated telephone events (RFC 4733); `events` is the remote's list."""

    clock_rate: int
    send_payload_type: int
    receive_payload_type: int
    events: str = DEFAULT_EVENTS


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """One format of a remote m-line."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    fmtp: str | None
    feedback: tuple[str, ...]


_DESCRIBING = frozenset({"rtpmap", "fmtp", "rtcp-fb"})
_REMEMBERED = 64
"""Parsed sets of formats in the cache: calls of one server use few different ones."""


def read_formats(media: MediaDescription) -> tuple[MediaFormat, ...]:
    """The formats of an RTP m-line, in its order; formats without a description are left out."""
    attributes_read = tuple([(a.name, a.value) for a in media.attributes if a.name in _DESCRIBING])
    return _formats(media.formats, attributes_read)


@lru_cache(_REMEMBERED)
def _formats(
    formats: tuple[str, ...], attributes_read: tuple[tuple[str, str | None], ...]
) -> tuple[MediaFormat, ...]:
    """The formats of an m-line; `attributes_read` are the names and values that describe them."""
    attributes = tuple(Attribute(name, value) for name, value in attributes_read)
    media = MediaDescription("", 0, "", formats, attributes=attributes)
    maps = dict(_STATIC)
    maps.update((rtpmap.payload_type, rtpmap) for rtpmap in _rtpmaps(media))
    fmtps = {fmtp.format: fmtp.parameters for fmtp in _fmtps(media)}
    feedback = _feedback(media)
    return tuple(
        MediaFormat(
            int(text),
            maps[int(text)].encoding_name,
            maps[int(text)].clock_rate,
            maps[int(text)].channels,
            fmtps.get(text),
            feedback.get(text, ()) + feedback.get("*", ()),
        )
        for text in dict.fromkeys(media.formats)
        if text.isascii() and text.isdigit() and int(text) in maps
    )


def _rtpmaps(media: MediaDescription) -> Iterator[Rtpmap]:
    for value in media.attribute_values("rtpmap"):
        try:
            yield Rtpmap.parse(value)
        except MalformedDescription:
            # A bad attribute makes only its own format unknown.
            continue


def _fmtps(media: MediaDescription) -> Iterator[Fmtp]:
    for value in media.attribute_values("fmtp"):
        try:
            yield Fmtp.parse(value)
        except MalformedDescription:
            continue


def _feedback(media: MediaDescription) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for value in media.attribute_values("rtcp-fb"):
        fmt, _, feedback = value.strip().partition(" ")
        found.setdefault(fmt, []).append(feedback.strip())
    return {fmt: tuple(values) for fmt, values in found.items()}


def _matches(codec: CodecCapability, fmt: MediaFormat) -> bool:
    name = codec.name.lower()
    if (name, codec.clock_rate, codec.channels) != (
        fmt.name.lower(),
        fmt.clock_rate,
        fmt.channels,
    ):
        return False
    return name != "h264" or _h264_shape(codec.fmtp) == _h264_shape(fmt.fmtp)


def _h264_shape(parameters: str | None) -> tuple[int, str]:
    """profile_idc and packetization mode; defaults from RFC 6184 section 8.1."""
    fmtp = Fmtp("", parameters or "")
    profile = fmtp.parameter("profile-level-id") or ""
    idc = int(profile[:2], 16) if _PROFILE_LEVEL_ID.fullmatch(profile) else 0x42
    return idc, fmtp.parameter("packetization-mode") or "0"


def common_codecs(
    capability: MediaCapability, formats: Sequence[MediaFormat]
) -> tuple[tuple[CodecCapability, MediaFormat], ...]:
    """The codecs that both sides support, each once, in the remote's order (RFC 3264 6.1)."""
    left = list(capability.codecs)
    found: list[tuple[CodecCapability, MediaFormat]] = []
    for fmt in formats:
        for codec in left:
            if _matches(codec, fmt):
                left.remove(codec)
                found.append((codec, fmt))
                break
    return tuple(found)


def packet_time(capability: MediaCapability, media: MediaDescription) -> int:
    """The packet time to send, in milliseconds: the remote's wish, if we support it.

    The remote's ptime is a wish and its maxptime a limit (RFC 8866 sections 6.4, 6.5).  For a
    value that we cannot send, the result is our largest one below it, else our smallest.
    """
    requested, most = _milliseconds(media, "ptime"), _milliseconds(media, "maxptime")
    preferred = capability.ptimes_ms[0]
    if requested is None:
        requested = preferred
    if most is not None:
        requested = min(requested, most)
    below = [ptime for ptime in capability.ptimes_ms if ptime <= requested]
    return max(below) if below else min(capability.ptimes_ms)


def _milliseconds(media: MediaDescription, name: str) -> int | None:
    for attribute in media.attributes:
        if attribute.name == name and attribute.value is not None:
            value = attribute.value.strip()
            return int(value) or None if _MILLISECONDS.fullmatch(value) else None
    return None


@lru_cache(_REMEMBERED)
def codec_attributes(
    payload_type: int,
    name: str,
    clock_rate: int,
    channels: int,
    fmtp: str | None,
    feedback: tuple[str, ...],
) -> tuple[Attribute, ...]:
    """The rtpmap, fmtp and rtcp-fb lines of one of our codecs; every call describes the same.

    The codec is given by its values: they hash without a call.
    """
    lines = [Attribute("rtpmap", str(Rtpmap(payload_type, name, clock_rate, channels)))]
    if fmtp is not None:
        lines.append(Attribute("fmtp", f"{payload_type} {fmtp}"))
    lines += [Attribute("rtcp-fb", f"{payload_type} {value}") for value in feedback]
    return tuple(lines)


class PayloadTypes:
    """The payload types of our codecs; a number is never remapped (RFC 3264 8.3.2)."""

    def __init__(self) -> None:
        self._codecs: dict[int, CodecKey] = {}
        self._current: dict[CodecKey, int] = {}

    def assign(self, codec: CodecCapability, offered: int | None = None) -> int | None:
        """The payload type of `codec`; `offered` is the remote's, taken if it is free.

        Returns None when every number of the session is taken.
        """
        key = _codec_key(codec.name, codec.clock_rate, codec.channels, codec.fmtp)
        preferred = (offered, self._current.get(key), codec.payload_type)
        for candidate in chain(preferred, _DYNAMIC):
            if candidate is not None and self._codecs.setdefault(candidate, key) == key:
                self._current[key] = candidate
                return candidate
        return None

    def current_number(self, codec: CodecCapability) -> int | None:
        """The payload type that `codec` had last; None if it never had one."""
        key = _codec_key(codec.name, codec.clock_rate, codec.channels, codec.fmtp)
        return self._current.get(key)
