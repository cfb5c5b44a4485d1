"""Formats: codecs and the payload types that stand for them (RFC 3264 5.1, 6.1, 8.3.2; RFC 3551).

What we can do is a `MediaCapability`; what a remote m-line says is a row of `MediaFormat`s;
`PayloadTypes` keeps the numbers of ours for the life of a session.  H.264 is told apart by
profile and packetization mode (RFC 6184 section 8.2.2), every other codec by its name, clock rate
and channels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
    """One object for all sessions, which keep it."""
    return (name.lower(), clock_rate, channels, fmtp or "")


@fast_init
@dataclass(frozen=True, slots=True)
class CodecCapability:
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

    @property
    def key(self) -> CodecKey:
        """What makes it another codec than its neighbor."""
        return _codec_key(self.name, self.clock_rate, self.channels, self.fmtp)


@dataclass(frozen=True, slots=True)
class MediaCapability:
    """What we can do with one kind of media, codecs in order of preference.

    `profiles` are those that we accept; `ptimes_ms` are packet times that we can send, the
    preferred one first (it is also the one that we ask for); `maxptime_ms` is the most that we
    can receive, None leaves it unsaid.  `comfort_noise` says that we send it (RFC 3389).
    `extended_reports` are those that we would like to get, as `a=rtcp-xr` has them (RFC 3611 5.1).
    """

    media: str
    codecs: tuple[CodecCapability, ...]
    profiles: tuple[str, ...] = ("RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF")
    telephone_event: bool = False
    comfort_noise: bool = False
    ptimes_ms: tuple[int, ...] = (20,)
    maxptime_ms: int | None = None
    extended_reports: str = ""


@fast_init
@dataclass(frozen=True, slots=True)
class NegotiatedCodec:
    """A codec both sides have: send with the remote's payload type, receive on ours.

    `fmtp` is the remote's (what it wants to receive), `receive_fmtp` ours; `feedback` the rtcp-fb
    values that both named.
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
    """Named telephone events (RFC 4733) as agreed; `events` as the remote lists them."""

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

    @property
    def telephone_event(self) -> bool:
        """Whether it is telephone-event."""
        return self.name.lower() == TELEPHONE_EVENT


_DESCRIBING = frozenset({"rtpmap", "fmtp", "rtcp-fb"})
_REMEMBERED = 64
"""Sets of formats that are kept read: the calls of one server have the same few."""


def read_formats(media: MediaDescription) -> tuple[MediaFormat, ...]:
    """The formats of an RTP m-line in its order; those that nothing describes are left out."""
    attributes_read = tuple([(a.name, a.value) for a in media.attributes if a.name in _DESCRIBING])
    return _formats(media.formats, attributes_read)


@lru_cache(_REMEMBERED)
def _formats(
    formats: tuple[str, ...], attributes_read: tuple[tuple[str, str | None], ...]
) -> tuple[MediaFormat, ...]:
    """What `attributes_read`, names and values of attributes that describe formats, makes of
    them."""
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
            # One bad attribute makes its own format unknown and disturbs no other.
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
    """profile_idc and packetization mode, with the defaults of RFC 6184 section 8.1."""
    fmtp = Fmtp("", parameters or "")
    profile = fmtp.parameter("profile-level-id") or ""
    idc = int(profile[:2], 16) if _PROFILE_LEVEL_ID.fullmatch(profile) else 0x42
    return idc, fmtp.parameter("packetization-mode") or "0"


def common_codecs(
    capability: MediaCapability, formats: Sequence[MediaFormat]
) -> tuple[tuple[CodecCapability, MediaFormat], ...]:
    """The codecs that both have, in the remote's order (RFC 3264 section 6.1), each once."""
    left = list(capability.codecs)
    found: list[tuple[CodecCapability, MediaFormat]] = []
    for fmt in formats:
        codec = next((codec for codec in left if _matches(codec, fmt)), None)
        if codec is not None:
            left.remove(codec)
            found.append((codec, fmt))
    return tuple(found)


def packet_time(capability: MediaCapability, media: MediaDescription) -> int:
    """The packet time that we send, in milliseconds: what the remote asks for, if we can.

    Its ptime is a wish and its maxptime a limit (RFC 8866 sections 6.4, 6.5); a value that we
    cannot send gives the largest of ours below it, else our smallest.
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
    value = next(media.attribute_values(name), "").strip()
    return int(value) or None if _MILLISECONDS.fullmatch(value) else None


def codec_attributes(codec: CodecCapability, payload_type: int) -> list[Attribute]:
    """The rtpmap, fmtp and rtcp-fb lines of one of our codecs."""
    rtpmap = Rtpmap(payload_type, codec.name, codec.clock_rate, codec.channels)
    lines = [Attribute("rtpmap", str(rtpmap))]
    if codec.fmtp is not None:
        lines.append(Attribute("fmtp", f"{payload_type} {codec.fmtp}"))
    lines += [Attribute("rtcp-fb", f"{payload_type} {value}") for value in codec.feedback]
    return lines


class PayloadTypes:
    """Which payload type stands for which of our codecs: never remapped (RFC 3264 8.3.2)."""

    def __init__(self) -> None:
        self._codecs: dict[int, CodecKey] = {}
        self._current: dict[CodecKey, int] = {}

    def assign(self, codec: CodecCapability, offered: int | None = None) -> int | None:
        """The number of `codec`; `offered` is the remote's, which is taken if it is free.

        None when every number of the session is taken.
        """
        key = codec.key
        for candidate in self._candidates(codec, offered):
            if self._codecs.setdefault(candidate, key) == key:
                self._current[key] = candidate
                return candidate
        return None

    def _candidates(self, codec: CodecCapability, offered: int | None) -> Iterator[int]:
        if offered is not None:
            yield offered
        current = self._current.get(codec.key)
        if current is not None:
            yield current
        if codec.payload_type is not None:
            yield codec.payload_type
        yield from _DYNAMIC

    def current_number(self, codec: CodecCapability) -> int | None:
        """The number that `codec` had last."""
        return self._current.get(codec.key)
