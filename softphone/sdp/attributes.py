"""What attributes say: rtpmap, fmtp, ptime, crypto, rtcp and their kin, read and printed.

RFC 8866 section 6 (rtpmap, fmtp, ptime, maxptime, directions), RFC 4568 section 9 (crypto),
RFC 3605 (rtcp), RFC 5576 (ssrc), RFC 4585 (rtcp-fb).  Crypto lines are parsed, never judged:
`softphone.srtp.sdes` does that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from softphone.sdp.description import MediaDescription
from softphone.security import KeyMaterial

__all__ = [
    "Crypto",
    "CryptoLine",
    "Fmtp",
    "KeyParameter",
    "RtcpPort",
    "Rtpmap",
    "SsrcAttribute",
    "UnreadableCrypto",
    "read_crypto",
]


@dataclass(frozen=True, slots=True)
class Rtpmap:
    """`a=rtpmap` (RFC 8866 section 6.6)."""

    payload_type: int
    encoding_name: str
    clock_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, value: str) -> Rtpmap:
        """Read the attribute's value.  Raises MalformedDescription."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Fmtp:
    """`a=fmtp` (RFC 8866 section 6.15): the format's parameters, as written."""

    format: str
    parameters: str

    @classmethod
    def parse(cls, value: str) -> Fmtp:
        """Read the attribute's value.  Raises MalformedDescription."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.format} {self.parameters}"

    def get(self, name: str) -> str | None:
        """The value of one `name=value` parameter, its name compared without case."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RtcpPort:
    """`a=rtcp` (RFC 3605); `address` is None where the `c=` line holds."""

    port: int
    address: str | None = None

    @classmethod
    def parse(cls, value: str) -> RtcpPort:
        """Read the attribute's value.  Raises MalformedDescription."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SsrcAttribute:
    """`a=ssrc` (RFC 5576 section 4.1)."""

    ssrc: int
    attribute: str
    value: str | None = None

    @classmethod
    def parse(cls, value: str) -> SsrcAttribute:
        """Read the attribute's value.  Raises MalformedDescription."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class KeyParameter:
    """One key parameter of a crypto line (RFC 4568 section 6.1).

    `key` is the master key followed by the master salt; `lifetime` the most packets that it may
    protect, None when not said; `mki` the identifier's value and `mki_length` its bytes.
    """

    key: KeyMaterial
    lifetime: int | None = None
    mki: int | None = None
    mki_length: int = 0
    method: str = "inline"


@dataclass(frozen=True, slots=True)
class Crypto:
    """A parsed `a=crypto` line (RFC 4568 section 9.1).

    `repr` never shows a key; `wire()` alone prints it.  Equality is by identity of the keys.
    """

    tag: int
    suite_name: str
    key_params: tuple[KeyParameter, ...]
    session_params: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Read the attribute's value.  Raises MalformedDescription, its text without the key."""
        raise NotImplementedError

    def wire(self) -> str:
        """The attribute's value as it is sent, the key in clear."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class UnreadableCrypto:
    """An `a=crypto` line that does not follow the grammar; it disturbs no other line."""

    tag: int | None
    suite_name: str | None
    reason: str


CryptoLine = Crypto | UnreadableCrypto


def read_crypto(media: MediaDescription) -> tuple[CryptoLine, ...]:
    """Every crypto line of `media`, in order, readable or not."""
    raise NotImplementedError
