"""The seconds of a run as CSV, each written as it comes, for a plot or a spreadsheet.

A column's name ends with its unit, where it has one.  A value that was not measured in a second is
blank.  Lines are written whole, so that a concurrent reader never sees a part of one.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from softphone.errors import ConfigurationError
from softphone.load.measure import Histogram, RunSecond

COLUMNS = (
    *("trial", "at_s", "calls_up", "attempted", "answered", "failed", "dropped", "registered"),
    *("setup_p50_ms", "setup_p99_ms", "mos_p5", "mos_p50", "jitter_p50_ms", "jitter_p95_ms"),
    *("packets_sent", "packets_received", "packets_lost", "packets_late"),
    *("cpu_cores", "lateness_p99_ms", "workers", "packets_too_late", "packets_skipped"),
)
"""Columns may be added at the end; none is renamed or removed within a minor version."""


class SeriesFile:
    """A context that holds the file open; `add_second` adds a row, unless `path` is None.

    `trial` counts the runs of a search, from 1; `begin_trial` begins the next.  A row that cannot
    be written ends the series, not the run: `error` then says why.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.error = ""
        self._trial = 1
        self._begun = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Replace the file by one with the header alone.  Raises ConfigurationError."""
        if self.path is not None:
            try:
                self._file = open(self.path, "wb", buffering=0)
            except OSError as error:
                raise ConfigurationError(_words(self.path, error)) from error
            self._write(COLUMNS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def begin_trial(self) -> None:
        """Begin the next run of a search; the first begins by itself."""
        self._trial += self._begun
        self._begun = True

    def add_second(self, second: RunSecond) -> None:
        """Add the row of a second of the run."""
        tally = second.tally
        self._write(
            (
                self._trial,
                f"{second.at:.2f}",
                second.up,
                *(tally.attempted, tally.answered),
                *(tally.failed.total(), tally.dropped.total(), tally.registered),
                *(_rank(tally.setup_ms, 0.5, 1), _rank(tally.setup_ms, 0.99, 1)),
                *(_rank(second.mos_now, 0.05, 2), _rank(second.mos_now, 0.5, 2)),
                *(_rank(second.jitter_now_ms, 0.5, 2), _rank(second.jitter_now_ms, 0.95, 2)),
                *(tally.sent, tally.received, tally.lost, tally.late),
                f"{second.cpu:.3f}",
                _rank(tally.lateness_ms, 0.99, 1),
                *(second.workers, tally.too_late, tally.skipped),
            )
        )

    def _write(self, row: tuple[object, ...]) -> None:
        if self._file is None or self.path is None or self.error:
            return
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        try:
            self._file.write(line.getvalue().encode())
        except OSError as error:
            self.error = _words(self.path, error)


def _rank(histogram: Histogram, share: float, digits: int) -> str:
    value = histogram.quantile(share)
    return "" if value is None else f"{value:.{digits}f}"


def _words(path: Path, error: OSError) -> str:
    return f"{path} cannot be written: {error.strerror or error}"
