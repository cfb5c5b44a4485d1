"""The 95 % interval of a figure's change between two runs, or two sides of several runs each.

A quantile's interval is from its bootstrap distribution: the k-th of n bootstrap values is the
quantile at a share that has the distribution Beta(k, n - k + 1), so no resampling is needed.  A
share's is Jeffreys', Beta(k + 1/2, n - k + 1/2), which has a width even at 0 and 100 %.

In both n is the effective number of values: the calls of one second are alike, so that k and n are
divided by the design effect of the figure (Korn and Graubard, Survey Methodology 24, 1998).  That
is known from few blocks of the run: its draws spread like Student's t, not like the normal
distribution.  A share of calls without a known effect is used undivided.

Of several runs a side each run is one value: the interval is that of the two-sample t test with one
variance for both sides, and never shorter than what the values within the runs give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softphone.load.compare.summary_file import RunRecord
from softphone.load.design_effect import DesignEffect, effect_of
from softphone.load.measure import Histogram, Tally
from softphone.load.plan import Figure

DRAWS = 4000
LEAST_BEYOND = 5
"""The least number of values beyond a quantile: raw ones a side, effective ones a run."""
LEAST_BLOCKS = 3
"""Blocks of a run with values, from which their design effect has a meaning."""
SEED = 1
"""The seed of the draws, so that the same files give the same comparison."""
OF_PACKETS = frozenset({"loss", "late"})
"""Shares of packets, which are lost or late together: without a design effect they say nothing."""

FEW_VALUES = "too few values"
FEW_SECONDS = "values of too few seconds"
ALIKE = "values too much alike"
ONE_VALUE = "one value a run"

Draws = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChangeInterval:
    """The bounds of a change with 95 % confidence; None, and `shortage` why, where unknown."""

    low: float | None = None
    high: float | None = None
    shortage: str = ""


def change_interval(before: RunRecord, after: RunRecord, figure: Figure) -> ChangeInterval:
    """Return the interval of a change, after minus before, in the figure's unit.

    Where it is unknown, `shortage` says why.
    """
    if any(_beyond(side.tally, figure) < LEAST_BEYOND for side in (before, after)):
        return ChangeInterval(shortage=FEW_VALUES)
    generator = np.random.default_rng(SEED)
    within = [_side_draws(side, figure, generator) for side in (before, after)]
    bounds = []
    between = _between_runs(before.values(figure), after.values(figure), generator)
    if between is not None:
        bounds.append(between)
    shortage = next((each for each in within if isinstance(each, str)), "")
    one, two = within
    if not isinstance(one, str) and not isinstance(two, str):
        low, high = np.percentile(two - one, (2.5, 97.5))
        bounds.append((float(low), float(high)))
    if not bounds:
        return ChangeInterval(shortage=shortage)
    return ChangeInterval(min(low for low, _ in bounds), max(high for _, high in bounds))


def _beyond(tally: Tally, figure: Figure) -> float:
    """How many values lie beyond a quantile; of a share any number."""
    histogram = figure.histogram(tally)
    if histogram is None or figure.quantile is None:
        return math.inf
    return histogram.total * min(figure.quantile, 1.0 - figure.quantile)


def _between_runs(
    before: Sequence[float], after: Sequence[float], generator: np.random.Generator
) -> tuple[float, float] | None:
    """Return the interval of the change of means.

    None without a run of either side, or without a side of two runs.
    """
    freedom = len(before) + len(after) - 2
    if not before or not after or freedom < 1:
        return None
    squares = sum(((np.array(side) - np.mean(side)) ** 2).sum() for side in (before, after))
    error = math.sqrt(squares / freedom * (1 / len(before) + 1 / len(after)))
    reach = error * float(np.percentile(np.abs(generator.standard_t(freedom, DRAWS)), 95.0))
    change = float(np.mean(after) - np.mean(before))
    return change - reach, change + reach


def _side_draws(side: RunRecord, figure: Figure, generator: np.random.Generator) -> Draws | str:
    """Draw the mean over the runs of a side from its distribution; else why that is unknown."""
    total = np.zeros(DRAWS)
    for run in side.runs:
        drawn = _draws(run, figure, generator)
        if isinstance(drawn, str):
            return drawn
        total += drawn
    return total / len(side.runs)


def _draws(run: RunRecord, figure: Figure, generator: np.random.Generator) -> Draws | str:
    histogram, effect = figure.histogram(run.tally), _known_effect(run, figure)
    if histogram is not None and figure.quantile is not None:
        return quantile_draws(histogram, figure.quantile, effect, generator)
    if figure.unit == "/s":
        return ONE_VALUE
    part, whole = figure.shares(run.tally)
    if not 0 <= part <= whole or not whole:
        return FEW_VALUES
    shrunk: Draws | float = 1.0
    if effect is not None:
        shrunk = _by_effect(effect, generator)
    elif figure.name in OF_PACKETS:
        return FEW_SECONDS
    return 100.0 * generator.beta(part * shrunk + 0.5, (whole - part) * shrunk + 0.5, DRAWS)


def quantile_draws(
    histogram: Histogram,
    share: float,
    effect: DesignEffect | None,
    generator: np.random.Generator,
) -> Draws | str:
    """Draw a quantile from its distribution, float64[DRAWS]; else say why that is unknown."""
    total = histogram.total
    if effect is None:
        return FEW_SECONDS
    if total * min(share, 1.0 - share) / effect.effect < LEAST_BEYOND:
        return ALIKE
    rank = max(1, math.ceil(share * total - 1e-9))
    shrunk = _by_effect(effect, generator)
    drawn = generator.beta(rank * shrunk, (total - rank + 1) * shrunk, DRAWS)
    steps = histogram.steps()
    values = np.array([value for value, _ in steps])
    counted = np.array([count for _, count in steps], dtype=np.float64)
    found = np.searchsorted(counted, drawn * total, side="left")
    return np.asarray(values[np.minimum(found, len(values) - 1)], dtype=np.float64)


def _known_effect(run: RunRecord, figure: Figure) -> DesignEffect | None:
    """Return the effect of a figure, if it was measured in enough blocks."""
    effect = effect_of(run.effects, figure)
    return effect if effect is not None and effect.blocks >= LEAST_BLOCKS else None


def _by_effect(effect: DesignEffect, generator: np.random.Generator) -> Draws:
    """Draw by how much the effect shrinks the number of values, with its own uncertainty."""
    freedom = effect.blocks - 1
    drawn = generator.chisquare(freedom, DRAWS) / freedom / effect.effect
    # Without any effective value there is no distribution.
    return np.maximum(np.asarray(drawn, dtype=np.float64), 1e-6)
