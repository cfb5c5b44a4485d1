"""The name that a directory has for the other end of a call: told when it is known, waited for
by nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from softphone.call.leg.event_queue import EventQueue
from softphone.contacts import Contact
from softphone.events import CallEvent, PeerNamed
from softphone.sip import NameAddr

__all__ = ["NameLookup", "PeerName", "no_name_lookup"]

NameLookup: TypeAlias = Callable[[NameAddr, Callable[[Contact], None]], None]
"""Has a contact told once it is known, at once if it is known now; returns at once in any case."""


def no_name_lookup(peer: NameAddr, on_found: Callable[[Contact], None]) -> None:
    """There is no directory."""


class PeerName:
    """Who the other end of one call is; `contact` is None as long as nobody knows."""

    def __init__(self, names: NameLookup, event_queue: EventQueue[CallEvent]) -> None:
        self._names = names
        self._mailbox = event_queue
        self.contact: Contact | None = None

    def look_up(self, peer: NameAddr) -> None:
        """Have it looked up, once."""
        if self.contact is None:
            self._names(peer, self._set_contact)

    def _set_contact(self, contact: Contact) -> None:
        self.contact = contact
        self._mailbox.put_event(PeerNamed(contact.name, contact.sources))
