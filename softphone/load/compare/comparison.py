"""How each figure of a run changed against an earlier one, with a 95 % interval of the change.

A quantile's interval is from its bootstrap distribution: the k-th of n values drawn again from n
measured ones is the measured quantile at a share that has the distribution Beta(k, n - k + 1), so
that nothing is drawn value by value.  A share's is Jeffreys', Beta(k + 1/2, n - k + 1/2), which is
no point at 0 and 100 %.  Packets are lost in bursts, so that of their loss each call is one
value: its interval is by Student's t, from how much the calls' shares differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from softphone.load.compare.summary_file import RunRecord
from softphone.load.measure import Histogram
from softphone.load.plan import Figure, parse_figure

FIGURES: Sequence[str] = (
    *("answered", "dropped", "registered", "audio", "setup_p50", "setup_p95", "setup_p99"),
    *("registration_p95", "mos_p5", "mos_p50", "jitter_p95", "loss", "loss_p95"),
)
"""The figures of a comparison, as expectations name them."""
HIGHER_IS_BETTER = frozenset({"answered", "registered", "audio", "mos"})
DRAWS = 4000
LEAST_BEYOND = 5
"""Values that must lie beyond a quantile for a meaningful interval: p99 needs 500."""
LEAST_CALLS = 10
"""Calls whose shares differ by so much that the loss of all has a meaningful interval."""
SEED = 1
"""The seed of the draws, so that the same two files give the same comparison."""

Draws = npt.NDArray[np.float64]


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
    are too few values.  `counts` are the values, or calls, of both.
    """

    figure: Figure
    before: float | None
    after: float | None
    low: float | None = None
    high: float | None = None
    counts: tuple[int, int] = (0, 0)

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
        """The change that matters: 5 % of a time, 0.05 of MOS, 0.1 percentage points."""
        if self.figure.unit == "ms":
            return 0.05 * (self.before or 0.0)
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
    generator = np.random.default_rng(SEED)
    one, two = (_draws(run, figure, generator) for run in (before, after))
    low = high = None
    if one is not None and two is not None:
        low, high = (float(bound) for bound in np.percentile(two - one, (2.5, 97.5)))
    return FigureChange(
        figure,
        figure.measure(before.tally),
        figure.measure(after.tally),
        low,
        high,
        (_counted(before, figure), _counted(after, figure)),
    )


def _counted(run: RunRecord, figure: Figure) -> int:
    histogram = figure.histogram(run.tally)
    return figure.shares(run.tally)[1] if histogram is None else histogram.total


def _draws(run: RunRecord, figure: Figure, generator: np.random.Generator) -> Draws | None:
    """Draw values of the figure from its distribution; None when too little was measured."""
    histogram = figure.histogram(run.tally)
    if histogram is not None and figure.quantile is not None:
        return _quantile_draws(histogram, figure.quantile, generator)
    if figure.name == "loss":
        return _loss_draws(run, figure, generator)
    if figure.name == "late":
        # Packets are late together, and no call has a share of its own.
        return None
    part, whole = figure.shares(run.tally)
    if not 0 <= part <= whole or not whole:
        return None
    return 100.0 * generator.beta(part + 0.5, whole - part + 0.5, DRAWS)


def _loss_draws(run: RunRecord, figure: Figure, generator: np.random.Generator) -> Draws | None:
    calls, share = run.tally.loss, figure.measure(run.tally)
    if calls.total < LEAST_CALLS or share is None:
        return None
    deviation = calls.deviation / math.sqrt(calls.total)
    return share + deviation * generator.standard_t(calls.total - 1, DRAWS)


def _quantile_draws(
    histogram: Histogram, share: float, generator: np.random.Generator
) -> Draws | None:
    total = histogram.total
    if total * min(share, 1.0 - share) < LEAST_BEYOND:
        return None
    rank = max(1, math.ceil(share * total - 1e-9))
    drawn = generator.beta(rank, total - rank + 1, DRAWS)
    steps = histogram.steps()
    values = np.array([value for value, _ in steps])
    counted = np.array([count for _, count in steps], dtype=np.float64)
    found = np.searchsorted(counted, drawn * total, side="left")
    return np.asarray(values[np.minimum(found, len(values) - 1)], dtype=np.float64)
