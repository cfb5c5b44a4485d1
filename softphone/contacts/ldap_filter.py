"""Builds LDAP search filters (RFC 4515); user input is always escaped.

Pure functions, without a schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from softphone.contacts.contact import normalize_number

_SPECIAL = frozenset("\\*()\0")
_MOST_WORDS = 4
_TRAILING = 4


def escape_filter_value(value: str) -> str:
    """A value as a filter has it (RFC 4515 section 3)."""
    return "".join(f"\\{ord(each):02x}" if each in _SPECIAL else each for each in value)


def word_filter(words: str, attributes: Sequence[str], numbers: Sequence[str], also: str) -> str:
    """Entries of which each word begins one of `attributes`; a number is looked for, too."""
    number = normalize_number(words)
    chosen = words.split()[:_MOST_WORDS]
    parts = [_any(attributes, f"{escape_filter_value(word)}*") for word in chosen]
    every = parts[0] if len(parts) == 1 else f"(&{''.join(parts)})"
    if number is not None and numbers:
        every = f"(|{every}{_any(numbers, _ending(number))})"
    return f"(&{also}{every})"


def number_filter(number: str, numbers: Sequence[str], also: str) -> str:
    """Entries that may have this number; how it is written there is not known.

    The last digits, with anything between them: who gets the entries compares the numbers.
    """
    return f"(&{also}{_any(numbers, _ending(number))})"


def address_filter(address: str, uris: Sequence[str], mails: Sequence[str], also: str) -> str:
    """Entries with this address: those of SIP stand in directories with their scheme or without.

    Active Directory's proxyAddresses have many schemes, and may be among `uris`.
    """
    text = escape_filter_value(address)
    tests = [_any(uris, f"{scheme}{text}") for scheme in ("sip:", "") if uris]
    tests += [_any(mails, text)] if mails else []
    return f"(&{also}(|{''.join(tests)}))"


def _ending(number: str) -> str:
    """Matches a number as people write it: blanks and dashes stand between any two digits."""
    digits = number.lstrip("+")
    last = digits[-_TRAILING:]
    return "*" + "*".join(escape_filter_value(each) for each in last)


def _any(attributes: Sequence[str], value: str) -> str:
    tests = [f"({attribute}={value})" for attribute in attributes]
    return tests[0] if len(tests) == 1 else f"(|{''.join(tests)})"
