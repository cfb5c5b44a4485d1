"""Session descriptions: what SDP says, parsed and printed (RFC 8866).

`SessionDescription.parse` takes hostile bytes: every length is bounded, every number is checked
before it is converted, and the only exception is `MalformedDescription`.  Attributes are kept as
they are written; `softphone.sdp.attributes` reads them, and nothing here judges an offer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from softphone.errors import SoftphoneError
from softphone.events import Direction

__all__ = [
    "Attribute",
    "Bandwidth",
    "Connection",
    "DescriptionLimits",
    "MalformedDescription",
    "MediaDescription",
    "Origin",
    "SessionDescription",
    "Time",
]


class MalformedDescription(SoftphoneError):
    """The bytes are no session description that we may act on; the sentence says where and why.

    The text never holds the value of a key-carrying line.
    """


@dataclass(frozen=True, slots=True)
class DescriptionLimits:
    """How large a description may be before it is refused unread."""

    size: int = 65_536
    lines: int = 2_048
    line_length: int = 8_192
    media: int = 32
    attributes: int = 512
    formats: int = 128


DEFAULT_LIMITS = DescriptionLimits()


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line (RFC 8866 section 5.2)."""

    username: str
    session_id: str
    session_version: int
    network_type: str = "IN"
    address_type: str = "IP4"
    address: str = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Connection:
    """A `c=` line (RFC 8866 section 5.7); `suffix` is a multicast address's "/ttl/count"."""

    address: str
    address_type: str = "IP4"
    network_type: str = "IN"
    suffix: str = ""

    @property
    def on_hold(self) -> bool:
        """Whether the address is unspecified: the hold of RFC 2543 (RFC 3264 section 8.4)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A `b=` line (RFC 8866 section 5.8), in the unit of its type."""

    type: str
    value: int


@dataclass(frozen=True, slots=True)
class Time:
    """A `t=` line (RFC 8866 section 5.9) with its `r=` lines; NTP seconds, 0 unbounded."""

    start: int = 0
    stop: int = 0
    repeats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Attribute:
    """An `a=` line (RFC 8866 section 5.13); `value` is None for a property attribute."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """An `m=` line and what belongs to it (RFC 8866 section 5.14).

    `port` 0 is a stream refused or removed (RFC 3264 section 6); `formats` are payload types as
    text, or tokens where the protocol is not RTP.
    """

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    title: str | None = None
    connections: tuple[Connection, ...] = ()
    bandwidth: tuple[Bandwidth, ...] = ()
    attributes: tuple[Attribute, ...] = ()

    @property
    def connection(self) -> Connection | None:
        """Its own first `c=` line; see `SessionDescription.connection_of`."""
        return self.connections[0] if self.connections else None

    @property
    def direction(self) -> Direction | None:
        """Its own direction attribute; see `SessionDescription.direction_of`."""
        raise NotImplementedError

    def values(self, name: str) -> Iterator[str]:
        """The values of its attributes of that name, in order."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        """Whether it has an attribute of that name."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    session_name: str = "-"
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    connection: Connection | None = None
    bandwidth: tuple[Bandwidth, ...] = ()
    times: tuple[Time, ...] = (Time(),)
    zone: str | None = None
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(
        cls, data: bytes, *, limits: DescriptionLimits = DEFAULT_LIMITS
    ) -> SessionDescription:
        """Read a description.  Raises MalformedDescription, nothing else."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """The description as it goes on the wire, CRLF line ends, keys in clear."""
        raise NotImplementedError

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The `c=` line that holds for `media`: its own, else the session's."""
        return media.connection or self.connection

    def direction_of(self, media: MediaDescription) -> Direction:
        """The direction that holds for `media`, as its author sees it (RFC 8866 section 6.7)."""
        raise NotImplementedError
