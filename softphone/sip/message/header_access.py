"""Header fields that are lists of tokens: option tags, methods (RFC 3261 section 25.1).

A far end writes the same ones into all its messages, so that those met last are kept read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from softphone.sip.message.grammar import MalformedMessage, is_token, split_commas
from softphone.sip.message.headers import Headers

__all__ = ["parse_token", "read_tokens"]

_REMEMBERED = 256
"""Lists that are kept read."""
_MEMORABLE = 256
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
                return _read(values[0])
            return tuple(token for value in values for token in _read(value))
        except MalformedMessage:
            return ()

    return parse_field


def _read(text: str) -> tuple[str, ...]:
    return _remembered(text) if len(text) <= _MEMORABLE else _cut(text)


def _cut(text: str) -> tuple[str, ...]:
    return tuple(item for item in split_commas(text) if is_token(item))


_remembered = lru_cache(_REMEMBERED)(_cut)
