"""The capacity by all trials of a search, with a 95 % interval: logistic regression.

The share of trials that hold falls with the logarithm of the number of calls as a logistic curve;
the capacity is the number that half of the trials hold.  Where the curve lies and how steep it is
is judged by Bayes' rule on a grid, uniform before the trials in both logarithms, so that an
interval exists where every trial below some number held and none above it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PLACES = 300
"""Points of the grid across the numbers of calls that are thought possible."""
BEYOND = np.log(2.0)
"""ln 2: the grid reaches from half the lower bound to twice the upper.

The bounds are the least calls that did not hold and the most that did.
"""
STEEPNESS = np.geomspace(0.005, 0.5, 25)
"""Relative widths of the curve: 73 % hold at the capacity times (1 - width)."""

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CapacityInterval:
    """The calls at which half of the trials hold, the 95 % bounds, and the number of trials."""

    calls: int
    low: int
    high: int
    trials: int

    def text(self) -> str:
        """The interval as text."""
        return (
            f"half of all trials hold {self.calls:,} calls (95 %: {self.low:,} to {self.high:,}; "
            f"{self.trials} trials)"
        )


def capacity_interval(trials: Sequence[tuple[int, bool]]) -> CapacityInterval:
    """Return the posterior median and 95 % bounds.

    A trial is a number of calls, 1 or more, and whether it held.  Raises ValueError without one.
    """
    calls = np.log([float(number) for number, _ in trials])
    signs = np.array([1.0 if held else -1.0 for _, held in trials])
    held, refused = calls[signs > 0], calls[signs < 0]
    ends = [*held[held.argsort()][-1:], *refused[refused.argsort()][:1]]
    places = np.linspace(min(ends) - BEYOND, max(ends) + BEYOND, PLACES)
    below = (places[:, None, None] - calls) / STEEPNESS[None, :, None]
    likelihood: Curve = -np.logaddexp(0.0, -below * signs).sum(axis=2)
    weights = np.exp(likelihood - likelihood.max()).sum(axis=1)
    ranks = np.cumsum(weights) / weights.sum()
    low, middle, high = np.exp(places[np.searchsorted(ranks, (0.025, 0.5, 0.975))])
    return CapacityInterval(round(middle), int(np.floor(low)), int(np.ceil(high)), len(trials))
