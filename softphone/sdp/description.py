"""Session descriptions: parsing and printing SDP (RFC 8866).

`SessionDescription.parse` takes hostile bytes: every length is bounded, every number is checked
before it is converted, and the only exception is `MalformedDescription`.  Attributes are kept as
written; `softphone.sdp.attributes` parses them, and `softphone.sdp.offer_answer` judges offers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import itemgetter

from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.events import Direction
from softphone.fast_dataclass import fast_init


class MalformedDescription(SoftphoneError):
    """The bytes are no usable session description; the text says where and why.

    The text never contains the value of a line that carries a key.
    """

    _hint = "look at the message in the log of softphone.sip: its sender breaks the grammar"


@dataclass(frozen=True, slots=True)
class DescriptionLimits:
    """Limits beyond which a description is refused: `size` (octets), `line_length` (characters)."""

    size: int = 65_536
    lines: int = 2_048
    line_length: int = 8_192
    media: int = 32
    attributes: int = 512
    formats: int = 128


DEFAULT_LIMITS = DescriptionLimits()

# RFC 8866 section 9: token, and the characters that no field may hold.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+")
_BREAK = re.compile(r"[\r\n\0]")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_\-.]{1,253}")
_PROTOCOL = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+(?:/[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+)*")
_PORT = re.compile(r"([0-9]{1,5})(?:/([0-9]{1,4}))?")
_SUFFIX = re.compile(r"(?:/[0-9]{1,5}){1,2}")
_VISIBLE = re.compile(r"[!-~]+")
_SECRET_ATTRIBUTES = frozenset({"crypto", "ice-pwd", "key-mgmt"})
_PAYLOAD_TYPES = frozenset(map(str, range(128)))
_DIRECTIONS = {direction.value: direction for direction in Direction}


@fast_init
@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line (RFC 8866 section 5.2)."""

    username: str
    session_id: str
    session_version: int
    network_type: str = "IN"
    address_type: str = "IP4"
    address: str = "0.0.0.0"


@fast_init
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
        return self.address in ("0.0.0.0", "::")

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A `b=` line (RFC 8866 section 5.8); the unit depends on its type."""

    type: str
    value: int

    def __str__(self) -> str:
        return f"{self.type}:{self.value}"


@dataclass(frozen=True, slots=True)
class TimeDescription:
    """A `t=` line (RFC 8866 section 5.9) with its `r=` lines; NTP seconds, 0 is unbounded."""

    start: int = 0
    stop: int = 0
    repeats: tuple[str, ...] = ()


_UNBOUNDED = TimeDescription()
"""The time of a session that begins and ends by signaling (RFC 3264 section 5)."""


@fast_init
@dataclass(frozen=True, slots=True, repr=False)
class Attribute:
    """An `a=` line (RFC 8866 section 5.13); `value` is None for a property attribute."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"

    def __repr__(self) -> str:
        value = "'<secret>'" if self.name.lower() in _SECRET_ATTRIBUTES else repr(self.value)
        return f"Attribute(name={self.name!r}, value={value})"


@fast_init
@dataclass(frozen=True, slots=True)
class MediaDescription:
    """An `m=` line and the lines that follow it (RFC 8866 section 5.14).

    With `port` 0 the stream is refused or removed (RFC 3264 section 6).  `formats` are payload
    types as text, or tokens where the protocol is not RTP.
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
        """The m-line's own first `c=` line; see `SessionDescription.connection_of`."""
        return self.connections[0] if self.connections else None

    @property
    def direction(self) -> Direction | None:
        """The m-line's own direction attribute; see `SessionDescription.direction_of`."""
        return _direction_in(self.attributes)

    def attribute_values(self, name: str) -> Iterator[str]:
        """The values of all attributes called `name`, in order."""
        for attribute in self.attributes:
            if attribute.name == name and attribute.value is not None:
                yield attribute.value

    def has_attribute(self, name: str) -> bool:
        """Whether there is an attribute called `name`."""
        return any(attribute.name == name for attribute in self.attributes)


@fast_init
@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session description (RFC 8866 section 5): session-level lines and m-lines."""

    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    session_name: str = "-"
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    connection: Connection | None = None
    bandwidth: tuple[Bandwidth, ...] = ()
    times: tuple[TimeDescription, ...] = (_UNBOUNDED,)
    zone: str | None = None
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(
        cls, data: bytes, *, limits: DescriptionLimits = DEFAULT_LIMITS
    ) -> SessionDescription:
        """Parse a description.  Raises MalformedDescription and nothing else."""
        reader = _DescriptionReader(limits)
        reader.read(_lines(data, limits))
        return reader.description()

    def encode(self) -> bytes:
        """Encode the description for the wire, with CRLF line ends and keys in clear.

        Raises LocalProtocolError when one of our fields contains a line end or NUL.
        """
        lines = _session_lines(self)
        for media in self.media:
            lines += _media_lines(media)
        if _BREAK.search("".join(lines)):
            raise LocalProtocolError("a field of the session description holds a line end or NUL")
        return ("\r\n".join(lines) + "\r\n").encode()

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The `c=` line that applies to `media`: its own, else the session's."""
        return media.connections[0] if media.connections else self.connection

    def direction_of(self, media: MediaDescription) -> Direction:
        """The direction that applies to `media`, as its sender sees it (RFC 8866 section 6.7)."""
        return (
            _direction_in(media.attributes) or _direction_in(self.attributes) or Direction.SENDRECV
        )


def _direction_in(attributes: Iterable[Attribute]) -> Direction | None:
    for attribute in attributes:
        if attribute.value is None and attribute.name in _DIRECTIONS:
            return _DIRECTIONS[attribute.name]
    return None


# Printing ---------------------------------------------------------------------------------------


def _session_lines(description: SessionDescription) -> list[str]:
    o = description.origin
    origin = f"{o.username} {o.session_id} {o.session_version} {o.network_type} {o.address_type}"
    lines = ["v=0", f"o={origin} {o.address}", f"s={description.session_name}"]
    if description.information is not None:
        lines.append(f"i={description.information}")
    if description.uri is not None:
        lines.append(f"u={description.uri}")
    lines += map("e={}".format, description.emails)
    lines += map("p={}".format, description.phones)
    if description.connection is not None:
        lines.append(f"c={description.connection}")
    lines += map("b={}".format, description.bandwidth)
    for time in description.times:
        lines.append(f"t={time.start} {time.stop}")
        lines += map("r={}".format, time.repeats)
    if description.zone is not None:
        lines.append(f"z={description.zone}")
    return lines + _attribute_lines(description.attributes)


def _media_lines(media: MediaDescription) -> list[str]:
    port = str(media.port) if media.port_count == 1 else f"{media.port}/{media.port_count}"
    lines = [f"m={media.media} {port} {media.protocol} {' '.join(media.formats)}"]
    if media.title is not None:
        lines.append(f"i={media.title}")
    lines += map("c={}".format, media.connections)
    lines += map("b={}".format, media.bandwidth)
    return lines + _attribute_lines(media.attributes)


def _attribute_lines(attributes: tuple[Attribute, ...]) -> list[str]:
    return [f"a={a.name}" if a.value is None else f"a={a.name}:{a.value}" for a in attributes]


# Parsing ----------------------------------------------------------------------------------------


def _lines(data: bytes, limits: DescriptionLimits) -> list[str]:
    """Split bounded input into lines.  A lone LF also ends a line (RFC 8866 section 5)."""
    if len(data) > limits.size:
        raise MalformedDescription(f"the description is larger than {limits.size} bytes")
    lines = data.decode("utf-8", errors="replace").rstrip("\r\n").split("\n")
    if len(lines) > limits.lines:
        raise MalformedDescription(f"the description has more than {limits.lines} lines")
    if max(map(len, lines)) > limits.line_length:
        raise MalformedDescription(f"a line is longer than {limits.line_length} characters")
    lines = [line.removesuffix("\r") for line in lines]
    if _BREAK.search("".join(lines)):
        raise MalformedDescription("a line holds a CR or a NUL")
    return lines


def bounded_number(text: str, *, largest: int, what: str) -> int:
    """Parse ASCII decimal digits with a value up to `largest`.  Raises MalformedDescription."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20) or int(text) > largest:
        raise MalformedDescription(f"{what} is not a number from 0 to {largest}")
    return int(text)


def _address(address_type: str, address: str, *, what: str) -> str:
    """Check an address of network type IN: numeric of its family, or a host name."""
    if address_type == "IP4" and _IPV4.fullmatch(address):
        return address
    try:
        if address_type == "IP4":
            ipaddress.IPv4Address(address)
        else:
            ipaddress.IPv6Address(address)
    except ValueError:
        if not _HOST_NAME.fullmatch(address):
            raise MalformedDescription(f"{what} holds no {address_type} address") from None
    if "%" in address:
        raise MalformedDescription(f"{what} holds an address with a zone")
    return address


def _origin(value: str) -> Origin:
    # Some peers put spaces into the user name; the five fields after it contain none.
    fields = value.rsplit(maxsplit=5)
    if len(fields) != 6 or not _VISIBLE.fullmatch("".join(fields[1:])):
        raise MalformedDescription("the o= line has not its six fields")
    username, session_id, version, network_type, address_type, address = fields
    return Origin(
        username=username.strip(),
        session_id=session_id,
        session_version=bounded_number(version, largest=2**64 - 1, what="the version in o="),
        network_type=network_type,
        address_type=address_type,
        address=address,
    )


@lru_cache(256)
def _connection(value: str) -> Connection:
    """Parse a c= line; cached, since a peer's lines repeat from call to call."""
    fields = value.split()
    if len(fields) != 3 or not _VISIBLE.fullmatch("".join(fields)):
        raise MalformedDescription("the c= line has not its three fields")
    network_type, address_type, rest = fields
    if network_type != "IN":
        return Connection(rest, address_type, network_type)
    if address_type not in ("IP4", "IP6"):
        raise MalformedDescription("the c= line has an unknown address type")
    address, slash, suffix = rest.partition("/")
    if slash and not _SUFFIX.fullmatch(slash + suffix):
        raise MalformedDescription("the c= line has a bad multicast suffix")
    return Connection(
        _address(address_type, address, what="the c= line"), address_type, "IN", slash + suffix
    )


def _bandwidth(value: str) -> Bandwidth:
    kind, colon, amount = value.strip().partition(":")
    if not colon or not _TOKEN.fullmatch(kind):
        raise MalformedDescription("the b= line has no type")
    return Bandwidth(kind, bounded_number(amount.strip(), largest=2**53, what="the bandwidth"))


def _time(value: str) -> TimeDescription:
    if value == "0 0":  # nearly always, in calls
        return _UNBOUNDED
    fields = value.split()
    if len(fields) != 2:
        raise MalformedDescription("the t= line has not its two fields")
    start, stop = [bounded_number(text, largest=2**64 - 1, what="a time") for text in fields]
    return TimeDescription(start, stop)


def _formats(protocol: str, formats: list[str], limits: DescriptionLimits) -> tuple[str, ...]:
    if not formats or len(formats) > limits.formats:
        raise MalformedDescription("the m= line has no format, or too many")
    if "RTP/" in protocol.upper():
        return tuple(
            [
                text
                if text in _PAYLOAD_TYPES
                else str(bounded_number(text, largest=127, what="a format"))
                for text in formats
            ]
        )
    if not all(_TOKEN.fullmatch(text) for text in formats):
        raise MalformedDescription("the m= line has a format that is no token")
    return tuple(formats)


def _media(value: str, limits: DescriptionLimits) -> MediaDescription:
    fields = value.split()
    if len(fields) < 4 or not _TOKEN.fullmatch(fields[0]) or not _PROTOCOL.fullmatch(fields[2]):
        raise MalformedDescription("the m= line has not its fields")
    port = _PORT.fullmatch(fields[1])
    if port is None:
        raise MalformedDescription("the m= line has no port")
    return MediaDescription(
        media=fields[0],
        port=bounded_number(port[1], largest=65535, what="the port in m="),
        port_count=int(port[2]) if port[2] else 1,
        protocol=fields[2],
        formats=_formats(fields[2], fields[3:], limits),
    )


_REPEATED = frozenset({"rtpmap", "fmtp", "ptime", "maxptime", "rtcp-xr", *_DIRECTIONS})
"""The names of attributes whose values are alike in most calls; none of them holds a key."""

_attribute_kept = lru_cache(256)(Attribute)


class _DescriptionReader:
    """Parses a description line by line.

    A letter that RFC 8866 does not define refuses the whole description (section 5).  Order within
    a section is not enforced, because `b=` and `a=` often come early, but `v=` comes first and no
    session-level line follows an `m=` line.
    """

    def __init__(self, limits: DescriptionLimits) -> None:
        self._limits = limits
        self._session: dict[str, list[str]] = {}
        self._times: list[tuple[TimeDescription, list[str]]] = []
        self._attributes: list[Attribute] = []
        self._media: list[_MediaDescriptionBuilder] = []

    def read(self, lines: list[str]) -> None:
        """Parse all lines.  Raises MalformedDescription."""
        attributes, most = self._attributes, self._limits.attributes
        for number, line in enumerate(lines, start=1):
            try:
                if line[:2] != "a=":
                    self._read_line(line)
                    attributes = self._media[-1].attributes if self._media else self._attributes
                    continue
                # Most lines are attributes: they cost no call of a method.
                if not self._session:
                    raise MalformedDescription("a description begins with v=0")
                if len(attributes) == most:
                    raise MalformedDescription(f"there are more than {most} a= lines")
                name, colon, value = line[2:].partition(":")
                name = name.strip()
                if not _TOKEN.fullmatch(name):
                    raise MalformedDescription("the a= line has no name")
                make = _attribute_kept if name in _REPEATED and len(value) <= 64 else Attribute
                attributes.append(make(name, value if colon else None))
            except MalformedDescription as error:
                raise MalformedDescription(f"line {number}: {error}") from None

    def _read_line(self, line: str) -> None:
        """Parse one line that is no attribute."""
        letter, value = line[:1], line[2:]
        if not line and not self._session:
            return  # some peers send an extra blank line between header fields and body
        if line[1:2] != "=" or letter not in "vosiuepcbtrzkam":
            raise MalformedDescription("it is not a letter of SDP followed by =")
        if not self._session and not (letter == "v" and value.strip() == "0"):
            raise MalformedDescription("a description begins with v=0")
        if letter == "m":
            self._begin_media(value)
        elif self._media:
            self._read_media(letter, value)
        elif letter == "t":
            self._times.append((_time(value), []))
        elif letter == "r":
            self._repeat(value)
        elif letter != "k":
            seen = self._session.setdefault(letter, [])
            if seen and letter not in "epb":
                raise MalformedDescription(f"there is a second {letter}= line")
            seen.append(value)

    def _begin_media(self, value: str) -> None:
        if len(self._media) == self._limits.media:
            raise MalformedDescription(f"there are more than {self._limits.media} m= lines")
        self._media.append(_MediaDescriptionBuilder(_media(value, self._limits)))

    def _read_media(self, letter: str, value: str) -> None:
        media = self._media[-1]
        if letter == "c":
            media.connections.append(_connection(value))
        elif letter == "b":
            media.bandwidth.append(_bandwidth(value))
        elif letter == "i":
            media.title = value
        elif letter != "k":  # k= is obsolete and is discarded (section 5.12)
            raise MalformedDescription(f"{letter}= cannot stand behind an m= line")

    def _repeat(self, value: str) -> None:
        if not self._times:
            raise MalformedDescription("an r= line belongs behind a t= line")
        self._times[-1][1].append(value)

    def description(self) -> SessionDescription:
        """The parsed description.  Raises MalformedDescription when the o= line is missing.

        A missing s= or t= line is accepted: neither has a meaning in a call (RFC 3264 section 5).
        """
        if not self._session:
            raise MalformedDescription("a description begins with v=0")
        if "o" not in self._session:
            raise MalformedDescription("there is no o= line")
        first = dict(zip(self._session, map(itemgetter(0), self._session.values()), strict=True))
        connection = first.get("c")
        return SessionDescription(
            origin=_origin(first["o"]),
            media=tuple(map(_MediaDescriptionBuilder.build, self._media)),
            session_name=first.get("s") or "-",
            information=first.get("i"),
            uri=first.get("u"),
            emails=tuple(self._session.get("e", ())),
            phones=tuple(self._session.get("p", ())),
            connection=None if connection is None else _connection(connection),
            bandwidth=tuple(map(_bandwidth, self._session.get("b", ()))),
            times=tuple(
                [
                    replace(time, repeats=tuple(repeats)) if repeats else time
                    for time, repeats in self._times
                ]
            )
            or (_UNBOUNDED,),
            zone=first.get("z"),
            attributes=tuple(self._attributes),
        )


@dataclass(slots=True)
class _MediaDescriptionBuilder:
    """An m= line and the lines that have followed it so far."""

    head: MediaDescription
    title: str | None = None
    connections: list[Connection] = field(default_factory=list)
    bandwidth: list[Bandwidth] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)

    def build(self) -> MediaDescription:
        """The finished description."""
        head = self.head
        more = tuple(self.connections), tuple(self.bandwidth), tuple(self.attributes)
        return MediaDescription(
            head.media, head.port, head.protocol, head.formats, head.port_count, self.title, *more
        )
