"""How each figure of a run changed against an earlier one, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from softphone.load.compare.interval import change_interval
from softphone.load.compare.summary_file import RunRecord
from softphone.load.measure import OPERATIONS
from softphone.load.plan import Figure, parse_figure

FIGURES: Sequence[str] = (
    *("answered", "dropped", "registered", "audio", "setup_p50", "setup_p95", "setup_p99"),
    *("registration_p95", "mos_p5", "mos_p50", "jitter_p95", "loss", "loss_p95"),
    *(
        name
        for each in OPERATIONS.values()
        for name in (each.share, each.rate, f"{each.name}_p50", f"{each.name}_p95")
    ),
)
"""The figures of a comparison, as expectations name them."""
HIGHER_IS_BETTER = frozenset(
    {"answered", "registered", "audio", "mos"}
    | {name for each in OPERATIONS.values() for name in (each.share, each.rate)}
)
LEAST_CHANGE = 0.05
"""The share of a time by which it must change to matter."""
LEAST_OF_ONE_RUN = 0.3
"""The same of one run a side, which says nothing of how much runs of one thing differ: quiet ones
in turns (bench_planted_regression) differed by up to 24 % in set-up p50, and 33 % in p95."""


class Change(StrEnum):
    """The verdict on a change."""

    WORSE = "worse"
    BETTER = "better"
    NONE = "no clear change"
    TOO_FEW = "too few to say"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure before and after; None for what was not measured.

    `low` and `high` bound the change, in the figure's unit, with 95 % confidence; None where there
    are too few values: `shortage` then says of what.  `counts` are the values, or calls, of both.
    Of several runs (`runs`, on each side) each value is the mean of theirs.
    """

    figure: Figure
    before: float | None
    after: float | None
    low: float | None = None
    high: float | None = None
    counts: tuple[int, int] = (0, 0)
    shortage: str = ""
    runs: tuple[int, int] = (1, 1)

    @property
    def change(self) -> float | None:
        """After less before."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    @property
    def percent(self) -> float | None:
        """The change as a share of before, in percent; None where before is 0."""
        return (
            100.0 * self.change / self.before if self.before and self.change is not None else None
        )

    @property
    def worse_by(self) -> float | None:
        """How much worse it became, in its unit; negative when it became better."""
        return None if self.change is None else self.change * self._sign

    @property
    def surely_worse_by(self) -> float | None:
        """The lower bound of `worse_by`; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low if self._sign > 0 else -self.high

    @property
    def _sign(self) -> int:
        return -1 if self.figure.name in HIGHER_IS_BETTER else 1

    @property
    def least(self) -> float:
        """The change that matters: a share of a time, 0.05 of MOS, 0.1 percentage points."""
        if self.figure.unit == "ms":
            several = sum(self.runs) > 2
            return (LEAST_CHANGE if several else LEAST_OF_ONE_RUN) * (self.before or 0.0)
        return 0.1 if self.figure.unit == "%" else 0.05

    @property
    def judged(self) -> Change:
        """The verdict on it."""
        worse = self.worse_by
        if worse is None:
            return Change.NOT_MEASURED
        if self.low is None or self.high is None:
            return Change.TOO_FEW
        if abs(worse) < self.least or self.low <= 0.0 <= self.high:
            return Change.NONE
        return Change.WORSE if worse > 0 else Change.BETTER


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A run against an earlier one; `differences` lists the settings that differ."""

    before: RunRecord
    after: RunRecord
    changes: tuple[FigureChange, ...]

    @property
    def differences(self) -> list[str]:
        """The settings that differ, as text."""
        return self.before.differences(self.after)

    def of(self, figure: Figure) -> FigureChange:
        """The change of any figure, in the table or not."""
        return _change(self.before, self.after, figure)


def compare_runs(before: RunRecord, after: RunRecord) -> RunComparison:
    """Compare a run with an earlier one; leaves out what neither has measured."""
    found = [_change(before, after, parse_figure(name)) for name in FIGURES]
    kept = [each for each in found if each.before is not None or each.after is not None]
    return RunComparison(before, after, tuple(kept))


def _change(before: RunRecord, after: RunRecord, figure: Figure) -> FigureChange:
    interval = change_interval(before, after, figure)
    one, two = (side.mean(figure) for side in (before, after))
    return FigureChange(
        figure,
        one,
        two,
        interval.low,
        interval.high,
        counts=(_counted(before, figure), _counted(after, figure)),
        shortage=interval.shortage,
        runs=(len(before.runs), len(after.runs)),
    )


def _counted(run: RunRecord, figure: Figure) -> int:
    histogram = figure.histogram(run.tally)
    return figure.shares(run.tally)[1] if histogram is None else histogram.total
