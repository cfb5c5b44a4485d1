"""A histogram that can be merged: log-linear buckets, like HDR histograms.

Each value up to 2,048 units has a bucket of its own; above that, each power of two is split into
1,024 buckets, so that a quantile is within 0.1 % of the true one.  Two histograms add up exactly;
averages of percentiles do not.  Empty buckets take no memory.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Self

_BITS = 10
_HALF = 1 << _BITS


def _bucket(units: int) -> int:
    shift = max(0, units.bit_length() - _BITS - 1)
    return (shift << _BITS) + (units >> shift)


def _bounds(bucket: int) -> tuple[int, int]:
    """The first unit of a bucket, and how many units it holds."""
    shift = max(0, (bucket >> _BITS) - 1)
    return (bucket - (shift << _BITS)) << shift, 1 << shift


class Histogram:
    """Counts of values, each rounded down to a multiple of `unit`; negative values count as 0."""

    __slots__ = ("_counts", "maximum", "minimum", "sum", "total", "unit")

    def __init__(self, unit: float) -> None:
        self.unit = unit
        self.total = 0
        self.sum = 0.0
        self.minimum = math.inf
        self.maximum = 0.0
        self._counts: dict[int, int] = {}

    def record_value(self, value: float, count: int = 1) -> None:
        """Count a value, `count` times."""
        value = max(0.0, value)
        bucket = _bucket(int(value / self.unit + 1e-9))
        self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += count
        self.sum += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram.  Raises ValueError when its unit differs."""
        if other.unit != self.unit:
            raise ValueError(f"histograms of units {self.unit:g} and {other.unit:g} do not merge")
        if not other.total:
            return
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += other.total
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def quantile(self, share: float) -> float | None:
        """The value that `share` of the values do not exceed; None when there are none."""
        if not self.total:
            return None
        wanted = max(1, math.ceil(share * self.total - 1e-9))
        return next((value for value, seen in self._steps() if seen >= wanted), self.maximum)

    def steps(self) -> list[tuple[float, int]]:
        """Each bucket's middle, ascending, with the count of values up to the end of the bucket."""
        return list(self._steps())

    def _steps(self) -> Iterator[tuple[float, int]]:
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            begin, width = _bounds(bucket)
            middle = (begin + (width - 1) / 2) * self.unit
            yield min(self.maximum, max(self.minimum, middle)), seen

    @property
    def mean(self) -> float | None:
        """The mean of all values; None when there are none."""
        return self.sum / self.total if self.total else None

    @property
    def deviation(self) -> float:
        """The standard deviation of the values' population, estimated from two or more."""
        if self.total < 2:
            return 0.0
        mean, square, before = self.sum / self.total, 0.0, 0
        for value, seen in self._steps():
            square += (seen - before) * (value - mean) ** 2
            before = seen
        return math.sqrt(square / (self.total - 1))

    def share_above(self, bound: float) -> float:
        """The share of values, 0.0 to 1.0, in buckets that begin above `bound`."""
        if not self.total:
            return 0.0
        limit = bound / self.unit
        above = sum(count for bucket, count in self._counts.items() if _bounds(bucket)[0] > limit)
        return above / self.total

    def counts_up_to(self, bounds: Sequence[float]) -> list[int]:
        """The count of values up to each of `bounds`, within the width of a bucket."""
        buckets = sorted(self._counts)
        starts = [_bounds(bucket)[0] for bucket in buckets]
        counts = list(accumulate((self._counts[bucket] for bucket in buckets), initial=0))
        return [counts[bisect_right(starts, round(bound / self.unit))] for bound in bounds]

    def to_plain(self) -> dict[str, Any]:
        """The histogram as JSON values, for `from_plain`."""
        if not self.total:
            return {"unit": self.unit}
        return {
            "unit": self.unit,
            "sum": self.sum,
            "range": [self.minimum, self.maximum],
            "counts": {str(bucket): count for bucket, count in self._counts.items()},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave.  Raises KeyError, TypeError or ValueError otherwise."""
        made = cls(float(plain["unit"]))
        if "counts" in plain:
            made._counts = {int(key): int(count) for key, count in plain["counts"].items()}
            made.total = sum(made._counts.values())
            made.sum = float(plain["sum"])
            made.minimum, made.maximum = (float(value) for value in plain["range"])
        return made
