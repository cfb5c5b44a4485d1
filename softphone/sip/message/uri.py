"""SIP URIs, other URIs, and name-addr (RFC 3261 sections 19.1 and 20.10).

The parts of a URI are kept as written, with %-escapes, so that it prints as received;
`SipUri.equivalent` compares by meaning.  Host names are not resolved here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, Self, TypeAlias

from softphone.fast_dataclass import fast_init
from softphone.sip.message.grammar import (
    HOST,
    PARAMETERS,
    QUOTED_STRING,
    MalformedMessage,
    Parameterized,
    Parameters,
    drop_parameter,
    find_parameter,
    format_parameters,
    parse_parameters,
    quote,
    set_parameter,
    unique_parameters,
    unquote,
)

_ESCAPED = r"%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
# user-unreserved = "&" / "=" / "+" / "$" / "," / ";" / "?" / "/"; "#" is a digit of a
# telephone-subscriber (RFC 2806), which may replace the user.
_USER = rf"(?:[{_UNRESERVED}&=+$,;?/#]++|{_ESCAPED})++"
_PASSWORD = rf"(?:[{_UNRESERVED}&=+$,]++|{_ESCAPED})*+"
# paramchar = param-unreserved / unreserved / escaped
_PARAMCHARS = rf"(?:[{_UNRESERVED}\[\]/:&+$]++|{_ESCAPED})++"
# hname = 1*( hnv-unreserved / unreserved / escaped ), hvalue the same with *
_HEADER = (
    rf"(?:[{_UNRESERVED}\[\]/?:+$]++|{_ESCAPED})++=(?:[{_UNRESERVED}\[\]/?:+$]++|{_ESCAPED})*+"
)
_SIP_URI = re.compile(
    rf"(?P<scheme>[sS][iI][pP][sS]?):"
    rf"(?:(?P<user>{_USER})(?::(?P<password>{_PASSWORD}))?@)?"
    rf"(?P<host>{HOST})(?::(?P<port>[0-9]{{1,5}}+))?"
    rf"(?P<parameters>(?:;{_PARAMCHARS}(?:={_PARAMCHARS})?+)*+)"
    rf"(?:\?(?P<headers>{_HEADER}(?:&{_HEADER})*+))?"
)
_SIP_SCHEME = re.compile(r"[sS][iI][pP][sS]?:")
# absoluteURI = scheme ":" ( hier-part / opaque-part ): any visible ASCII but what delimits URIs.
_ABSOLUTE_URI = re.compile(r"([A-Za-z][A-Za-z0-9+\-.]*+):([!#-;=?-~]++)")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_NOT_USER = re.compile(rf"[^{_UNRESERVED}&=+$,;/]")

# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT
# display-name = *(token LWS) / quoted-string
# Lenient: an unquoted display name may contain non-ASCII characters, which many servers write; it
# is printed quoted.  Without brackets, "," ";" and "?" end the URI (RFC 3261 section 20.10).
_NAME_ADDR = re.compile(
    rf"[ \t]*+(?:(?:(?P<quoted>{QUOTED_STRING})[ \t]*+"
    r"|(?P<display>(?:[A-Za-z0-9\-.!%*_+`'~\u0080-\U0010ffff]++[ \t]*+)*+))"
    r"<(?P<uri>[^<>\"\s]++)>"
    r"|(?P<bare>[^<>\",;?\s]++))"
    rf"(?P<parameters>{PARAMETERS})"
)


def unescape(text: str) -> bytes:
    """Decode the %-escapes of a text; returns bytes (RFC 3261 section 25.1)."""
    if "%" not in text:
        return text.encode()
    pieces = _ESCAPE.split(text)
    return b"".join(
        bytes.fromhex(piece) if odd else piece.encode()
        for piece, odd in zip(pieces, (i % 2 for i in range(len(pieces))), strict=True)
    )


def escape_user(text: str) -> str:
    """Return plain text as the user part of a SIP URI, with %-escapes where necessary."""
    return _NOT_USER.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), text)


def parse_host(text: str) -> str:
    """Return the host without the brackets of an IPv6reference.

    Lenient: drops the third colon that RFC 3261's own grammar puts before an embedded IPv4 address
    (RFC 5118 section 4.10).  Raises MalformedMessage when the brackets hold no IPv6 address.
    """
    if not text.startswith("["):
        return text
    address = text[1:-1]
    if "." in address:
        address = address.replace(":::", "::")
    try:
        ipaddress.IPv6Address(address)
    except ValueError as error:
        raise MalformedMessage("Malformed IPv6 reference") from error
    return address


def format_host(host: str) -> str:
    """Return the host as written in a URI or Via: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


@fast_init
@dataclass(frozen=True, slots=True)
class SipUri:
    """A SIP or SIPS URI (RFC 3261 section 19.1).

    `scheme` is "sip" or "sips"; `user`, `password`, `parameters` and `headers` are as written, with
    %-escapes; `host` has no IPv6 brackets.  Equality is exact; `equivalent` compares by section
    19.1.4.
    """

    scheme: str
    user: str | None
    password: str | None = field(repr=False)
    host: str
    port: int | None = None
    parameters: Parameters = ()
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a SIP or SIPS URI.  Raises MalformedMessage."""
        match = _SIP_URI.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed SIP URI")
        return cls._from_match(match)

    @classmethod
    def _from_match(cls, match: re.Match[str]) -> Self:
        scheme, user, password, host, port, parameters, headers = match.groups()
        number: int | None = None
        if port is not None:
            number = int(port)
            if not 0 < number < 65536:
                raise MalformedMessage("Port out of range")
        return cls(
            scheme.lower(),
            user,
            password,
            parse_host(host),
            number,
            _parse_uri_parameters(parameters) if parameters else (),
            _parse_uri_headers(headers) if headers else (),
        )

    def __str__(self) -> str:
        text = f"{self.scheme}:"
        if self.user is not None:
            password = "" if self.password is None else f":{self.password}"
            text = f"{text}{self.user}{password}@"
        text += f"[{self.host}]" if ":" in self.host else self.host
        if self.port is not None:
            text = f"{text}:{self.port}"
        if self.parameters:
            text += format_parameters(self.parameters)
        if self.headers:
            text += "?" + "&".join(f"{name}={value}" for name, value in self.headers)
        return text

    @property
    def transport(self) -> str | None:
        """The transport parameter in lower case, or None."""
        value = self.parameter("transport")
        return None if value is None else value.lower()

    @property
    def secure(self) -> bool:
        """Whether the scheme is sips (RFC 3261 section 26.2.2)."""
        return self.scheme == "sips"

    def parameter(self, name: str) -> str | None:
        """Return the value of a parameter as written, "" without a value, None when absent."""
        return find_parameter(self.parameters, name.lower())

    def with_parameter(self, name: str, value: str | None = None) -> Self:
        """Return this URI with a parameter set; `value` is in wire format, escaped."""
        kept = drop_parameter(self.parameters, name)
        return self._with((*kept, (name, value)))

    def without_parameter(self, name: str) -> Self:
        """Return this URI without a parameter."""
        return self._with(drop_parameter(self.parameters, name))

    def _with(self, parameters: Parameters) -> Self:
        return type(self)(
            self.scheme, self.user, self.password, self.host, self.port, parameters, self.headers
        )

    def bare(self) -> Self:
        """Return scheme, user, host and port only, the form of an AOR (RFC 3261 10.3, step 5)."""
        return replace(self, password=None, parameters=(), headers=())

    def equivalent(self, other: SipUri | AbsoluteUri) -> bool:
        """Whether both URIs are equivalent (RFC 3261 section 19.1.4, RFC 5954 for IPv6)."""
        return (
            isinstance(other, SipUri)
            and self.scheme == other.scheme
            and self.port == other.port
            and _same_text(self.user, other.user)
            and _same_text(self.password, other.password)
            and _comparable_host(self.host) == _comparable_host(other.host)
            and _same_parameters(self.parameters, other.parameters)
            and _comparable_headers(self.headers) == _comparable_headers(other.headers)
        )


_LONGEST_ROUTE = 500


@dataclass(frozen=True, slots=True)
class AbsoluteUri:
    """Any other URI (RFC 3986), such as tel:, im: or http:; `rest` is opaque."""

    scheme: str
    rest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an absolute URI.  Raises MalformedMessage."""
        match = _ABSOLUTE_URI.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed URI")
        return cls(match[1].lower(), match[2])

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"

    def equivalent(self, other: SipUri | AbsoluteUri) -> bool:
        """Whether both URIs are the same text; the scheme is compared without case."""
        return self == other


Uri: TypeAlias = SipUri | AbsoluteUri


_REMEMBERED = 1024
"""The number of parsed URIs in the cache: the messages of a call repeat theirs."""
_MEMORABLE = 128
"""The longest URI that is cached, so that a peer cannot fill the memory."""


def parse_uri(text: str) -> Uri:
    """Parse a URI: a SipUri for sip: and sips:, else an AbsoluteUri.  Raises MalformedMessage."""
    return _remembered(text) if len(text) <= _MEMORABLE else _parse_uri(text)


def _parse_uri(text: str) -> Uri:
    match = _SIP_URI.fullmatch(text)
    if match is not None:
        return SipUri._from_match(match)
    if _SIP_SCHEME.match(text):
        raise MalformedMessage("Malformed SIP URI")
    return AbsoluteUri.parse(text)


_remembered = lru_cache(_REMEMBERED)(_parse_uri)


@fast_init
@dataclass(frozen=True, slots=True)
class NameAddr(Parameterized):
    """A display name, a URI and header parameters (name-addr / addr-spec, RFC 3261 section 20.10).

    `display_name` is plain text or None; `parameters` are those of the header field, not of the
    URI, with values as written.
    """

    display_name: str | None
    uri: Uri
    parameters: Parameters = ()

    KIND: ClassVar[str] = "address"

    @classmethod
    def parse_at(cls, text: str, position: int) -> tuple[Self, int]:
        """Parse the value at `position`; returns it and its end.  Raises MalformedMessage.

        :meta private:
        """
        match = _NAME_ADDR.match(text, position)
        if match is None:
            raise MalformedMessage("Malformed address")
        quoted, display, uri, bare, parameters = match.groups()
        name: str | None = None
        if quoted is not None:
            name = unquote(quoted)
        elif display:
            name = " ".join(display.split())
        return cls(name, parse_uri(uri or bare), parse_parameters(parameters)), match.end()

    def __str__(self) -> str:
        name = "" if self.display_name is None else quote(self.display_name) + " "
        rest = format_parameters(self.parameters) if self.parameters else ""
        return f"{name}<{self.uri}>{rest}"

    @property
    def tag(self) -> str | None:
        """The tag parameter (RFC 3261 section 19.3), or None."""
        # Runs at every dialog look-up; nearly always the tag comes first and is written like this.
        parameters = self.parameters
        if not parameters:
            return None
        name, value = parameters[0]
        if name == "tag" and value is not None and value[:1] != '"':
            return value
        return find_parameter(parameters, "tag")

    def _with(self, parameters: Parameters) -> Self:
        return type(self)(self.display_name, self.uri, parameters)

    def with_tag(self, tag: str) -> Self:
        """Return this value with the tag set."""
        parameters = set_parameter(self.parameters, "tag", tag)
        return type(self)(self.display_name, self.uri, parameters)


def _parse_uri_parameters(text: str) -> Parameters:
    found = []
    for item in text[1:].split(";"):
        name, equals, value = item.partition("=")
        found.append((name, value if equals else None))
    return unique_parameters(tuple(found)) if len(found) > 1 else (found[0],)


def _parse_uri_headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.partition("=") for item in text.split("&"))
    return tuple((name, value) for name, _, value in pairs)


def _same_text(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or unescape(one) == unescape(other)


def _comparable_host(host: str) -> str:
    if ":" in host:
        return ipaddress.IPv6Address(host).compressed
    return host.lower()


# "A user, ttl, or method uri-parameter appearing in only one URI never matches", nor does maddr.
# That sentence does not name transport, but its examples do.
_NEVER_IGNORED = frozenset({"user", "ttl", "method", "maddr", "transport"})


def _same_parameters(one: Parameters, other: Parameters) -> bool:
    mine = {unescape(name).lower(): value for name, value in one}
    theirs = {unescape(name).lower(): value for name, value in other}
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if unescape(mine[name] or "").lower() != unescape(theirs[name] or "").lower():
                return False
        elif name.decode("ascii", "replace") in _NEVER_IGNORED:
            return False
    return True


def _comparable_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return sorted((unescape(name).lower(), unescape(value)) for name, value in headers)


def parse_loose_route(text: str) -> NameAddr:
    """Parse a Route of one loose router, as a configuration gives it (RFC 3261 section 16.12).

    Raises MalformedMessage.
    """
    if len(text) > _LONGEST_ROUTE or not text.isprintable():
        raise MalformedMessage("A Route is one line of 500 characters at most")
    route = NameAddr.parse(text)
    uri = route.uri
    if not isinstance(uri, SipUri) or uri.headers:
        raise MalformedMessage("A Route names a SIP server")
    if not any(name.lower() == "lr" for name, _ in uri.parameters):
        raise MalformedMessage('A Route without "lr" names a strict router: those are not used')
    return route
