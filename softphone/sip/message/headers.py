"""The header fields of a message as text, an ordered multimap (RFC 3261 section 20).

Values of a received message are unfolded and stripped.  `softphone.sip.message.header_registry`
declares the known fields and their types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Sequence
from typing import TypeAlias

from softphone.errors import LocalProtocolError
from softphone.sip.message.grammar import is_token
from softphone.sip.message.header_registry import HEADER_FIELDS, KEYS, describe_field, field_key

Field: TypeAlias = tuple[str, str]
"""A header field: its name and its value."""

_KNOWN_NAMES = frozenset([field.name for field in HEADER_FIELDS])


class Headers:
    """The header fields of a message: an immutable, ordered, case-insensitive multimap.

    Names are given in any spelling, compact forms included, and print in their RFC's spelling.
    Values hold no line break.
    """

    __slots__ = ("_index", "_items")

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
        self._items = tuple(taken)
        self._index: dict[str, list[str]] | None = None

    @classmethod
    def from_wire(cls, items: tuple[Field, ...], index: dict[str, list[str]]) -> Headers:
        """Make headers without checks, for the parser only.

        Names are in their RFC's spelling, values have no line break, `index` is by lower-case key.
        """
        headers = cls.__new__(cls)
        headers._items = items
        headers._index = index
        return headers

    def _by_key(self) -> dict[str, list[str]]:
        index = self._index
        if index is None:
            index = {}
            for name, value in self._items:
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

    def keys(self) -> KeysView[str]:
        """Return the names present, in lower case, compact forms expanded."""
        return self._by_key().keys()

    def get(self, name: str) -> str | None:
        """Return the first field value of that name, or None."""
        index = self._index
        if index is None:
            index = self._by_key()
        values = index.get(KEYS.get(name) or field_key(name))
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return every field value of that name in order; lists are not split."""
        index = self._index
        if index is None:
            index = self._by_key()
        values = index.get(KEYS.get(name) or field_key(name))
        return tuple(values) if values else ()

    def values_of(self, key: str) -> Sequence[str]:
        """Return every field value of a full name in lower case; do not modify the result."""
        index = self._index
        if index is None:
            index = self._by_key()
        return index.get(key, ())

    def with_added(self, name: str, value: str) -> Headers:
        """Return these fields with one more at the end."""
        return Headers((*self._items, (name, value)))

    def with_prepended(self, name: str, value: str) -> Headers:
        """Return these fields with one more before all others, as for a Via or a Route."""
        return Headers(((name, value), *self._items))

    def with_replaced(self, name: str, *values: str) -> Headers:
        """Return these fields with every `name` replaced by `values`, at the first one's position.

        Appends them at the end when there is none.
        """
        key = field_key(name)
        fields: list[Field] = []
        placed = False
        for item in self._items:
            if (KEYS.get(item[0]) or field_key(item[0])) != key:
                fields.append(item)
            elif not placed:
                placed = True
                fields.extend((name, value) for value in values)
        if not placed:
            fields.extend((name, value) for value in values)
        return Headers(fields)

    def without(self, *names: str) -> Headers:
        """Return these fields without those names."""
        keys = {field_key(name) for name in names}
        return Headers(item for item in self._items if field_key(item[0]) not in keys)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        index = self._index
        if index is None:
            index = self._by_key()
        return (KEYS.get(name) or field_key(name)) in index

    def __iter__(self) -> Iterator[Field]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        # Values are left out, so that Authorization and the like do not reach a log.
        return f"Headers({', '.join(name for name, _ in self._items)})"
