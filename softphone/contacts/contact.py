"""Defines contacts, and decides whether two directory entries are the same person.

Numbers are compared as dialed: spaces, dots, dashes and brackets are ignored, and one number may
have prefixes (E.164) that the other lacks.  SIP and mail addresses are compared without their
scheme and without regard to case.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

_SAYS_NOTHING = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")
_DIALED = re.compile(r"\+?[0-9*#]{2,32}")
_PART = r"[^\s@:;?<>\"\[\]]"
_ADDRESS = re.compile(
    rf"(?:(?:sips?|im|xmpp|mailto):)?({_PART}{{1,64}}@{_PART}{{1,253}})(?:[:;?].*)?", re.IGNORECASE
)
_SUBSCRIBER = 7
"""The fewest digits of a number that is compared by its ending; shorter ones must be equal."""


def normalize_number(text: str) -> str | None:
    """Return a number as it is dialed; None if the text is no number."""
    number = _SAYS_NOTHING.sub("", text)
    return number if _DIALED.fullmatch(number) else None


def normalize_address(text: str) -> str | None:
    """Return a person's address, `user@domain` in lower case; None if the text is none.

    No directory lists an IP address as a domain, and .invalid is anonymous (RFC 3323).
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    address = match[1].casefold()
    host = address.rpartition("@")[2].rstrip(".")
    return None if host.endswith(".invalid") or _is_ip(host) else address


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def same_number(one: str, other: str) -> bool:
    """Whether two dialed numbers probably reach the same phone.

    Two numbers with "+" must be equal; otherwise, from seven digits on, one may end with the other.
    """
    short, long = sorted((one.lstrip("+"), other.lstrip("+")), key=len)
    if one.startswith("+") and other.startswith("+"):
        return one == other
    if len(short) < _SUBSCRIBER:
        return short == long
    return long.endswith(short.lstrip("0"))


@dataclass(frozen=True, slots=True)
class ContactNumber:
    """A number as the directory writes it, and its kind: work, mobile, home or other."""

    kind: str
    text: str

    @property
    def dialed(self) -> str | None:
        """The number as it is dialed; None if `text` is no number."""
        return normalize_number(self.text)


@dataclass(frozen=True, slots=True)
class Contact:
    """One person; `sources` are the directories that have an entry."""

    name: str
    numbers: tuple[ContactNumber, ...] = ()
    email: str = ""
    uri: str = ""
    username: str = ""
    department: str = ""
    title: str = ""
    sources: tuple[str, ...] = ()

    def has_number(self, number: str) -> bool:
        """Whether this (dialed) number is one of the contact's."""
        own = (each.dialed for each in self.numbers)
        return any(same_number(number, each) for each in own if each is not None)

    def has_address(self, address: str) -> bool:
        """Whether this address (as of `normalize_address`) is the contact's SIP or mail address."""
        return address in (normalize_address(self.uri), normalize_address(self.email))


def merge_contacts(groups: Iterable[Sequence[Contact]], limit: int) -> tuple[Contact, ...]:
    """Return the contacts of several directories, each person once, at most `limit`.

    The order is that of the directories.  Two entries are one person if they share a mail address,
    a URI or a user name, and do not differ in any of these that both have.
    """
    found: list[Contact] = []
    places: dict[tuple[str, str], int] = {}
    for contact in (each for group in groups for each in group):
        keys = _keys(contact)
        known = next((places[key] for key in keys if key in places), None)
        if known is not None and _agree(found[known], contact):
            found[known] = _joined(found[known], contact)
        elif len(found) < limit:
            known = len(found)
            found.append(contact)
        else:
            continue
        for key in keys:
            places.setdefault(key, known)
    return tuple(found)


def _keys(contact: Contact) -> list[tuple[str, str]]:
    values = (("email", contact.email), ("uri", contact.uri), ("username", contact.username))
    return [(kind, value.casefold()) for kind, value in values if value]


def _agree(one: Contact, other: Contact) -> bool:
    mine, theirs = dict(_keys(one)), dict(_keys(other))
    return all(mine[kind] == theirs[kind] for kind in mine.keys() & theirs.keys())


def _joined(first: Contact, second: Contact) -> Contact:
    numbers = list(first.numbers)
    numbers += (
        each for each in second.numbers if each.dialed is None or not first.has_number(each.dialed)
    )
    return replace(
        first,
        numbers=tuple(numbers),
        email=first.email or second.email,
        uri=first.uri or second.uri,
        username=first.username or second.username,
        department=first.department or second.department,
        title=first.title or second.title,
        sources=tuple(dict.fromkeys((*first.sources, *second.sources))),
    )
