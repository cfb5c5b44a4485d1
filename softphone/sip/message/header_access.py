"""Typed, lazily parsed and cached access to a message's header fields.

There are two kinds.  The strict ones raise MalformedMessage when the field is malformed, and, for
the five that every message has, when it is absent; the parser has run them all for a received
message, so there they never raise.  The lenient ones treat what is malformed as absent, since
RFC 3261 section 16.3 asks for that where a field is not needed: they never raise at all.

Lists of tokens (option tags, methods: RFC 3261 section 25.1) stand the same in all messages of a
peer, so the most recent ones are kept parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Self, TypeVar, overload

from softphone.sip.message.grammar import MalformedMessage, digits, is_token, split_commas
from softphone.sip.message.headers import Headers
from softphone.sip.message.typed_headers import (
    DELTA_LIMIT,
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
    parse_date,
    parse_delta_seconds,
)
from softphone.sip.message.uri import NameAddr

__all__ = [
    "MANDATORY_FIELDS",
    "STRICT_FIELDS",
    "CachedAttribute",
    "FieldAccess",
    "cached_attribute",
    "parse_token",
    "read_tokens",
]

T = TypeVar("T")


class CachedAttribute(Generic[T]):
    """A descriptor that stands back: what it has computed is found before it.

    The value goes into the object's `__dict__`, where Python looks before it asks a descriptor
    that does not set, so that a second reading costs no call.  Frozen objects stay frozen: nobody
    else writes there.  An exception is kept nowhere, and raised again by the next reading.
    (`functools.cached_property` takes a lock, which costs more than most fields do.)
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.compute(instance)
        return value


def cached_attribute(compute: Callable[[Any], T]) -> CachedAttribute[T]:
    """Make a method without arguments such an attribute."""
    return CachedAttribute(compute)


_TOKEN_LISTS_KEPT = 256
"""Lists that are kept read."""
_LONGEST_TOKEN_LIST_KEPT = 256
"""The longest of them, so that strangers cannot fill memory with theirs."""


def parse_token(text: str) -> str:
    """A token (RFC 3261 section 25.1).  Raises MalformedMessage."""
    if not is_token(text):
        raise MalformedMessage("Malformed token")
    return text


def read_tokens(name: str) -> Callable[[Headers], tuple[str, ...]]:
    """A reader of all the well-formed tokens of the fields `name`, () where there are none.

    A field that cannot be cut into its elements makes the whole list empty.
    """

    def parse_field(headers: Headers) -> tuple[str, ...]:
        values = headers.get_all(name)
        try:
            if len(values) == 1:
                return _parse_tokens(values[0])
            return tuple(token for value in values for token in _parse_tokens(value))
        except MalformedMessage:
            return ()

    return parse_field


def _parse_tokens(text: str) -> tuple[str, ...]:
    return _token_list_kept(text) if len(text) <= _LONGEST_TOKEN_LIST_KEPT else _split_tokens(text)


def _split_tokens(text: str) -> tuple[str, ...]:
    return tuple(item for item in split_commas(text) if is_token(item))


_token_list_kept = lru_cache(_TOKEN_LISTS_KEPT)(_split_tokens)


class FieldAccess:
    """The typed accessors that Request and Response share."""

    __slots__ = ("__dict__",)

    headers: Headers

    # Strict: every message has these (RFC 3261 section 8.1.1) --------------------------------

    @cached_attribute
    def vias(self) -> tuple[Via, ...]:
        """All Via values, topmost first."""
        return parse_vias(self.headers)

    @property
    def top_via(self) -> Via:
        """The topmost Via value."""
        return self.vias[0]

    @cached_attribute
    def from_(self) -> NameAddr:
        """The From value."""
        return parse_from(self.headers)

    @cached_attribute
    def to(self) -> NameAddr:
        """The To value."""
        return parse_to(self.headers)

    @cached_attribute
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte (RFC 3261 section 20.8)."""
        return parse_call_id(self.headers)

    @cached_attribute
    def cseq(self) -> CSeq:
        """The CSeq value."""
        return parse_cseq(self.headers)

    # Strict: these may be absent -------------------------------------------------------------

    @cached_attribute
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0 to 255; None when it is absent (RFC 2543 peers)."""
        return parse_max_forwards(self.headers)

    @cached_attribute
    def contacts(self) -> tuple[NameAddr, ...]:
        """All Contact values; empty for the wildcard, see `contact_is_wildcard`."""
        return parse_contacts(self.headers)

    @property
    def contact_is_wildcard(self) -> bool:
        """Whether Contact is "*" (RFC 3261 section 10.2.2)."""
        return self.headers.get("Contact") == "*"

    @cached_attribute
    def routes(self) -> tuple[NameAddr, ...]:
        """All Route values, topmost first."""
        return parse_routes(self.headers)

    @cached_attribute
    def record_routes(self) -> tuple[NameAddr, ...]:
        """All Record-Route values, topmost first."""
        return parse_record_routes(self.headers)

    @cached_attribute
    def require(self) -> tuple[str, ...]:
        """The option tags of Require, as written."""
        return parse_require(self.headers)

    @cached_attribute
    def content_type(self) -> ContentType | None:
        """The Content-Type, or None."""
        return parse_content_type(self.headers)

    @cached_attribute
    def event(self) -> EventValue | None:
        """The Event value (RFC 6665), or None."""
        return parse_event(self.headers)

    @cached_attribute
    def subscription_state(self) -> SubscriptionStateValue | None:
        """The Subscription-State value (RFC 6665), or None."""
        return parse_subscription_state(self.headers)

    @cached_attribute
    def refer_to(self) -> NameAddr | None:
        """The Refer-To value (RFC 3515), or None."""
        return parse_refer_to(self.headers)

    @cached_attribute
    def replaces(self) -> Replaces | None:
        """The Replaces value (RFC 3891), or None."""
        return parse_replaces(self.headers)

    @cached_attribute
    def rseq(self) -> int | None:
        """The RSeq number (RFC 3262 section 7.1), or None."""
        return parse_rseq(self.headers)

    @cached_attribute
    def rack(self) -> RAck | None:
        """The RAck value (RFC 3262 section 7.2), or None."""
        return parse_rack(self.headers)

    @cached_attribute
    def session_expires(self) -> SessionExpires | None:
        """The Session-Expires value (RFC 4028), or None."""
        return parse_session_expires(self.headers)

    @cached_attribute
    def min_se(self) -> int | None:
        """Min-SE in seconds (RFC 4028), or None."""
        return parse_min_se(self.headers)

    # Lenient ---------------------------------------------------------------------------------

    @cached_attribute
    def referred_by(self) -> NameAddr | None:
        """The Referred-By value (RFC 3892), or None."""
        return parse_referred_by(self.headers)

    @cached_attribute
    def expires(self) -> int | None:
        """Expires in seconds, at most 2^32-1, or None."""
        return parse_expires(self.headers)

    @cached_attribute
    def min_expires(self) -> int | None:
        """Min-Expires in seconds, or None."""
        return parse_min_expires(self.headers)

    @cached_attribute
    def flow_timer(self) -> int | None:
        """Flow-Timer in seconds (RFC 5626 section 10), or None."""
        return parse_flow_timer(self.headers)

    @cached_attribute
    def supported(self) -> tuple[str, ...]:
        """The option tags of Supported, as written; see `supports`."""
        return parse_supported(self.headers)

    @cached_attribute
    def unsupported(self) -> tuple[str, ...]:
        """The option tags of Unsupported, as written."""
        return parse_unsupported(self.headers)

    @cached_attribute
    def allow(self) -> tuple[str, ...]:
        """The methods of Allow."""
        return parse_allow(self.headers)

    @cached_attribute
    def accept(self) -> tuple[str, ...] | None:
        """The media ranges of Accept in lower case, without parameters; None when absent."""
        return parse_accept(self.headers)

    @cached_attribute
    def paths(self) -> tuple[NameAddr, ...]:
        """All Path values (RFC 3327)."""
        return parse_paths(self.headers)

    @cached_attribute
    def service_routes(self) -> tuple[NameAddr, ...]:
        """All Service-Route values (RFC 3608)."""
        return parse_service_routes(self.headers)

    @cached_attribute
    def asserted_identities(self) -> tuple[NameAddr, ...]:
        """All P-Asserted-Identity values (RFC 3325); whether they are believed is policy."""
        return parse_asserted_identities(self.headers)

    @cached_attribute
    def warnings(self) -> tuple[WarningValue, ...]:
        """All well-formed Warning values."""
        return parse_warnings(self.headers)

    @cached_attribute
    def reasons(self) -> tuple[Reason, ...]:
        """All well-formed Reason values (RFC 3326)."""
        return parse_reasons(self.headers)

    @cached_attribute
    def retry_after(self) -> RetryAfter | None:
        """The Retry-After value, or None."""
        return parse_retry_after(self.headers)

    @cached_attribute
    def date(self) -> datetime | None:
        """The Date, or None."""
        return parse_date_field(self.headers)

    @cached_attribute
    def www_challenges(self) -> tuple[AuthValue, ...]:
        """The challenges of WWW-Authenticate, in order."""
        return parse_www_challenges(self.headers)

    @cached_attribute
    def proxy_challenges(self) -> tuple[AuthValue, ...]:
        """The challenges of Proxy-Authenticate, in order."""
        return parse_proxy_challenges(self.headers)

    @cached_attribute
    def authorizations(self) -> tuple[AuthValue, ...]:
        """The credentials of Authorization, in order."""
        return parse_authorizations(self.headers)

    @cached_attribute
    def proxy_authorizations(self) -> tuple[AuthValue, ...]:
        """The credentials of Proxy-Authorization, in order."""
        return parse_proxy_authorizations(self.headers)

    def supports(self, option_tag: str) -> bool:
        """Whether Supported or Require names an option tag."""
        wanted = option_tag.lower()
        return any(tag.lower() == wanted for tag in (*self.supported, *self.require))

    def requires(self, option_tag: str) -> bool:
        """Whether Require names an option tag."""
        return any(tag.lower() == option_tag.lower() for tag in self.require)


# What the accessors run; each takes the headers, so that one function is one cache key


def _mandatory(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise MalformedMessage(f"Missing {name} header field")
    return value


def _named(name: str, parse: Callable[[str], T]) -> Callable[[Headers], T | None]:
    """An optional, strict field of one value."""

    def parse_field(headers: Headers) -> T | None:
        value = headers.get(name)
        return None if value is None else parse(value)

    return parse_field


def _lenient(name: str, parse: Callable[[str], T]) -> Callable[[Headers], T | None]:
    """An optional field of one value, absent when malformed."""

    def parse_field(headers: Headers) -> T | None:
        value = headers.get(name)
        try:
            return None if value is None else parse(value)
        except MalformedMessage:
            return None

    return parse_field


_TOKEN_LISTS_REMEMBERED = 1024
"""Addresses that are kept read: those of one dialog come back in each of its messages."""
_LONGEST_TOKEN_LIST = 128
"""The longest of them, so that strangers cannot fill memory with theirs."""


def _parse_list(text: str) -> tuple[NameAddr, ...]:
    return tuple(NameAddr.parse_list(text))


_cached_tokens = lru_cache(_TOKEN_LISTS_REMEMBERED)(NameAddr.parse)
_remembered_list = lru_cache(_TOKEN_LISTS_REMEMBERED)(_parse_list)


def _parse_addresses(values: tuple[str, ...]) -> tuple[NameAddr, ...]:
    if len(values) == 1:
        value = values[0]
        return _remembered_list(value) if len(value) <= _LONGEST_TOKEN_LIST else _parse_list(value)
    return tuple(address for value in values for address in NameAddr.parse_list(value))


def _addresses(name: str) -> Callable[[Headers], tuple[NameAddr, ...]]:
    """A strict list of addresses."""

    def parse_field(headers: Headers) -> tuple[NameAddr, ...]:
        return _parse_addresses(headers.get_all(name))

    return parse_field


def _lenient_values(
    name: str, parse: Callable[[str], T], *, listed: bool = True
) -> Callable[[Headers], tuple[T, ...]]:
    """The well-formed ones of several values."""

    def parse_field(headers: Headers) -> tuple[T, ...]:
        found: list[T] = []
        try:
            values = headers.get_list(name) if listed else headers.get_all(name)
        except MalformedMessage:
            return ()
        for value in values:
            try:
                found.append(parse(value))
            except MalformedMessage:
                continue
        return tuple(found)

    return parse_field


def parse_media_range(text: str) -> str:
    """The media-range of an Accept value, in lower case.  Raises MalformedMessage."""
    return ContentType.parse(text).essence


def parse_vias(headers: Headers) -> tuple[Via, ...]:
    """Via; at least one."""
    values = headers.get_all("Via")
    if not values:
        raise MalformedMessage("Missing Via header field")
    if len(values) == 1:
        return tuple(Via.parse_list(values[0]))
    return tuple(via for value in values for via in Via.parse_list(value))


def parse_from(headers: Headers) -> NameAddr:
    """From."""
    return _address(headers, "From")


def parse_to(headers: Headers) -> NameAddr:
    """To."""
    return _address(headers, "To")


def _address(headers: Headers, name: str) -> NameAddr:
    value = headers.get(name)
    if value is None:
        raise MalformedMessage(f"Missing {name} header field")
    try:
        return _cached_tokens(value) if len(value) <= _LONGEST_TOKEN_LIST else NameAddr.parse(value)
    except MalformedMessage as error:
        raise MalformedMessage(f"Malformed {name} header field") from error


def parse_call_id(headers: Headers) -> str:
    """Call-ID.

    Lenient: any visible ASCII, since identifiers in base64 are seen and it is only compared.
    """
    value = _mandatory(headers, "Call-ID")
    if not value or " " in value or "\t" in value or not value.isascii():
        raise MalformedMessage("Malformed Call-ID header field")
    return value


def parse_cseq(headers: Headers) -> CSeq:
    """CSeq."""
    return CSeq.parse(_mandatory(headers, "CSeq"))


def parse_max_forwards(headers: Headers) -> int | None:
    """Max-Forwards (RFC 3261 section 20.22)."""
    value = headers.get("Max-Forwards")
    if value is None:
        return None
    number = digits(value, 255)
    if number is None:
        raise MalformedMessage("Malformed Max-Forwards header field")
    return number


def parse_contacts(headers: Headers) -> tuple[NameAddr, ...]:
    """Contact; the wildcard stands alone."""
    values = headers.get_all("Contact")
    if values == ("*",):
        return ()
    return _parse_addresses(values)


def parse_require(headers: Headers) -> tuple[str, ...]:
    """Require."""
    if "Require" not in headers:
        return ()
    return tuple(parse_token(tag) for tag in headers.get_list("Require"))


def parse_accept(headers: Headers) -> tuple[str, ...] | None:
    """Accept; an empty field accepts nothing (RFC 3261 section 20.1)."""
    return _parse_accept_values(headers) if "Accept" in headers else None


def parse_rseq_number(text: str) -> int:
    """A response-num (RFC 3262 section 7.1).  Raises MalformedMessage."""
    number = digits(text, DELTA_LIMIT)
    if not number:
        raise MalformedMessage("Malformed RSeq header field")
    return number


def parse_seconds(text: str) -> int:
    """delta-seconds; parameters after them are dropped.  Raises MalformedMessage."""
    return parse_delta_seconds(text.partition(";")[0].rstrip(" \t"))


parse_routes = _addresses("Route")
parse_record_routes = _addresses("Record-Route")
parse_content_type = _named("Content-Type", ContentType.parse)
parse_event = _named("Event", EventValue.parse)
parse_subscription_state = _named("Subscription-State", SubscriptionStateValue.parse)
parse_refer_to = _named("Refer-To", NameAddr.parse)
parse_replaces = _named("Replaces", Replaces.parse)
parse_rseq = _named("RSeq", parse_rseq_number)
parse_rack = _named("RAck", RAck.parse)
parse_session_expires = _named("Session-Expires", SessionExpires.parse)
parse_min_se = _named("Min-SE", parse_seconds)
parse_referred_by = _lenient("Referred-By", NameAddr.parse)
parse_expires = _lenient("Expires", parse_seconds)
parse_min_expires = _lenient("Min-Expires", parse_seconds)
parse_flow_timer = _lenient("Flow-Timer", parse_seconds)
parse_retry_after = _lenient("Retry-After", RetryAfter.parse)
parse_date_field = _lenient("Date", parse_date)
parse_supported = read_tokens("Supported")
parse_unsupported = read_tokens("Unsupported")
parse_allow = read_tokens("Allow")
parse_paths = _lenient_values("Path", NameAddr.parse)
parse_service_routes = _lenient_values("Service-Route", NameAddr.parse)
parse_asserted_identities = _lenient_values("P-Asserted-Identity", NameAddr.parse)
parse_warnings = _lenient_values("Warning", WarningValue.parse)
parse_reasons = _lenient_values("Reason", Reason.parse)
parse_www_challenges = _lenient_values("WWW-Authenticate", AuthValue.parse, listed=False)
parse_proxy_challenges = _lenient_values("Proxy-Authenticate", AuthValue.parse, listed=False)
parse_authorizations = _lenient_values("Authorization", AuthValue.parse, listed=False)
parse_proxy_authorizations = _lenient_values("Proxy-Authorization", AuthValue.parse, listed=False)
_parse_accept_values = _lenient_values("Accept", parse_media_range)

MANDATORY_FIELDS = ("vias", "from_", "to", "call_id", "cseq")
"""What the parser reads of every message."""

STRICT_FIELDS = (
    ("max-forwards", "max_forwards"),
    ("contact", "contacts"),
    ("route", "routes"),
    ("record-route", "record_routes"),
    ("require", "require"),
    ("content-type", "content_type"),
    ("event", "event"),
    ("subscription-state", "subscription_state"),
    ("refer-to", "refer_to"),
    ("replaces", "replaces"),
    ("rseq", "rseq"),
    ("rack", "rack"),
    ("session-expires", "session_expires"),
    ("min-se", "min_se"),
)
"""What the parser reads when the field is there, by its name in lower case."""
