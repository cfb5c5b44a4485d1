"""The table of known header fields: name, compact form, multiplicity, and type.

One row declares a field.  It determines the spelling of the name, whether a second field makes a
message malformed, what the parser checks, and, for the attributes of `FieldAccess`, the typed value
of a message.  An unknown field is kept and printed as received.

A malformed strict field raises MalformedMessage, and so does a missing required one.  The parser
reads them all, so they never raise for a received message.  Any other malformed field counts as
absent and never raises (RFC 3261 section 16.3 asks for that where a field is not needed).

RFC 3261 sections 7.3 and 20, and the IANA registry of header fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Generic, Protocol, Self, TypeAlias, TypeVar, overload

from softphone.sip.message.grammar import MalformedMessage, is_token, split_commas
from softphone.sip.message.typed_headers import (
    AuthValue,
    ContentType,
    CSeq,
    EventValue,
    RAck,
    Reason,
    Replaces,
    RetryAfter,
    SessionExpires,
    SubscriptionStateValue,
    Via,
    WarningValue,
    parse_call_id,
    parse_date,
    parse_max_forwards,
    parse_media_range,
    parse_rseq,
    parse_seconds,
    parse_token,
)
from softphone.sip.message.uri import NameAddr

T = TypeVar("T")


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


class _FieldValues(Protocol):
    """The part of `Headers` used here; `headers` imports this module, so we cannot import it."""

    def values_of(self, key: str) -> Sequence[str]:
        """Return every field value of a name in lower case, in order."""


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
        self.strict = strict or required
        self.required = required

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: FieldAccess, owner: type) -> T: ...

    def __get__(self, instance: FieldAccess | None, owner: type) -> Self | T:
        if instance is None:
            return self
        values = instance.headers.values_of(self.key)
        if self.required and not values:
            raise MalformedMessage(f"Missing {self.name} header field")
        try:
            value = self.read(values)
        except MalformedMessage:
            if self.strict:
                raise
            value = self.read(())
        instance.__dict__[self.attribute] = value
        return value


# How the values of a field are read ---------------------------------------------------------------

_ADDRESSES_KEPT = 1024
"""The number of parsed addresses in the cache: the messages of a dialog repeat theirs."""
_LONGEST_ADDRESS_KEPT = 128
_TOKEN_LISTS_KEPT = 256
"""The number of parsed token lists in the cache: a peer repeats its option tags and methods."""
_LONGEST_TOKEN_LIST_KEPT = 256
"""The longest text that is cached, so that a peer cannot fill the memory."""


def _first(parse: Callable[[str], T]) -> Callable[[Sequence[str]], T | None]:
    """Return a reader of the first field's value, None without one."""
    return lambda values: parse(values[0]) if values else None


def _only(parse: Callable[[str], T]) -> Callable[[Sequence[str]], T]:
    """Return a reader of the value of a required field."""
    return lambda values: parse(values[0])


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
    if len(values) == 1:
        return _token_list(values[0])
    return tuple(token for value in values for token in _token_list(value))


def _token_list(text: str) -> tuple[str, ...]:
    return _token_list_kept(text) if len(text) <= _LONGEST_TOKEN_LIST_KEPT else _split_tokens(text)


def _split_tokens(text: str) -> tuple[str, ...]:
    return tuple(item for item in split_commas(text) if is_token(item))


def _strict_tokens(values: Sequence[str]) -> tuple[str, ...]:
    return tuple([parse_token(tag) for tag in _split(values)])


def _media_ranges(values: Sequence[str]) -> tuple[str, ...] | None:
    """Read Accept: None when absent, () when empty or malformed (RFC 3261 section 20.1)."""
    if not values:
        return None
    try:
        return _elements(parse_media_range)(values)
    except MalformedMessage:
        return ()


def _address(name: str) -> Callable[[Sequence[str]], NameAddr]:
    """Return a reader of the address of a required field, which `name` names in the error."""

    def read(values: Sequence[str]) -> NameAddr:
        value = values[0]
        try:
            if len(value) <= _LONGEST_ADDRESS_KEPT:
                return _address_kept(value)
            return NameAddr.parse(value)
        except MalformedMessage as error:
            raise MalformedMessage(f"Malformed {name} header field") from error

    return read


def _addresses(values: Sequence[str]) -> tuple[NameAddr, ...]:
    """Return the addresses of a list.  Raises MalformedMessage when any is malformed."""
    if len(values) == 1:
        value = values[0]
        if len(value) <= _LONGEST_ADDRESS_KEPT:
            return _address_list_kept(value)
        return _address_list(value)
    return tuple(address for value in values for address in NameAddr.parse_list(value))


def _address_list(text: str) -> tuple[NameAddr, ...]:
    return tuple(NameAddr.parse_list(text))


def _contacts(values: Sequence[str]) -> tuple[NameAddr, ...]:
    """Read Contact; () for the wildcard "*", which occurs alone."""
    return () if len(values) == 1 and values[0] == "*" else _addresses(values)


def _vias(values: Sequence[str]) -> tuple[Via, ...]:
    if len(values) == 1:
        return tuple(Via.parse_list(values[0]))
    return tuple(via for value in values for via in Via.parse_list(value))


_token_list_kept = lru_cache(_TOKEN_LISTS_KEPT)(_split_tokens)
_address_kept = lru_cache(_ADDRESSES_KEPT)(NameAddr.parse)
_address_list_kept = lru_cache(_ADDRESSES_KEPT)(_address_list)


# The table ----------------------------------------------------------------------------------------


class FieldAccess:
    """The typed header fields of Request and Response; the parser checks them in this order."""

    __slots__ = ("__dict__",)

    headers: _FieldValues

    # Every message has these (RFC 3261 section 8.1.1).
    vias = TypedHeaderField("Via", LIST, _vias, compact="v", required=True)
    """All Via values, topmost first."""
    from_ = TypedHeaderField("From", SINGLE, _address("From"), compact="f", required=True)
    """The From value."""
    to = TypedHeaderField("To", SINGLE, _address("To"), compact="t", required=True)
    """The To value."""
    call_id = TypedHeaderField("Call-ID", SINGLE, _only(parse_call_id), compact="i", required=True)
    """The Call-ID, compared byte by byte (RFC 3261 section 20.8)."""
    cseq = TypedHeaderField("CSeq", SINGLE, _only(CSeq.parse), required=True)
    """The CSeq value."""

    # The parser refuses a message in which one of these is malformed.
    max_forwards = TypedHeaderField("Max-Forwards", SINGLE, _first(parse_max_forwards), strict=True)
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
        "Content-Type", SINGLE, _first(ContentType.parse), compact="c", strict=True
    )
    """The Content-Type, or None."""
    event = TypedHeaderField("Event", SINGLE, _first(EventValue.parse), compact="o", strict=True)
    """The Event value (RFC 6665), or None."""
    subscription_state = TypedHeaderField(
        "Subscription-State", SINGLE, _first(SubscriptionStateValue.parse), strict=True
    )
    """The Subscription-State value (RFC 6665), or None."""
    refer_to = TypedHeaderField(
        "Refer-To", SINGLE, _first(NameAddr.parse), compact="r", strict=True
    )
    """The Refer-To value (RFC 3515), or None."""
    replaces = TypedHeaderField("Replaces", SINGLE, _first(Replaces.parse), strict=True)
    """The Replaces value (RFC 3891), or None."""
    rseq = TypedHeaderField("RSeq", SINGLE, _first(parse_rseq), strict=True)
    """The RSeq number (RFC 3262 section 7.1), or None."""
    rack = TypedHeaderField("RAck", SINGLE, _first(RAck.parse), strict=True)
    """The RAck value (RFC 3262 section 7.2), or None."""
    session_expires = TypedHeaderField(
        "Session-Expires", SINGLE, _first(SessionExpires.parse), compact="x", strict=True
    )
    """The Session-Expires value (RFC 4028), or None."""
    min_se = TypedHeaderField("Min-SE", SINGLE, _first(parse_seconds), strict=True)
    """Min-SE in seconds (RFC 4028), or None."""

    # A malformed one of these counts as absent.
    referred_by = TypedHeaderField("Referred-By", SINGLE, _first(NameAddr.parse), compact="b")
    """The Referred-By value (RFC 3892), or None."""
    expires = TypedHeaderField("Expires", SINGLE, _first(parse_seconds))
    """Expires in seconds, at most 2^32-1, or None."""
    min_expires = TypedHeaderField("Min-Expires", SINGLE, _first(parse_seconds))
    """Min-Expires in seconds, or None."""
    flow_timer = TypedHeaderField("Flow-Timer", SINGLE, _first(parse_seconds))
    """Flow-Timer in seconds (RFC 5626 section 10), or None."""
    retry_after = TypedHeaderField("Retry-After", SINGLE, _first(RetryAfter.parse))
    """The Retry-After value, or None."""
    date = TypedHeaderField("Date", REPEATED, _first(parse_date))
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
        wanted = option_tag.lower()
        return any(tag.lower() == wanted for tag in (*self.supported, *self.require))

    def requires(self, option_tag: str) -> bool:
        """Whether Require contains an option tag, in any case."""
        return any(tag.lower() == option_tag.lower() for tag in self.require)


_TYPED = tuple(field for field in vars(FieldAccess).values() if isinstance(field, TypedHeaderField))

HEADER_FIELDS: tuple[HeaderField, ...] = (
    *_TYPED,
    # These have no type: their users read them as text.
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
    HeaderField("Diversion", LIST),
    HeaderField("Error-Info", LIST),
    HeaderField("Geolocation", LIST),
    HeaderField("History-Info", LIST),
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
    HeaderField("Remote-Party-ID", LIST),
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

REQUIRED_FIELDS = tuple([field.attribute for field in _TYPED if field.required])
"""The attributes that the parser reads of every message."""

STRICT_FIELDS = tuple(
    [(field.key, field.attribute) for field in _TYPED if field.strict and not field.required]
)
"""The attributes that the parser reads when the field is present, with its name in lower case."""

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
