"""A pytest plugin that searches every log of the suite for every key that it used.

Keys are recorded as they are made (`KeyMaterial`), by this process, from its first test on.  The
log of a test, its fixtures included, is searched once the test is over.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from softphone.security import KeyMaterial

LEAST, BEGINNING = 16, 15
"""Octets of a key (what is shorter is a password of a test, and may be a word), and of what is
looked for: 20 characters of base64, 30 hexadecimal digits."""
TOKEN = re.compile(r"[A-Za-z0-9+/]{20,}")


class LogSearch(logging.Handler):
    """What was logged, and of each key a hash of its beginning: nobody finds a key in here."""

    def __init__(self) -> None:
        super().__init__(0)
        self.lines: list[str] = []
        self.known: set[int] = set()

    def see(self, data: bytes | bytearray) -> None:
        """Remember a key.  One that begins with few different octets is a test's own, and says
        nothing: the nil UUID of a Session-ID would show it."""
        if len(data) >= LEAST and len(set(data[:BEGINNING])) > 4:
            self.known.add(hash(bytes(data[:BEGINNING])))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with its traceback."""
        self.lines.append(logging.Formatter().format(record))

    def found(self) -> list[str]:
        """The lines that show a key; all lines are forgotten."""
        lines, self.lines = self.lines, []
        return [line for line in lines if self._shows(line)]

    def _shows(self, line: str) -> bool:
        return any(
            hash(beginning) in self.known
            for token in TOKEN.findall(line)
            for beginning in _beginnings(token)
        )


def _beginnings(token: str) -> Iterator[bytes]:
    """What 15 octets may stand anywhere in it, as base64 or as hexadecimal digits."""
    for at in range(len(token) - 19):
        yield base64.b64decode(token[at : at + 20])
        with suppress(ValueError):
            yield bytes.fromhex(token[at : at + 30])


SEARCH = LogSearch()


def pytest_configure() -> None:
    """Listen, and see each key as it is made."""
    made = KeyMaterial.__init__

    def make(self: KeyMaterial, data: bytes | bytearray) -> None:
        made(self, data)
        SEARCH.see(data)

    KeyMaterial.__init__ = make  # type: ignore[method-assign]
    logging.getLogger().addHandler(SEARCH)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """A test whose log shows a key has failed."""
    yield
    if found := SEARCH.found():
        pytest.fail(f"the log of {item.nodeid} shows a key: {len(found)} lines", pytrace=False)
