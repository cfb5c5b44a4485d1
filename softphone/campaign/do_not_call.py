"""The do-not-call list: a file with a number a line, looked at again before each call."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

from softphone.campaign.call_list import (
    csv_delimiter,
    is_telephone_number,
    number_key,
    read_text_file,
)
from softphone.config import AccountConfig
from softphone.errors import ConfigurationError

SETTLED = 2.0
"""Seconds after its last change from which on a file that looks the same is the same: a file
system's clock is coarse, and two changes within its step cannot be told apart."""


class DoNotCallList:
    """The numbers of a file that must not be called.

    The first cell of a line is a number, written in any way that the account reads; "#" begins a
    comment.  Raises ConfigurationError when the file cannot be read: then nobody may be called.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        config: AccountConfig,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(path)
        self._config = config
        self._wall = wall
        self._seen: tuple[int, int, int, int] | None = None
        self._keys: frozenset[str] = frozenset()
        self.contains("")

    def contains(self, key: str) -> bool:
        """Whether the number of a key is in the file now.

        Blocks while the file is read.  Raises ConfigurationError.
        """
        try:
            status = self._path.stat()
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror or error}") from error
        seen = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if seen != self._seen:
            self._keys = self._read()
            changed = max(status.st_mtime, status.st_ctime)
            self._seen = seen if self._wall() - changed > SETTLED else None
        return key in self._keys

    def _read(self) -> frozenset[str]:
        found = set()
        text = read_text_file(self._path)
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=csv_delimiter(text), strict=True
        )
        try:
            for row in reader:
                number = _number_of(row)
                if number and not (reader.line_num == 1 and number.lower() == "number"):
                    found.add(number_key(self._config, number))
        except (csv.Error, ConfigurationError) as error:
            raise ConfigurationError(f"{self._path}:{reader.line_num}: {error}") from error
        return frozenset(found)


def _number_of(row: list[str]) -> str:
    """Return the number of a row; "" without one.

    Raises ConfigurationError where a number may stand elsewhere: nobody is called then, rather
    than somebody who must not be.
    """
    if any("\n" in cell or "\r" in cell for cell in row):
        raise ConfigurationError("a quotation mark is not closed in its line")
    number = row[0].partition("#")[0].strip() if row else ""
    if not row or row[0].lstrip().startswith("#"):
        return ""
    others = any(cell.strip() for cell in row[1:])
    named = number.isalpha() and number.lower() != "number"
    elsewhere = any(map(is_telephone_number, row[1:])) and not is_telephone_number(number)
    if (others and (named or not number)) or elsewhere:
        raise ConfigurationError(f"{row[0]!r} is no number: it is the first cell of a line")
    return number
