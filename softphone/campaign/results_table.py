"""The results as CSV, for a spreadsheet: a row for each attempt, written as it ends.

A spreadsheet computes a cell that begins with "=", "+", "-" or "@": names and reasons come from
strangers.  Such a cell, a telephone number with "+" among them, gets an apostrophe before it; so
does what follows ";", ",", "|" or a tab within a cell, since some spreadsheets separate cells by
them.  The JSON lines have everything as it is.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from softphone.campaign.journal import AttemptResult, JournalError
from softphone.trust.disk import write_private

COLUMNS = (
    *("line", "number", "name", "attempt", "outcome", "started", "ended", "seconds"),
    *("status", "reason", "detail", "call_id"),
)
"""Columns may be added at the end."""

_FORMULA = re.compile(r'(^|[;,|\t\r\n])(?=(?:[^\S\t\r\n]|")*[=+\-@])')
"""Where a formula may begin: blanks and quotation marks before it may be dropped."""
_LEADING = ("\t", "\r", "\n")


def neutral_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = _FORMULA.sub(r"\1'", text)
    return f"'{text}" if text.startswith(_LEADING) else text


class ResultsTable:
    """A context that holds the file open; entering it writes the rows of earlier runs again.

    Raises ConfigurationError when the file cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], earlier: Iterable[AttemptResult] = ()) -> None:
        self._path = Path(path)
        self._earlier = earlier
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        rows = [_row(COLUMNS), *(_row(_cells(each)) for each in self._earlier)]
        write_private(self._path, b"".join(rows))
        self._file = self._path.open("ab", buffering=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, result: AttemptResult) -> None:
        """Add the row of an attempt.  Raises JournalError."""
        if self._file is None:
            return
        try:
            self._file.write(_row(_cells(result)))
        except OSError as error:
            raise JournalError(f"{self._path} cannot be written: {error.strerror}") from error


def _cells(result: AttemptResult) -> list[str]:
    plain = result.to_plain()
    return [str(plain[name]) for name in COLUMNS]


def _row(cells: Iterable[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(map(neutral_cell, cells))
    return line.getvalue().encode("utf-8", "replace")
