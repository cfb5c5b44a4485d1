"""Builds LDAP search filters (RFC 4515); user input is always escaped.

The functions are pure, and use no schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from softphone.contacts.contact import normalize_number

_SPECIAL = frozenset("\\*()\0")
_MOST_WORDS = 4
_TRAILING = 4


def escape_filter_value(value: str) -> str:
    """Escape a value for a filter (RFC 4515 section 3)."""
    return "".join(f"\\{ord(each):02x}" if each in _SPECIAL else each for each in value)


def word_filter(words: str, attributes: Sequence[str], numbers: Sequence[str], also: str) -> str:
    """Match entries where each of the first four words begins one of `attributes`.

    If `words` is a number, entries with it among `numbers` match, too.  `also` is a filter that
    every entry must match.
    """
    number = normalize_number(words)
    chosen = words.split()[:_MOST_WORDS]
    parts = [_any(attributes, f"{escape_filter_value(word)}*") for word in chosen]
    every = parts[0] if len(parts) == 1 else f"(&{''.join(parts)})"
    if number is not None and numbers:
        every = f"(|{every}{_any(numbers, _ending(number))})"
    return f"(&{also}{every})"


def number_filter(number: str, numbers: Sequence[str], also: str) -> str:
    """Match entries that may have this number, however it is written.

    The filter matches the last four digits with any characters between them; the caller must
    compare the numbers of the entries it gets.
    """
    return f"(&{also}{_any(numbers, _ending(number))})"


def address_filter(address: str, uris: Sequence[str], mails: Sequence[str], also: str) -> str:
    """Match entries with this address in `uris`, with or without "sip:", or in `mails`.

    Active Directory's proxyAddresses have many schemes, and may be among `uris`.
    """
    text = escape_filter_value(address)
    tests = [_any(uris, f"{scheme}{text}") for scheme in ("sip:", "") if uris]
    tests += [_any(mails, text)] if mails else []
    return f"(&{also}(|{''.join(tests)}))"


def _ending(number: str) -> str:
    """Return a substring pattern for a number's last digits, with any characters between them."""
    digits = number.lstrip("+")
    last = digits[-_TRAILING:]
    return "*" + "*".join(escape_filter_value(each) for each in last)


def _any(attributes: Sequence[str], value: str) -> str:
    tests = [f"({attribute}={value})" for attribute in attributes]
    return tests[0] if len(tests) == 1 else f"(|{''.join(tests)})"
