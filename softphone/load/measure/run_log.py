"""The seconds of a run, kept for its report in bounded memory."""

from __future__ import annotations

import json

from softphone.load.measure.tally import RunSecond

MOST_KEPT = 600
"""Intervals that a run keeps, a plot's width; a second of a busy run takes some 4 kB."""


class RunLog:
    """Keeps a run as intervals of one length, the last one shorter.

    They are seconds until there are MOST_KEPT of them.  From then on each new one is made room for
    by joining two neighbors, the oldest first, until all have the double length; and so on, so
    that memory is bounded in runs of days, and no second has to join more than two.

    What is not added to any more is kept as JSON, a sixth of what the objects take: most of those
    of a second are counters of nothing, and the buckets of histograms.
    """

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._doubled = 0
        """How many of those kept, the oldest, have twice the length of the others."""
        self._last: RunSecond | None = None
        self._length = 1.0

    @property
    def intervals(self) -> list[RunSecond]:
        """The intervals in the order of time, of one length but for the last; a copy."""
        found = [_unpacked(text) for text in self._kept]
        if self._last is not None:
            found.append(_joined(self._last))
        if self._doubled:
            single = found[self._doubled :]
            pairs = [_joined(*single[at : at + 2]) for at in range(0, len(single), 2)]
            found[self._doubled :] = pairs
        return found

    def add_second(self, second: RunSecond) -> None:
        """Add the next second, which is not changed."""
        if self._last is not None and self._last.length < self._length:
            self._last.follow(second)
            return
        if self._last is not None:
            self._keep(self._last)
        self._last = _joined(second)

    def _keep(self, interval: RunSecond) -> None:
        self._kept.append(_packed(interval))
        if len(self._kept) < MOST_KEPT:
            return
        at = self._doubled
        self._kept[at : at + 2] = [_packed(_joined(*map(_unpacked, self._kept[at : at + 2])))]
        self._doubled += 1
        if self._doubled >= len(self._kept):
            self._length *= 2.0
            self._doubled = 0


def _joined(*intervals: RunSecond) -> RunSecond:
    whole = RunSecond(0.0, length=0.0)
    for each in intervals:
        whole.follow(each)
    return whole


def _packed(interval: RunSecond) -> str:
    return json.dumps(interval.to_plain())


def _unpacked(text: str) -> RunSecond:
    return RunSecond.from_plain(json.loads(text))
