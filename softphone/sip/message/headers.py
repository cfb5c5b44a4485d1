"""Header fields: names, multiplicity, and the ordered multimap of a message (RFC 3261 section 20).

A field value is kept as text, unfolded and stripped; `softphone.sip.message.typed_headers` and
`softphone.sip.message.typed_headers` have the types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView
from typing import TypeAlias

from softphone.errors import LocalProtocolError
from softphone.sip.message.grammar import is_token, split_commas

__all__ = ["Field", "Headers", "canonical_name", "field_key", "is_list", "is_single"]

Field: TypeAlias = tuple[str, str]
"""A header field: its name and its value."""

# RFC 3261 section 7.3.3 and the registry of header fields.
_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

# Fields that may stand once, and whose repetition makes a message ambiguous.
_SINGLE = (
    "Call-ID",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Event",
    "Expires",
    "Flow-Timer",
    "From",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "RAck",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Retry-After",
    "RSeq",
    "Session-Expires",
    "SIP-ETag",
    "SIP-If-Match",
    "Subscription-State",
    "To",
)

# Fields whose value is a comma-separated list that may be cut into several fields (section 7.3.1).
_LISTS = (
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Call-Info",
    "Contact",
    "Content-Encoding",
    "Content-Language",
    "Diversion",
    "Error-Info",
    "Geolocation",
    "History-Info",
    "In-Reply-To",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Preferred-Identity",
    "Path",
    "Proxy-Require",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Reject-Contact",
    "Remote-Party-ID",
    "Require",
    "Route",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Service-Route",
    "Supported",
    "Unsupported",
    "Via",
    "Warning",
)

# Fields of one value that are named here for their spelling only.
_OTHERS = (
    "Authentication-Info",
    "Authorization",
    "Content-Disposition",
    "Content-Transfer-Encoding",
    "Date",
    "Identity",
    "Info-Package",
    "MIME-Version",
    "Organization",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Reply-To",
    "Request-Disposition",
    "Server",
    "Subject",
    "Timestamp",
    "User-Agent",
    "WWW-Authenticate",
)

_SPELLING = {name.lower(): name for name in (*_SINGLE, *_LISTS, *_OTHERS)}
_SPELLED = frozenset(_SPELLING.values())
_SINGLE_KEYS = frozenset(name.lower() for name in _SINGLE)
_LIST_KEYS = frozenset(name.lower() for name in _LISTS)
# What most messages write, so that most names cost one look-up.
_KEYS = {name: key for key, name in _SPELLING.items()} | _COMPACT
_KEYS |= {short.upper(): key for short, key in _COMPACT.items()} | {k: k for k in _SPELLING}


def field_key(name: str) -> str:
    """The name in lower case, compact forms expanded: what two spellings have in common."""
    key = _KEYS.get(name)
    if key is not None:
        return key
    lowered = name.lower()
    return _COMPACT.get(lowered, lowered)


def canonical_name(name: str) -> str:
    """The name as its RFC spells it; an unknown one as it is."""
    return _SPELLING.get(field_key(name), name)


def is_single(name: str) -> bool:
    """Whether a message with two such fields is ambiguous and has to be refused."""
    return field_key(name) in _SINGLE_KEYS


def is_list(name: str) -> bool:
    """Whether the value is a comma-separated list (RFC 3261 section 7.3.1)."""
    return field_key(name) in _LIST_KEYS


class Headers:
    """The header fields of a message: an immutable, ordered, case-insensitive multimap.

    Names are given in any spelling, compact forms included, and print in their RFC's spelling.
    Values hold no line break.
    """

    __slots__ = ("_index", "_items")

    def __init__(self, items: Iterable[Field] = ()) -> None:
        """Raises LocalProtocolError for a name that is no token or a value with a line break."""
        taken: list[Field] = []
        for item in items:
            name, value = item
            # What the table spells is a token: most names cost one look-up.
            if name not in _SPELLED:
                name = canonical_name(name)
                item = name, value
                if name not in _SPELLED and not is_token(name):
                    raise LocalProtocolError(f"{name!r} cannot be sent as a header field")
            if "\r" in value or "\n" in value:
                raise LocalProtocolError(f"{name!r} cannot be sent as a header field")
            taken.append(item)
        self._items = tuple(taken)
        self._index: dict[str, list[str]] | None = None

    @classmethod
    def from_wire(cls, items: tuple[Field, ...], index: dict[str, list[str]]) -> Headers:
        """For the parser alone: names are canonical, values are clean, `index` is by key."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._index = index
        return headers

    def _by_key(self) -> dict[str, list[str]]:
        index = self._index
        if index is None:
            index = {}
            for name, value in self._items:
                key = _KEYS.get(name) or field_key(name)
                if key in index:
                    index[key].append(value)
                else:
                    index[key] = [value]
            self._index = index
        return index

    def drop_index(self) -> None:
        """Nobody will look here soon: what makes looking quick takes more than the fields do, and
        is made anew when somebody does."""
        self._index = None

    def keys(self) -> KeysView[str]:
        """The names that are there, in lower case."""
        return self._by_key().keys()

    def get(self, name: str) -> str | None:
        """The first field value of that name, or None."""
        index = self._index
        if index is None:
            index = self._by_key()
        values = index.get(_KEYS.get(name) or field_key(name))
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every field value of that name in order, lists not cut."""
        index = self._index
        if index is None:
            index = self._by_key()
        values = index.get(_KEYS.get(name) or field_key(name))
        return tuple(values) if values else ()

    def get_list(self, name: str) -> tuple[str, ...]:
        """Every element of a list field in order, empty ones dropped.

        Raises MalformedMessage for an unterminated quoted string.
        """
        values = self.get_all(name)
        return tuple([item for value in values for item in split_commas(value) if item])

    def with_added(self, name: str, value: str) -> Headers:
        """These fields and one more at the end."""
        return Headers((*self._items, (name, value)))

    def with_prepended(self, name: str, value: str) -> Headers:
        """These fields and one more before all others, where a Via or a Route belongs."""
        return Headers(((name, value), *self._items))

    def with_replaced(self, name: str, *values: str) -> Headers:
        """These fields with every `name` replaced by `values`, in the place of the first."""
        key = field_key(name)
        fields: list[Field] = []
        placed = False
        for item in self._items:
            if (_KEYS.get(item[0]) or field_key(item[0])) != key:
                fields.append(item)
            elif not placed:
                placed = True
                fields.extend((name, value) for value in values)
        if not placed:
            fields.extend((name, value) for value in values)
        return Headers(fields)

    def without(self, *names: str) -> Headers:
        """These fields without those names."""
        keys = {field_key(name) for name in names}
        return Headers(item for item in self._items if field_key(item[0]) not in keys)

    def without_first(self, name: str) -> Headers:
        """These fields without the first of that name: a server takes off its Via or Route."""
        key = field_key(name)
        for i, item in enumerate(self._items):
            if field_key(item[0]) == key:
                return Headers((*self._items[:i], *self._items[i + 1 :]))
        return self

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        index = self._index
        if index is None:
            index = self._by_key()
        return (_KEYS.get(name) or field_key(name)) in index

    def __iter__(self) -> Iterator[Field]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        # Values are left out: Authorization and its kin would end up in a log.
        return f"Headers({', '.join(name for name, _ in self._items)})"
