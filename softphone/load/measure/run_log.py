"""The seconds of a run, kept for its report in bounded memory."""

from __future__ import annotations

from softphone.load.measure.tally import RunSecond

MOST_KEPT = 600
"""Intervals that a run keeps, a plot's width; a second of a busy run takes some 10 kB."""


class RunLog:
    """Keeps a run as intervals of one length, the last one shorter.

    They are seconds until there are MOST_KEPT of them; then neighbors are joined in pairs, and so
    on, so that memory is bounded in runs of days.
    """

    def __init__(self) -> None:
        self.intervals: list[RunSecond] = []
        """In the order of time."""
        self._length = 1.0

    def add_second(self, second: RunSecond) -> None:
        """Add the next second, which is not changed."""
        kept = self.intervals
        if kept and kept[-1].length < self._length:
            kept[-1].follow(second)
            return
        kept.append(_joined(second) if self._length > 1.0 else second)
        if len(kept) >= MOST_KEPT:
            kept[:] = [_joined(*kept[at : at + 2]) for at in range(0, len(kept), 2)]
            self._length *= 2.0


def _joined(*intervals: RunSecond) -> RunSecond:
    whole = RunSecond(0.0, length=0.0)
    for each in intervals:
        whole.follow(each)
    return whole
