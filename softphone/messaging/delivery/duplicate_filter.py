"""Filters duplicates by message id, so that a message sent twice is shown once."""

from __future__ import annotations

from collections import OrderedDict


class DuplicateFilter:
    """Remembers the last `most` message ids, each with its sender."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._ids: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_first(self, sender: str, key: str) -> bool:
        """Whether this id arrives from this sender for the first time; remembers it.

        True for a message without an id.
        """
        if not key:
            return True
        entry = (sender, key)
        known = entry in self._ids
        self._ids[entry] = None
        self._ids.move_to_end(entry)
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return not known

    def forget_id(self, sender: str, key: str) -> None:
        """Forget an id: its message was not accepted, and may arrive again."""
        self._ids.pop((sender, key), None)
