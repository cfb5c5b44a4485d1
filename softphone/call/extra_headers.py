"""Checks the header fields that an application adds to a request; all of them pass here.

Header fields that the stack writes itself cannot be given: a second Contact, Route or identity in a
request would contradict what the stack says itself, or say what only a server may assert (RFC
3325).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from softphone.call.leg.setup import HeaderFields
from softphone.errors import ConfigurationError
from softphone.sip.message.grammar import is_token
from softphone.sip.message.headers import describe_field, field_key

ExtraHeaders: TypeAlias = Mapping[str, str | Sequence[str]] | Iterable[tuple[str, str]]
"""Values by name, several in a sequence; or pairs, in the order in which they are sent."""

LONGEST_VALUE = 2048
"""The most octets of one value, in UTF-8."""

OWNED = frozenset(
    field_key(name)
    for name in (
        # Routing and the transaction (RFC 3261, RFC 3327, RFC 3608).
        *("Via", "Max-Forwards", "Route", "Record-Route", "Path", "Service-Route", "Timestamp"),
        # The dialog, the session and its extensions (RFC 3261, 3262, 3891, 3911, 4028).
        *("From", "To", "Call-ID", "CSeq", "Contact", "RSeq", "RAck", "Replaces", "Join"),
        *("Require", "Proxy-Require", "Supported", "Unsupported", "Allow", "Accept"),
        *("Session-Expires", "Min-SE", "Expires", "Min-Expires", "Reason", "Session-ID"),
        # The body.
        *("Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition"),
        *("Content-Language", "Content-Transfer-Encoding", "MIME-Version"),
        # The names of the software (RFC 3261 sections 20.35 and 20.41).
        *("User-Agent", "Server"),
        # Credentials and agreements on security (RFC 3261, RFC 3329).
        *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"),
        *("Authentication-Info", "Proxy-Authentication-Info"),
        *("Security-Client", "Security-Server", "Security-Verify"),
        # Our identity, which a server asserts (RFC 3325, RFC 8224, and their forerunners).
        *("P-Asserted-Identity", "Remote-Party-ID", "Identity", "P-Associated-URI"),
        # Events and referrals (RFC 6665, RFC 3515, RFC 3892, RFC 3903).
        *("Event", "Allow-Events", "Subscription-State", "Refer-To", "Refer-Sub", "Referred-By"),
        *("SIP-ETag", "SIP-If-Match", "Info-Package", "Recv-Info"),
    )
)
"""Keys of the header fields that the stack writes itself."""


def checked_headers(given: ExtraHeaders) -> HeaderFields:
    """Check the header fields of an application; return them in order, unchanged.

    Raises ConfigurationError for a name that is no token or is the stack's own, for a value with a
    line break or another control character or of more than `LONGEST_VALUE` octets, and for a second
    value of a field that may occur only once.  The message names the field and never quotes its
    value.
    """
    fields: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, value in _pairs(given):
        if not isinstance(name, str) or not is_token(name):
            raise ConfigurationError(f"headers: {name!r} is no name of a header field: use a token")
        key, written, single = describe_field(name)
        if key in OWNED:
            raise ConfigurationError(f"headers: {written} is written by softphone itself")
        if single and key in seen:
            raise ConfigurationError(f"headers: {written} may stand only once")
        _check_value(written, value)
        seen.add(key)
        fields.append((name, value))
    return tuple(fields)


def _pairs(given: ExtraHeaders) -> Iterator[tuple[str, str]]:
    """Return each name with each of its values."""
    if given == ():
        return
    if isinstance(given, Mapping):
        for name, values in given.items():
            several = values if isinstance(values, tuple | list) else (values,)
            for value in several:
                yield name, value
        return
    if isinstance(given, str):
        raise ConfigurationError("headers: give a mapping of names to values")
    for pair in given:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ConfigurationError("headers: give a mapping of names to values, or pairs of both")
        yield pair[0], pair[1]


def _check_value(name: str, value: object) -> None:
    """Raise ConfigurationError for what cannot be sent as a value."""
    if not isinstance(value, str):
        raise ConfigurationError(f"headers: the value of {name} is no text")
    # A line break would begin another header field, which is not checked.
    if any((c < " " and c != "\t") or c == "\x7f" for c in value):
        raise ConfigurationError(f"headers: the value of {name} has a control character")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"headers: the value of {name} is no valid Unicode") from None
    if size > LONGEST_VALUE:
        raise ConfigurationError(
            f"headers: the value of {name} has {size} octets; at most {LONGEST_VALUE} are sent"
        )
