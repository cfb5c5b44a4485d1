"""Searches all directories at once, and finds the contact of a number or an address.

A search asks all directories concurrently; one that fails does not affect the others.  A call never
waits: `cached_contact` returns at once what is cached, and otherwise starts a look-up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from softphone.contacts.contact import Contact, merge_contacts, normalize_address, normalize_number
from softphone.errors import SoftphoneError

logger = logging.getLogger("softphone.contacts")


class Directory(Protocol):
    """One source of contacts.  Methods raise SoftphoneError only."""

    @property
    def name(self) -> str:
        """The name of the directory in configuration and results."""

    async def search(self, word: str, limit: int) -> Sequence[Contact]:
        """Return at most `limit` contacts that match a word or the beginning of one."""

    async def by_number(self, number: str) -> Contact | None:
        """Return the contact with this (dialed) number; None if the directory has none."""

    async def by_address(self, address: str) -> Contact | None:
        """Return the contact with this address (as of `normalize_address`), or None."""

    async def close(self) -> None:
        """Close the connections to the directory."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Limits of the look-up cache: at most `entries`, each kept for `keep` seconds.

    A look-up without a result is kept for `keep_nobody`, a failed one for `keep_failure`.  At most
    `looking` look-ups run at a time; a call beyond them is shown without a name.
    """

    entries: int = 1000
    keep: float = 3600.0
    keep_nobody: float = 600.0
    keep_failure: float = 30.0
    looking: int = 16


@dataclass(frozen=True, slots=True)
class DirectorySearchResult:
    """The contacts that a search found, and the failures by directory name."""

    contacts: tuple[Contact, ...] = ()
    failures: tuple[tuple[str, SoftphoneError], ...] = ()


class Contacts:
    """An async context manager over directories, in order of precedence."""

    def __init__(
        self,
        directories: Sequence[Directory],
        *,
        limits: CacheLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directories = tuple(directories)
        self._limits = limits or CacheLimits()
        self._clock = clock
        self._names: OrderedDict[str, tuple[float, Contact | None]] = OrderedDict()
        self._looking: dict[str, asyncio.Task[Contact | None]] = {}

    @property
    def directories(self) -> tuple[Directory, ...]:
        """The directories, in order of precedence."""
        return self._directories

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel the look-ups that run, and close the directories."""
        for task in self._looking.values():
            task.cancel()
        if self._looking:
            await asyncio.wait(tuple(self._looking.values()))
        await asyncio.gather(*(each.close() for each in self._directories))

    async def search(self, word: str, *, limit: int = 20) -> tuple[Contact, ...]:
        """Return the contacts that match a word, each person once.

        Raises the first failure if no directory could be asked; `find` returns all failures.
        """
        found = await self.find(word, limit=limit)
        if found.failures and len(found.failures) == len(self._directories):
            raise found.failures[0][1]
        return found.contacts

    async def find(self, word: str, *, limit: int = 20) -> DirectorySearchResult:
        """Search as `search` does; return contacts and failures."""
        outcomes = await asyncio.gather(
            *(each.search(word, limit) for each in self._directories), return_exceptions=True
        )
        groups: list[Sequence[Contact]] = []
        failures: list[tuple[str, SoftphoneError]] = []
        for directory, outcome in zip(self._directories, outcomes, strict=True):
            if isinstance(outcome, SoftphoneError):
                failures.append((directory.name, outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                groups.append(outcome)
        return DirectorySearchResult(merge_contacts(groups, limit), tuple(failures))

    def cached_contact(self, text: str) -> Contact | None:
        """Return the cached contact of a number or address; if nothing is cached, start a look-up.

        `text` may be any user part or address of a URI; None if it is neither number nor address.
        """
        wanted = _wanted(text)
        if wanted is None or not self._directories:
            return None
        until, contact = self._names.get(wanted, (0.0, None))
        if self._clock() >= until:
            self._start_lookup(wanted)
            return None
        self._names.move_to_end(wanted)
        return contact

    def call_when_known(self, text: str, on_known: Callable[[Contact], None]) -> None:
        """Call `on_known` with the contact of a number or address: now if cached, else when found.

        It is called at most once, and never if no contact is found.
        """
        contact = self.cached_contact(text)
        if contact is not None:
            on_known(contact)
            return
        task = self._looking.get(_wanted(text) or "")
        if task is not None:
            task.add_done_callback(lambda done: _pass_on(done, on_known))

    async def by_number(self, number: str) -> Contact | None:
        """Look up the contact of a number; wait for the directories."""
        return await self._owner(normalize_number(number))

    async def by_address(self, address: str) -> Contact | None:
        """Look up the contact of a SIP or mail address; wait for the directories."""
        return await self._owner(normalize_address(address))

    async def _owner(self, wanted: str | None) -> Contact | None:
        if wanted is None:
            return None
        until, contact = self._names.get(wanted, (0.0, None))
        if self._clock() < until:
            return contact
        task = self._start_lookup(wanted)
        return contact if task is None else await asyncio.shield(task)

    def _start_lookup(self, wanted: str) -> asyncio.Task[Contact | None] | None:
        """Start a look-up of a number or an address, or return the one that runs already.

        None if too many look-ups run (`CacheLimits.looking`).
        """
        task = self._looking.get(wanted)
        if task is None:
            if len(self._looking) >= self._limits.looking:
                return None
            task = asyncio.get_running_loop().create_task(self._look_up(wanted))
            self._looking[wanted] = task
            task.add_done_callback(lambda _: self._looking.pop(wanted, None))
        return task

    async def _look_up(self, wanted: str) -> Contact | None:
        failed = False
        for directory in self._directories:
            ask = directory.by_address if "@" in wanted else directory.by_number
            try:
                contact = await ask(wanted)
            except SoftphoneError as exc:
                failed = True
                logger.info("%s does not say who that is: %s", directory.name, exc)
                continue
            if contact is not None:
                self._cache_contact(wanted, contact, self._limits.keep)
                return contact
        limits = self._limits
        self._cache_contact(wanted, None, limits.keep_failure if failed else limits.keep_nobody)
        return None

    def _cache_contact(self, wanted: str, contact: Contact | None, seconds: float) -> None:
        self._names[wanted] = (self._clock() + seconds, contact)
        self._names.move_to_end(wanted)
        while len(self._names) > self._limits.entries:
            self._names.popitem(last=False)


def _wanted(text: str) -> str | None:
    """Return the key of a look-up: a number as it is dialed, or an address, or None."""
    return normalize_number(text) or normalize_address(text)


def _pass_on(done: asyncio.Task[Contact | None], on_known: Callable[[Contact], None]) -> None:
    if not done.cancelled() and done.exception() is None:
        contact = done.result()
        if contact is not None:
            on_known(contact)
