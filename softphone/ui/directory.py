"""The directories of the page: one search over all of them, and how their connections are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from softphone import Phone
from softphone.contacts import Contact, Contacts, DirectoryConfig
from softphone.errors import CertificateError, SoftphoneError
from softphone.ui.request_fields import check_names, sentence, text_field
from softphone.ui.service_row import service_row
from softphone.web import BadRequest

LONGEST_WORD = 100
MOST_FOUND = 50
MOST_NUMBERS = 10
USER_DIRECTORY = "uds"
"""The name of the directory that a user's sign-in opens."""


class Directory:
    """The directories; `changed` is called after each search."""

    def __init__(
        self, configs: Sequence[DirectoryConfig], phone: Phone, changed: Callable[[], None]
    ) -> None:
        self._configs = tuple(configs)
        self._names = [each.name for each in self._configs]
        self._phone = phone
        self._changed = changed
        self._contacts: Contacts | None = None
        self._failures: dict[str, SoftphoneError] = {}
        self._asked = False

    def start(self) -> None:
        """Open the directories, where there are any.  Raises ConfigurationError."""
        if self._configs:
            self._contacts = self._phone.open_directories(self._configs)

    def use_contacts(self, contacts: Contacts) -> None:
        """Take over the directory of a user's sign-in, which was asked then."""
        self._contacts, self._asked, self._names = contacts, True, [USER_DIRECTORY]

    def services(self) -> list[dict[str, Any]]:
        """Return the directories as JSON values; the lock is None until one has answered."""
        return [self._service(name) for name in self._names]

    def _service(self, name: str) -> dict[str, Any]:
        error = self._failures.get(name)
        lock = True if self._asked and error is None else None
        why = "TLS from the first byte; nothing was asked yet"
        state = "not asked yet"
        if error is not None:
            state, why = "failed", sentence(error)
        elif self._asked:
            state, why = "ready", "TLS from the first byte, and the certificate was verified"
        return service_row("directory", name, state, lock=lock, why=why)

    def refused(self) -> list[tuple[str, SoftphoneError]]:
        """Return the directories whose certificate was refused, with the reason."""
        return [
            (name, error)
            for name, error in self._failures.items()
            if isinstance(error, CertificateError)
        ]

    async def search(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Search people by a word: {"word"}."""
        check_names(given, "word")
        word = text_field(given, "word", most=LONGEST_WORD)
        if self._contacts is None:
            raise BadRequest(
                "there is no directory: [directory.NAME] of the account file names one, or a"
                " user's sign-in finds it"
            )
        found = await self._contacts.find(word, limit=MOST_FOUND)
        self._asked, self._failures = True, dict(found.failures)
        self._changed()
        failures = [f"{name}: {sentence(error)}" for name, error in found.failures]
        return {"contacts": [_plain(each) for each in found.contacts], "failures": failures}


def _plain(contact: Contact) -> dict[str, Any]:
    return {
        "name": contact.name,
        "numbers": [
            {"kind": each.kind, "text": each.text, "dialed": each.dialed}
            for each in contact.numbers[:MOST_NUMBERS]
        ],
        "email": contact.email,
        "uri": contact.uri,
        "department": contact.department,
        "title": contact.title,
    }
