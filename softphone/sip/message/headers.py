"""The header fields of messages: the table of known ones, their types, and `Headers`, the text.

One row of the table declares a field: name, compact form, multiplicity and type.  It determines
the spelling of the name, whether a second field makes a message malformed, what the parser checks,
and, for the attributes of `FieldAccess`, the typed value of a message.  An unknown field is kept
and printed as received.

A malformed strict field raises MalformedMessage, and so does a missing required one.  The parser
reads them all, so they never raise for a received message.  Any other malformed field counts as
absent and never raises (RFC 3261 section 16.3 asks for that where a field is not needed).

RFC 3261 sections 7.3 and 20, and the IANA registry of header fields.  The types of the fields that
every message has are here, those of all others in `softphone.sip.message.typed_headers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, overload

from softphone.errors import LocalProtocolError
from softphone.fast_dataclass import fast_init
from softphone.sip.message.grammar import (
    HOST,
    PARAMETERS,
    TOKEN,
    MalformedMessage,
    Parameterized,
    Parameters,
    digits,
    find_parameter,
    format_parameters,
    is_token,
    parse_parameters,
    split_commas,
)
from softphone.sip.message.typed_headers import (
    SEQUENCE_LIMIT,
    AuthValue,
    EventValue,
    RAck,
    Reason,
    Replaces,
    RetryAfter,
    SessionExpires,
    SessionId,
    SubscriptionStateValue,
    UserToUser,
    WarningValue,
    parse_date,
    parse_rseq,
    parse_seconds,
    parse_token,
)
from softphone.sip.message.uri import NameAddr, parse_host

T = TypeVar("T")

Field: TypeAlias = tuple[str, str]
"""A header field: its name and its value."""

# Values that every message has --------------------------------------------------------------------

# via-parm = sent-protocol LWS sent-by *( SEMI via-params ); sent-by = host [ COLON port ]
_VIA = re.compile(
    rf"[ \t]*+(?P<name>{TOKEN})[ \t]*+/[ \t]*+(?P<version>{TOKEN})[ \t]*+/[ \t]*+"
    rf"(?P<transport>{TOKEN})[ \t]++(?P<host>{HOST})(?:[ \t]*+:[ \t]*+(?P<port>[0-9]{{1,5}}+))?"
    rf"(?P<parameters>{PARAMETERS})"
)
_CSEQ = re.compile(rf"([0-9]{{1,64}}+)[ \t]++({TOKEN})")
_MEDIA_TYPE = re.compile(rf"({TOKEN})[ \t]*+/[ \t]*+({TOKEN})({PARAMETERS})")


@fast_init
@dataclass(frozen=True, slots=True)
class Via(Parameterized):
    """One Via value (RFC 3261 section 20.42; RFC 3581).

    `transport` is as written ("UDP", "TLS" or any other); `host` has no IPv6 brackets.
    """

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = ()

    KIND: ClassVar[str] = "Via"

    @classmethod
    def parse_at(cls, text: str, position: int) -> tuple[Self, int]:
        """Parse the value at `position`; returns it and its end.  Raises MalformedMessage."""
        match = _VIA.match(text, position)
        if match is None:
            raise MalformedMessage("Malformed Via")
        name, version, transport, host, port, parameters = match.groups()
        if version != "2.0" or name.upper() != "SIP":
            raise MalformedMessage("Unknown protocol in Via")
        number = None if port is None else int(port)
        if number is not None and not 0 < number < 65536:
            raise MalformedMessage("Port out of range in Via")
        if host[0] == "[":
            host = parse_host(host)
        found = parse_parameters(parameters) if parameters else ()
        return cls(transport, host, number, found), match.end()

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {host}{port}{format_parameters(self.parameters)}"

    def _with(self, parameters: Parameters) -> Self:
        return type(self)(self.transport, self.host, self.port, parameters)

    @property
    def branch(self) -> str | None:
        """The branch parameter, or None."""
        return find_parameter(self.parameters, "branch")

    @property
    def received(self) -> str | None:
        """The received address without brackets, or None (RFC 5118 section 4.5: both occur)."""
        value = find_parameter(self.parameters, "received")
        return value.strip("[]") if value else None

    @property
    def source(self) -> str:
        """The host that the message came from: received, else sent-by (RFC 3261 18.2.1).

        For a sender behind a NAT, received is the address seen.
        """
        return self.received or self.host

    def seen(self) -> tuple[str, int | None]:
        """Return the address that the receiver saw: received and rport, else sent-by (RFC 3581)."""
        host, port = self.host, self.port
        for name, value in self.parameters:
            key = name.lower()
            if key == "received" and value:
                host = value.strip('"[]')
            elif key == "rport" and value:
                port = digits(value, 65535) or port
        return host, port

    @property
    def rport(self) -> int | None:
        """The port of a filled-in rport (RFC 3581), else None."""
        value = find_parameter(self.parameters, "rport")
        return digits(value, 65535) if value else None


@fast_init
@dataclass(frozen=True, slots=True)
class CSeq:
    """A CSeq value (RFC 3261 section 20.16): number below 2^31, and method."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; the number may have leading zeros."""
        match = _CSEQ.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed CSeq")
        number = int(match[1])
        if number > SEQUENCE_LIMIT:
            raise MalformedMessage("Malformed CSeq")
        return cls(number, match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@fast_init
@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type value (RFC 3261 section 20.15); type and subtype in lower case."""

    type: str
    subtype: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value."""
        match = _MEDIA_TYPE.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed Content-Type")
        return cls(match[1].lower(), match[2].lower(), parse_parameters(match[3]))

    def __str__(self) -> str:
        return f"{self.essence}{format_parameters(self.parameters)}"

    @property
    def essence(self) -> str:
        """The type and subtype only, such as "application/sdp"."""
        return f"{self.type}/{self.subtype}"

    def parameter(self, name: str) -> str | None:
        """Return the unquoted value of a parameter, "" without a value, None when absent."""
        return find_parameter(self.parameters, name.lower())


def parse_call_id(text: str) -> str:
    """Check a Call-ID and return it (RFC 3261 section 20.8).  Raises MalformedMessage.

    Lenient: any visible ASCII, since base64 identifiers occur and the value is only compared.
    """
    if not text or " " in text or "\t" in text or not text.isascii():
        raise MalformedMessage("Malformed Call-ID header field")
    return text


def parse_max_forwards(text: str) -> int:
    """Parse a Max-Forwards value, 0 to 255 (RFC 3261 section 20.22).  Raises MalformedMessage."""
    number = digits(text, 255)
    if number is None:
        raise MalformedMessage("Malformed Max-Forwards header field")
    return number


def parse_media_range(text: str) -> str:
    """Parse an Accept value; returns its media-range in lower case.  Raises MalformedMessage."""
    return ContentType.parse(text).essence


# How a field is declared --------------------------------------------------------------------------


class Multiplicity(Enum):
    """How often a field may occur in a message, and whether commas separate its values."""

    SINGLE = "single"
    """Once: the parser refuses a message with a second one as ambiguous."""
    LIST = "list"
    """A comma-separated list, which may span several fields (RFC 3261 section 7.3.1)."""
    REPEATED = "repeated"
    """Each field holds one value, commas included; where one value is needed, the first counts."""


SINGLE, LIST, REPEATED = Multiplicity


class HeaderField:
    """A header field: the name as its RFC spells it, and the compact form ("" for none)."""

    def __init__(
        self, name: str, multiplicity: Multiplicity = REPEATED, *, compact: str = ""
    ) -> None:
        self.name = name
        self.key = name.lower()
        self.multiplicity = multiplicity
        self.compact = compact


class _FirstValue(Generic[T]):
    """A reader of the first field's value, None without one.

    `kept` is the number of values in its cache, for fields whose values peers repeat.
    """

    def __init__(self, parse: Callable[[str], T], *, kept: int = 0) -> None:
        self.parse = parse
        self.parse_kept = lru_cache(kept)(parse) if kept else parse
        """Parses a text of at most `LONGEST_KEPT` characters."""

    def __call__(self, values: Sequence[str]) -> T | None:
        return self.parse(values[0]) if values else None


class _OnlyValue(_FirstValue[T]):
    """A reader of the value of a required field."""

    def __call__(self, values: Sequence[str]) -> T:
        return self.parse(values[0])


class _ListValue(_FirstValue[tuple[T, ...]]):
    """A reader of a list, which most messages have in one field: `parse` reads that one.

    `parse_part` reads each of several fields, where that is not the same.
    """

    def __init__(
        self,
        parse: Callable[[str], tuple[T, ...]],
        parse_part: Callable[[str], tuple[T, ...]] | None = None,
        *,
        kept: int,
    ) -> None:
        super().__init__(parse, kept=kept)
        self._parse_part = parse_part or parse

    def __call__(self, values: Sequence[str]) -> tuple[T, ...]:
        if len(values) == 1:
            return self.parse(values[0])
        return tuple(value for text in values for value in self._parse_part(text))


class TypedHeaderField(HeaderField, Generic[T]):
    """A header field that a message returns as a T, parsed on first access.

    A non-data descriptor: the value cached in the message's `__dict__` shadows it, so that a second
    access costs no call (`bench/sip/bench_sip_parse.py`) and works on frozen messages.  `read`
    makes a T from all field values as written, () for none.  Exceptions are not cached: each
    access raises again.
    """

    def __init__(
        self,
        name: str,
        multiplicity: Multiplicity,
        read: Callable[[Sequence[str]], T],
        *,
        compact: str = "",
        strict: bool = False,
        required: bool = False,
    ) -> None:
        super().__init__(name, multiplicity, compact=compact)
        self.read = read
        self.first = read if isinstance(read, _FirstValue) else None
        """`read` if it takes a single value by itself, else None."""
        self._joins = isinstance(read, _ListValue)
        self.strict = strict or required
        self.required = required
        self.absent: Any = None if required else read(())
        """The value of a message without the field."""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: FieldAccess, owner: type) -> T: ...

    def __get__(self, instance: FieldAccess | None, owner: type) -> Self | T:
        if instance is None:
            return self
        headers = instance.headers
        index = headers._index
        values = (headers.by_key() if index is None else index).get(self.key, ())
        if self.required and not values:
            raise MalformedMessage(f"Missing {self.name} header field")
        first = self.first
        value: T
        try:
            if not values:
                value = self.absent
            elif first is None or (self._joins and len(values) > 1):
                value = self.read(values)
            else:
                text = values[0]
                value = (first.parse_kept if len(text) <= LONGEST_KEPT else first.parse)(text)
        except MalformedMessage:
            if self.strict:
                raise
            value = self.absent
        instance.__dict__[self.attribute] = value
        return value


# How the values of a field are read ---------------------------------------------------------------

_ADDRESSES_KEPT = 1024
"""The number of parsed addresses in the cache: the messages of a dialog repeat theirs."""
_VALUES_KEPT = 256
"""The number of other parsed values in the cache: a peer repeats its option tags and methods."""
LONGEST_KEPT = 128
_LONGEST_TOKEN_LIST_KEPT = 256
"""The longest text that is cached, so that a peer cannot fill the memory."""


def _each(parse: Callable[[str], T]) -> Callable[[Sequence[str]], tuple[T, ...]]:
    """Return a reader of all well-formed field values, one per field."""

    def read(values: Sequence[str]) -> tuple[T, ...]:
        found: list[T] = []
        for value in values:
            try:
                found.append(parse(value))
            except MalformedMessage:
                continue
        return tuple(found)

    return read


def _elements(parse: Callable[[str], T]) -> Callable[[Sequence[str]], tuple[T, ...]]:
    """Return a reader of the well-formed elements of a list.

    The reader raises MalformedMessage for a list that cannot be split.
    """
    read = _each(parse)
    return lambda values: read(_split(values))


def _split(values: Sequence[str]) -> tuple[str, ...]:
    return tuple([item for value in values for item in split_commas(value) if item])


def _tokens(values: Sequence[str]) -> tuple[str, ...]:
    """Return the well-formed tokens of a list (RFC 3261 section 25.1)."""
    if len(values) == 1 and len(values[0]) <= _LONGEST_TOKEN_LIST_KEPT:
        return _token_list_kept(values[0])
    return tuple(token for value in values for token in _split_tokens(value))


def _split_tokens(text: str) -> tuple[str, ...]:
    return tuple(item for item in split_commas(text) if is_token(item))


def _strict_tokens(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) == 1 and len(values[0]) <= _LONGEST_TOKEN_LIST_KEPT:
        return _strict_token_list_kept(values[0])
    return tuple([parse_token(tag) for tag in _split(values)])


def _media_ranges(values: Sequence[str]) -> tuple[str, ...] | None:
    """Read Accept: None when absent, () when empty or malformed (RFC 3261 section 20.1)."""
    if not values:
        return None
    try:
        return _elements(parse_media_range)(values)
    except MalformedMessage:
        return ()


def _address(name: str) -> _OnlyValue[NameAddr]:
    """Return a reader of the address of a required field, which `name` names in the error."""

    def parse(text: str) -> NameAddr:
        try:
            value, end = NameAddr.parse_at(text, 0)
        except MalformedMessage as error:
            raise MalformedMessage(f"Malformed {name} header field") from error
        if end != len(text):
            raise MalformedMessage(f"Malformed {name} header field")
        return value

    return _OnlyValue(parse, kept=_ADDRESSES_KEPT)


def _parse_contacts(text: str) -> tuple[NameAddr, ...]:
    """Read Contact; () for the wildcard "*", which occurs alone."""
    return () if text == "*" else NameAddr.parse_list(text)


_vias = _ListValue(Via.parse_list, kept=_VALUES_KEPT)
_addresses = _ListValue(NameAddr.parse_list, kept=_ADDRESSES_KEPT)
_contacts = _ListValue(_parse_contacts, NameAddr.parse_list, kept=_ADDRESSES_KEPT)
_token_list_kept = lru_cache(_VALUES_KEPT)(_split_tokens)
_strict_token_list_kept = lru_cache(_VALUES_KEPT)(
    lambda text: tuple([parse_token(tag) for tag in split_commas(text) if tag])
)


# The table ----------------------------------------------------------------------------------------


class FieldAccess:
    """The typed header fields of Request and Response; the parser checks them in this order."""

    __slots__ = ("__dict__",)

    headers: Headers

    # Every message has these (RFC 3261 section 8.1.1).
    vias = TypedHeaderField("Via", LIST, _vias, compact="v", required=True)
    """All Via values, topmost first."""
    from_ = TypedHeaderField("From", SINGLE, _address("From"), compact="f", required=True)
    """The From value."""
    to = TypedHeaderField("To", SINGLE, _address("To"), compact="t", required=True)
    """The To value."""
    call_id = TypedHeaderField(
        "Call-ID", SINGLE, _OnlyValue(parse_call_id), compact="i", required=True
    )
    """The Call-ID, compared byte by byte (RFC 3261 section 20.8)."""
    cseq = TypedHeaderField(
        "CSeq", SINGLE, _OnlyValue(CSeq.parse, kept=_VALUES_KEPT), required=True
    )
    """The CSeq value."""

    # The parser refuses a message in which one of these is malformed.
    max_forwards = TypedHeaderField(
        "Max-Forwards", SINGLE, _FirstValue(parse_max_forwards, kept=_VALUES_KEPT), strict=True
    )
    """Max-Forwards, 0 to 255; None when it is absent (RFC 2543 peers)."""
    contacts = TypedHeaderField("Contact", LIST, _contacts, compact="m", strict=True)
    """All Contact values; empty for the wildcard "*" (RFC 3261 section 10.2.2)."""
    routes = TypedHeaderField("Route", LIST, _addresses, strict=True)
    """All Route values, topmost first."""
    record_routes = TypedHeaderField("Record-Route", LIST, _addresses, strict=True)
    """All Record-Route values, topmost first."""
    require = TypedHeaderField("Require", LIST, _strict_tokens, strict=True)
    """The option tags of Require, as written."""
    content_type = TypedHeaderField(
        "Content-Type",
        SINGLE,
        _FirstValue(ContentType.parse, kept=_VALUES_KEPT),
        compact="c",
        strict=True,
    )
    """The Content-Type, or None."""
    event = TypedHeaderField(
        "Event", SINGLE, _FirstValue(EventValue.parse), compact="o", strict=True
    )
    """The Event value (RFC 6665), or None."""
    subscription_state = TypedHeaderField(
        "Subscription-State", SINGLE, _FirstValue(SubscriptionStateValue.parse), strict=True
    )
    """The Subscription-State value (RFC 6665), or None."""
    refer_to = TypedHeaderField(
        "Refer-To", SINGLE, _FirstValue(NameAddr.parse), compact="r", strict=True
    )
    """The Refer-To value (RFC 3515), or None."""
    replaces = TypedHeaderField("Replaces", SINGLE, _FirstValue(Replaces.parse), strict=True)
    """The Replaces value (RFC 3891), or None."""
    rseq = TypedHeaderField("RSeq", SINGLE, _FirstValue(parse_rseq), strict=True)
    """The RSeq number (RFC 3262 section 7.1), or None."""
    rack = TypedHeaderField("RAck", SINGLE, _FirstValue(RAck.parse), strict=True)
    """The RAck value (RFC 3262 section 7.2), or None."""
    session_expires = TypedHeaderField(
        "Session-Expires",
        SINGLE,
        _FirstValue(SessionExpires.parse, kept=_VALUES_KEPT),
        compact="x",
        strict=True,
    )
    """The Session-Expires value (RFC 4028), or None."""
    min_se = TypedHeaderField(
        "Min-SE", SINGLE, _FirstValue(parse_seconds, kept=_VALUES_KEPT), strict=True
    )
    """Min-SE in seconds (RFC 4028), or None."""

    # A malformed one of these counts as absent.
    referred_by = TypedHeaderField("Referred-By", SINGLE, _FirstValue(NameAddr.parse), compact="b")
    """The Referred-By value (RFC 3892), or None."""
    expires = TypedHeaderField("Expires", SINGLE, _FirstValue(parse_seconds))
    """Expires in seconds, at most 2^32-1, or None."""
    min_expires = TypedHeaderField("Min-Expires", SINGLE, _FirstValue(parse_seconds))
    """Min-Expires in seconds, or None."""
    flow_timer = TypedHeaderField("Flow-Timer", SINGLE, _FirstValue(parse_seconds))
    """Flow-Timer in seconds (RFC 5626 section 10), or None."""
    retry_after = TypedHeaderField("Retry-After", SINGLE, _FirstValue(RetryAfter.parse))
    """The Retry-After value, or None."""
    date = TypedHeaderField("Date", REPEATED, _FirstValue(parse_date))
    """The Date, or None."""
    supported = TypedHeaderField("Supported", LIST, _tokens, compact="k")
    """The option tags of Supported, as written; see `supports`."""
    unsupported = TypedHeaderField("Unsupported", LIST, _tokens)
    """The option tags of Unsupported, as written."""
    allow = TypedHeaderField("Allow", LIST, _tokens)
    """The methods of Allow."""
    accept = TypedHeaderField("Accept", LIST, _media_ranges)
    """The media ranges of Accept in lower case, without parameters; None when absent."""
    paths = TypedHeaderField("Path", LIST, _elements(NameAddr.parse))
    """All Path values (RFC 3327)."""
    service_routes = TypedHeaderField("Service-Route", LIST, _elements(NameAddr.parse))
    """All Service-Route values (RFC 3608)."""
    asserted_identities = TypedHeaderField("P-Asserted-Identity", LIST, _elements(NameAddr.parse))
    """All P-Asserted-Identity values (RFC 3325); the caller decides whether to trust them."""
    remote_party_ids = TypedHeaderField("Remote-Party-ID", LIST, _elements(NameAddr.parse))
    """All Remote-Party-ID values (draft-ietf-sip-privacy-04); the caller decides about trust."""
    diversions = TypedHeaderField("Diversion", LIST, _elements(NameAddr.parse))
    """All Diversion values (RFC 5806), the latest diversion first."""
    history = TypedHeaderField("History-Info", LIST, _elements(NameAddr.parse))
    """All History-Info values (RFC 7044), the first target first."""
    user_to_user = TypedHeaderField("User-to-User", LIST, _elements(UserToUser.parse))
    """All User-to-User values (RFC 7433)."""
    session_id = TypedHeaderField("Session-ID", REPEATED, _FirstValue(SessionId.parse))
    """The Session-ID value (RFC 7989), or None."""
    warnings = TypedHeaderField("Warning", LIST, _elements(WarningValue.parse))
    """All well-formed Warning values."""
    reasons = TypedHeaderField("Reason", LIST, _elements(Reason.parse))
    """All well-formed Reason values (RFC 3326)."""
    www_challenges = TypedHeaderField("WWW-Authenticate", REPEATED, _each(AuthValue.parse))
    """The challenges of WWW-Authenticate, in order."""
    proxy_challenges = TypedHeaderField("Proxy-Authenticate", REPEATED, _each(AuthValue.parse))
    """The challenges of Proxy-Authenticate, in order."""
    authorizations = TypedHeaderField("Authorization", REPEATED, _each(AuthValue.parse))
    """The credentials of Authorization, in order."""
    proxy_authorizations = TypedHeaderField("Proxy-Authorization", REPEATED, _each(AuthValue.parse))
    """The credentials of Proxy-Authorization, in order."""

    @property
    def top_via(self) -> Via:
        """The topmost Via value."""
        return self.vias[0]

    def supports(self, option_tag: str) -> bool:
        """Whether Supported or Require contains an option tag, in any case."""
        return option_tag.lower() in map(str.lower, (*self.supported, *self.require))

    def requires(self, option_tag: str) -> bool:
        """Whether Require contains an option tag, in any case."""
        return option_tag.lower() in map(str.lower, self.require)


_TYPED = tuple(field for field in vars(FieldAccess).values() if isinstance(field, TypedHeaderField))

HEADER_FIELDS: tuple[HeaderField, ...] = (
    *_TYPED,
    # These have no type: the code that needs them reads their text.
    HeaderField("Accept-Contact", LIST, compact="a"),
    HeaderField("Accept-Encoding", LIST),
    HeaderField("Accept-Language", LIST),
    HeaderField("Alert-Info", LIST),
    HeaderField("Allow-Events", LIST, compact="u"),
    HeaderField("Authentication-Info"),
    HeaderField("Call-Info", LIST),
    HeaderField("Cisco-Guid"),
    HeaderField("Content-Disposition"),
    HeaderField("Content-Encoding", LIST, compact="e"),
    HeaderField("Content-Language", LIST),
    HeaderField("Content-Length", SINGLE, compact="l"),
    HeaderField("Content-Transfer-Encoding"),
    HeaderField("Error-Info", LIST),
    HeaderField("Geolocation", LIST),
    HeaderField("Identity", compact="y"),
    HeaderField("In-Reply-To", LIST),
    HeaderField("Info-Package"),
    HeaderField("MIME-Version"),
    HeaderField("Organization"),
    HeaderField("P-Associated-URI", LIST),
    HeaderField("P-Preferred-Identity", LIST),
    HeaderField("Priority"),
    HeaderField("Privacy"),
    HeaderField("Proxy-Authentication-Info"),
    HeaderField("Proxy-Require", LIST),
    HeaderField("Recv-Info", LIST),
    HeaderField("Refer-Sub", SINGLE),
    HeaderField("Reject-Contact", LIST, compact="j"),
    HeaderField("Reply-To"),
    HeaderField("Request-Disposition", compact="d"),
    HeaderField("SIP-ETag", SINGLE),
    HeaderField("SIP-If-Match", SINGLE),
    HeaderField("Security-Client", LIST),
    HeaderField("Security-Server", LIST),
    HeaderField("Security-Verify", LIST),
    HeaderField("Server"),
    HeaderField("Subject", compact="s"),
    HeaderField("Timestamp"),
    HeaderField("User-Agent"),
)

STRICT_FIELDS = tuple([field for field in _TYPED if field.strict])
"""The fields that the parser reads where they are present; those that are required come first."""

Description: TypeAlias = tuple[str, str, bool]

SPELLINGS: dict[str, Description] = {
    spelling: (field.key, field.name, field.multiplicity is SINGLE)
    for field in HEADER_FIELDS
    for spelling in (field.name, field.key, field.compact, field.compact.upper())
    if spelling
}
"""Maps the usual spellings of a name to its key, its RFC name, and whether it may occur only once.

Most names in messages cost one look-up."""

KEYS = {spelling: description[0] for spelling, description in SPELLINGS.items()}
"""Maps the usual spellings of a name to its key."""


def describe_field(name: str) -> Description:
    """Return the entry of `SPELLINGS` for a name in any case; an unknown one keeps its spelling."""
    lowered = name.lower()
    return SPELLINGS.get(name) or SPELLINGS.get(lowered) or (lowered, name, False)


def field_key(name: str) -> str:
    """Return the name in lower case with compact forms expanded, the same for all spellings."""
    return describe_field(name)[0]


# The text -----------------------------------------------------------------------------------------

_KNOWN_NAMES = frozenset([field.name for field in HEADER_FIELDS])


class Headers:
    """The header fields of a message: an immutable, ordered, case-insensitive multimap.

    Names are given in any spelling, compact forms included, and print in their RFC's spelling.
    Values hold no line break.  `fields` are the names and values in order, as iterating gives them.
    """

    __slots__ = ("_index", "fields")

    fields: tuple[Field, ...]

    def __init__(self, items: Iterable[Field] = ()) -> None:
        """Raise LocalProtocolError for a name that is no token or a value with a line break."""
        taken: list[Field] = []
        for item in items:
            name, value = item
            # Known names are tokens, so that most names cost one look-up.
            if name not in _KNOWN_NAMES:
                name = describe_field(name)[1]
                item = name, value
                if name not in _KNOWN_NAMES and not is_token(name):
                    raise LocalProtocolError(f"{name!r} cannot be sent as a header field")
            if "\r" in value or "\n" in value:
                raise LocalProtocolError(f"{name!r} cannot be sent as a header field")
            taken.append(item)
        self.fields = tuple(taken)
        self._index: dict[str, list[str]] | None = None

    @classmethod
    def from_wire(cls, items: tuple[Field, ...], index: dict[str, list[str]]) -> Headers:
        """Make headers without checks, for the parser only.

        Names are in their RFC's spelling, values have no line break, `index` is by lower-case key.
        """
        headers = cls.__new__(cls)
        headers.fields = items
        headers._index = index
        return headers

    def by_key(self) -> dict[str, list[str]]:
        """Return the values by name, in lower case and expanded; do not modify the result."""
        index = self._index
        if index is None:
            index = {}
            for name, value in self.fields:
                key = KEYS.get(name) or field_key(name)
                if key in index:
                    index[key].append(value)
                else:
                    index[key] = [value]
            self._index = index
        return index

    def drop_index(self) -> None:
        """Free the look-up index, which is larger than the fields; the next look-up rebuilds it.

        For headers that are kept but will not be read soon.
        """
        self._index = None

    def get(self, name: str) -> str | None:
        """Return the first field value of that name, or None."""
        index = self._index
        if index is None:
            index = self.by_key()
        values = index.get(KEYS.get(name) or field_key(name))
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return every field value of that name in order; lists are not split."""
        index = self._index
        if index is None:
            index = self.by_key()
        values = index.get(KEYS.get(name) or field_key(name))
        return tuple(values) if values else ()

    def with_added(self, name: str, value: str) -> Headers:
        """Return these fields with one more at the end."""
        return Headers((*self.fields, (name, value)))

    def with_prepended(self, name: str, value: str) -> Headers:
        """Return these fields with one more before all others, as for a Via or a Route."""
        if name not in _KNOWN_NAMES or "\r" in value or "\n" in value:
            name, value = Headers(((name, value),)).fields[0]
        headers = Headers.__new__(Headers)
        headers.fields = (name, value), *self.fields  # These have been checked.
        headers._index = None
        return headers

    def with_replaced(self, name: str, *values: str) -> Headers:
        """Return these fields with every `name` replaced by `values`, at the first one's position.

        Appends them at the end when there is none.
        """
        key = KEYS.get(name) or field_key(name)
        fields: list[Field] = []
        replacing = [(name, value) for value in values]
        for item in self.fields:
            if (KEYS.get(item[0]) or field_key(item[0])) != key:
                fields.append(item)
            else:
                fields += replacing
                replacing = []
        return Headers(fields + replacing)

    def without(self, *names: str) -> Headers:
        """Return these fields without those names."""
        keys = {field_key(name) for name in names}
        return Headers(item for item in self.fields if field_key(item[0]) not in keys)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        index = self._index
        if index is None:
            index = self.by_key()
        return (KEYS.get(name) or field_key(name)) in index

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        # Values are left out, so that Authorization and the like do not reach a log.
        return f"Headers({', '.join(name for name, _ in self.fields)})"
