"""Parses and prints SDP attribute values: rtpmap, fmtp, ptime, crypto, rtcp and others.

RFC 8866 section 6 (rtpmap, fmtp, ptime, maxptime, directions), RFC 4568 section 9 (crypto),
RFC 3605 (rtcp), RFC 4585 (rtcp-fb).  Crypto lines are parsed, never judged:
`softphone.srtp.sdes` does that.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from softphone.fast_dataclass import fast_init
from softphone.sdp.description import (
    Attribute,
    MalformedDescription,
    MediaDescription,
    bounded_number,
)
from softphone.security import KeyMaterial

_RTPMAP = re.compile(r"([0-9]{1,3})[ ]+([!-.0-~]{1,64})/([0-9]{1,10})(?:/([0-9]{1,3}))?")
_RTCP = re.compile(r"([0-9]{1,5})(?: +IN +IP[46] +([!-~]{1,255}))?")
# RFC 4568 section 9.1: tag, suite, key parameters, session parameters.
_CRYPTO_HEAD = re.compile(r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]{1,64})(?![A-Za-z0-9_])")
_CRYPTO = re.compile(_CRYPTO_HEAD.pattern + r"[ \t]+([!-~]{1,4096})((?:[ \t]+[!-~]{1,256}){0,32})")
_METHOD = re.compile(r"[A-Za-z0-9_\-]{1,32}")
_LIFETIME = re.compile(r"(?:2\^([0-9]{1,2})|([0-9]{1,20}))")
_MKI = re.compile(r"([0-9]{1,38}):([0-9]{1,3})")


@fast_init
@dataclass(frozen=True, slots=True)
class Rtpmap:
    """An `a=rtpmap` attribute (RFC 8866 section 6.6)."""

    payload_type: int
    encoding_name: str
    clock_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, value: str) -> Rtpmap:
        """Parse the attribute's value.  Raises MalformedDescription."""
        match = _RTPMAP.fullmatch(value.strip())
        if match is None:
            raise MalformedDescription("the rtpmap attribute is malformed")
        payload_type, name, rate, channels = match.groups()
        return cls(
            bounded_number(payload_type, largest=127, what="the payload type in rtpmap"),
            name,
            bounded_number(rate, largest=2**32 - 1, what="the clock rate in rtpmap"),
            int(channels or "1"),
        )

    def __str__(self) -> str:
        suffix = "" if self.channels == 1 else f"/{self.channels}"
        return f"{self.payload_type} {self.encoding_name}/{self.clock_rate}{suffix}"


@dataclass(frozen=True, slots=True)
class Fmtp:
    """An `a=fmtp` attribute (RFC 8866 section 6.15): the format's parameters, as written."""

    format: str
    parameters: str

    @classmethod
    def parse(cls, value: str) -> Fmtp:
        """Parse the attribute's value.  Raises MalformedDescription."""
        fmt, _, parameters = value.strip().partition(" ")
        if not parameters.strip():
            raise MalformedDescription("the fmtp attribute is malformed")
        return cls(fmt, parameters.strip())

    def __str__(self) -> str:
        return f"{self.format} {self.parameters}"

    def parameter(self, name: str) -> str | None:
        """The value of one `name=value` parameter, None if absent; names are case-insensitive."""
        for part in self.parameters.split(";"):
            key, equals, value = part.partition("=")
            if equals and key.strip().lower() == name.lower():
                return value.strip()
        return None


@dataclass(frozen=True, slots=True)
class RtcpPort:
    """An `a=rtcp` attribute (RFC 3605); with `address` None the `c=` line applies."""

    port: int
    address: str | None = None

    @classmethod
    def parse(cls, value: str) -> RtcpPort:
        """Parse the attribute's value.  Raises MalformedDescription."""
        match = _RTCP.fullmatch(value.strip())
        if match is None:
            raise MalformedDescription("the rtcp attribute is malformed")
        port = bounded_number(match[1], largest=65535, what="the port in rtcp")
        return cls(port, match[2])


@fast_init
@dataclass(frozen=True, slots=True)
class KeyParameter:
    """One key parameter of a crypto line (RFC 4568 section 6.1).

    `key` is the master key followed by the master salt.  `lifetime` is the most packets that the
    key may protect, None when not given.  `mki` is the identifier's value, `mki_length` its octets.
    """

    key: KeyMaterial
    lifetime: int | None = None
    mki: int | None = None
    mki_length: int = 0
    method: str = "inline"

    @property
    def mki_octets(self) -> bytes:
        """The identifier as packets carry it, b"" for none.  Raises OverflowError if too long."""
        return b"" if self.mki is None else self.mki.to_bytes(self.mki_length, "big")


@fast_init
@dataclass(frozen=True, slots=True)
class Crypto:
    """A parsed `a=crypto` line (RFC 4568 section 9.1).

    `tag` is compared as a number and printed as `tag_digits`, the digits it was parsed from ("01"
    and "1" are one tag, and an answer repeats what was offered).
    `repr` never shows a key; only `to_wire()` prints it.  Keys are compared by identity.
    """

    tag: int
    suite_name: str
    key_params: tuple[KeyParameter, ...]
    session_params: tuple[str, ...] = ()
    tag_digits: str = ""

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Parse the attribute's value.  Raises MalformedDescription, whose text omits the key."""
        match = _CRYPTO.fullmatch(value.strip())
        if match is None:
            raise MalformedDescription("the crypto attribute is malformed")
        return cls(
            tag=int(match[1]),
            suite_name=match[2],
            key_params=tuple(map(_key_parameter, match[3].split(";"))),
            session_params=tuple(match[4].split()),
            tag_digits=match[1],
        )

    def to_wire(self) -> str:
        """The attribute's value for the wire, with the key in clear."""
        keys = []
        for one in self.key_params:
            key = binascii.b2a_base64(one.key.reveal(), newline=False).decode()
            fields = [f"{one.method}:{key}"]
            if one.lifetime is not None:
                power = one.lifetime.bit_length() - 1
                exact = one.lifetime == 1 << power and power > 0
                fields.append(f"2^{power}" if exact else str(one.lifetime))
            if one.mki is not None:
                fields.append(f"{one.mki}:{one.mki_length}")
            keys.append("|".join(fields))
        head = self.tag_digits or str(self.tag), self.suite_name, ";".join(keys)
        return " ".join((*head, *self.session_params))


@dataclass(frozen=True, slots=True)
class UnreadableCrypto:
    """An `a=crypto` line with bad syntax; the other lines stay usable."""

    tag: int | None
    suite_name: str | None
    reason: str


CryptoLine: TypeAlias = Crypto | UnreadableCrypto

_MISPLACED = UnreadableCrypto(
    None, None, "the crypto attribute stands before the first m-line and holds for none"
)


def read_crypto(
    media: MediaDescription, session: Iterable[Attribute] = ()
) -> tuple[CryptoLine, ...]:
    """Every crypto line of `media`, in order, readable or not.

    If `media` has none, the crypto attributes of the `session` are returned in its place; none of
    them may be used (RFC 4568 section 5.1.1 allows the attribute at the media level only).
    """
    lines: list[CryptoLine] = []
    for each in media.attributes:
        if each.name == "crypto" and each.value is not None:
            try:
                lines.append(Crypto.parse(each.value))
            except MalformedDescription as error:
                lines.append(_unreadable(each.value, str(error)))
    return tuple(lines or [_MISPLACED for each in session if each.name == "crypto"])


def _unreadable(value: str, reason: str) -> UnreadableCrypto:
    head = _CRYPTO_HEAD.match(value.strip())
    if head is None:
        return UnreadableCrypto(None, None, reason)
    return UnreadableCrypto(int(head[1]), head[2], reason)


def _key_parameter(text: str) -> KeyParameter:
    """Parse `method:key||salt|lifetime|MKI:length` (RFC 4568 section 9.2)."""
    method, colon, info = text.partition(":")
    if not colon or not _METHOD.fullmatch(method):
        raise MalformedDescription("a key parameter of the crypto attribute has no method")
    encoded, *rest = info.split("|")
    lifetime: int | None = None
    if rest and ":" not in rest[0]:
        lifetime = _lifetime(rest.pop(0))
    mki, mki_length = _mki(rest.pop(0)) if rest else (None, 0)
    if rest:
        raise MalformedDescription("a key parameter of the crypto attribute has too many fields")
    # Padding is optional, because some phones omit it; all else of base64 is strict.
    bare = encoded.rstrip("=")
    try:
        if len(encoded) - len(bare) > 2 or not bare:
            raise ValueError
        key = binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except ValueError:
        raise MalformedDescription("the key of the crypto attribute is not base64") from None
    return KeyParameter(KeyMaterial(key), lifetime, mki, mki_length, method.lower())


def _lifetime(text: str) -> int:
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise MalformedDescription("the lifetime in the crypto attribute is malformed")
    power, plain = match.groups()
    return 1 << int(power) if power else int(plain)


def _mki(text: str) -> tuple[int, int]:
    match = _MKI.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 128:
        raise MalformedDescription("the MKI in the crypto attribute is malformed")
    return int(match[1]), int(match[2])
