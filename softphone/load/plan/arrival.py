"""When calls arrive and how long they last: seeded, and known before the first call.

Arrivals are a stream of seconds since the start, in order.  The hold time of a call is drawn by its
number, so that workers who share a run agree on every call without exchanging anything.  Reads no
clock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from softphone.errors import ConfigurationError
from softphone.operating_system import read_file

ARRIVALS = "constant, poisson, ramp:FROM-TO:SECONDS, step:RATE:SECONDS,RATE:SECONDS,… or trace:FILE"
HOLDS = "run, SECONDS, uniform:FROM-TO, exponential:MEAN or lognormal:MEDIAN:SIGMA"


class ArrivalProcess(Protocol):
    """A stream of arrivals."""

    def arrival_times(self) -> Iterator[float]:
        """Seconds since the start, in ascending order; only a trace ends."""


@dataclass(frozen=True, slots=True)
class ConstantArrivals:
    """`rate` calls a second at even intervals."""

    rate: float

    def arrival_times(self) -> Iterator[float]:
        """See `ArrivalProcess`."""
        number = 0
        while True:
            yield number / self.rate
            number += 1


@dataclass(frozen=True, slots=True)
class PoissonArrivals:
    """`rate` calls a second on average, at independent random intervals (a Poisson process)."""

    rate: float
    seed: int

    def arrival_times(self) -> Iterator[float]:
        """See `ArrivalProcess`."""
        chance = random.Random(f"arrival {self.seed}")
        at = 0.0
        while True:
            at += chance.expovariate(self.rate)
            yield at


@dataclass(frozen=True, slots=True)
class RampArrivals:
    """A rate that changes linearly from `first` to `last` over `seconds`, and then stays."""

    first: float
    last: float
    seconds: float

    def arrival_times(self) -> Iterator[float]:
        """See `ArrivalProcess`."""
        slope = (self.last - self.first) / self.seconds
        whole = (self.first + self.last) / 2 * self.seconds
        number = 0
        while number <= whole:
            # The area under the line up to t is the number of calls: first*t + slope*t*t/2.
            root = math.sqrt(max(0.0, self.first**2 + 2 * slope * number))
            yield min(self.seconds, 2 * number / (self.first + root)) if number else 0.0
            number += 1
        while self.last > 0:
            yield self.seconds + (number - whole) / self.last
            number += 1


@dataclass(frozen=True, slots=True)
class StepArrivals:
    """A series of rates, given as pairs of a rate and its seconds; the last one stays."""

    steps: tuple[tuple[float, float], ...]

    def arrival_times(self) -> Iterator[float]:
        """See `ArrivalProcess`."""
        begun = 0.0
        for rate, seconds in self.steps[:-1]:
            for number in range(round(rate * seconds)):
                yield begun + number / rate
            begun += seconds
        for at in ConstantArrivals(self.steps[-1][0]).arrival_times():
            yield begun + at


@dataclass(frozen=True, slots=True)
class TraceArrivals:
    """Arrivals read from a recording."""

    seconds: tuple[float, ...]

    def arrival_times(self) -> Iterator[float]:
        """See `ArrivalProcess`."""
        yield from self.seconds


def parse_arrival(text: str, *, rate: float, seed: int) -> ArrivalProcess:
    """Parse an arrival process; `rate` applies to constant and Poisson arrivals.

    Raises ConfigurationError.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind in ("constant", "poisson") and not rest:
            if not math.isfinite(rate) or rate <= 0:
                raise ConfigurationError(f"a rate of {rate:g} calls a second: expected more than 0")
            return ConstantArrivals(rate) if kind == "constant" else PoissonArrivals(rate, seed)
        if kind == "ramp":
            span, _, seconds = rest.partition(":")
            first, last = _span(span)
            return RampArrivals(first, _above_zero(last), _above_zero(_number(seconds)))
        if kind == "step":
            return StepArrivals(tuple(_step(part) for part in rest.split(",")))
    except ValueError as error:
        raise ConfigurationError(f"arrival {text!r}: {error}; give {ARRIVALS}") from error
    if kind == "trace" and rest:
        return _trace(Path(rest))
    raise ConfigurationError(f"arrival {text!r}: give {ARRIVALS}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def _above_zero(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{value:g} is not more than 0")
    return value


def _span(text: str) -> tuple[float, float]:
    first, dash, last = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is not of the form FROM-TO")
    low, high = _number(first), _number(last)
    if not (math.isfinite(low) and math.isfinite(high)) or low < 0 or high < 0:
        raise ValueError(f"{text!r} is not two numbers of 0 or more")
    return low, high


def _step(text: str) -> tuple[float, float]:
    rate, _, seconds = text.partition(":")
    return _above_zero(_number(rate)), _above_zero(_number(seconds or "1"))


def _trace(path: Path) -> TraceArrivals:
    """Read one arrival a line, in seconds; skips empty lines and anything after a #."""
    try:
        lines = read_file(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the trace cannot be read: {error}") from error
    found: list[float] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            at = float(text)
        except ValueError:
            raise ConfigurationError(f"{path}:{number}: {text!r} is no number") from None
        if not math.isfinite(at) or at < (found[-1] if found else 0.0):
            raise ConfigurationError(f"{path}:{number}: {text} lies before the line above, or 0")
        found.append(at)
    if not found:
        raise ConfigurationError(f"{path}: the trace has no arrival")
    return TraceArrivals(tuple(found))


# Hold times -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HoldingTime:
    """How long calls last: `kind` and its two numbers, as `parse_holding_time` reads them."""

    kind: str
    first: float = 0.0
    second: float = 0.0
    seed: int = 0

    def seconds_of_call(self, number: int) -> float | None:
        """The hold time of call `number` in seconds; None: until the end of the run."""
        if self.kind == "run":
            return None
        if self.kind == "fixed":
            return self.first
        chance = random.Random(f"hold {self.seed} {number}")
        if self.kind == "uniform":
            return chance.uniform(self.first, self.second)
        if self.kind == "exponential":
            return chance.expovariate(1.0 / self.first)
        return self.first * math.exp(chance.gauss(0.0, self.second))


def parse_holding_time(text: str, *, seed: int) -> HoldingTime:
    """Parse a hold time.  Raises ConfigurationError."""
    kind, _, rest = text.partition(":")
    try:
        if text == "run":
            return HoldingTime("run")
        if kind == "uniform":
            low, high = _span(rest)
            if low > high:
                raise ValueError(f"{low:g} is more than {high:g}")
            return HoldingTime("uniform", low, high, seed)
        if kind == "exponential":
            return HoldingTime("exponential", _above_zero(_number(rest)), seed=seed)
        if kind == "lognormal":
            median, _, sigma = rest.partition(":")
            return HoldingTime(
                "lognormal", _above_zero(_number(median)), _above_zero(_number(sigma)), seed
            )
        return HoldingTime("fixed", _above_zero(_number(text.removeprefix("fixed:"))))
    except ValueError as error:
        raise ConfigurationError(f"hold {text!r}: {error}; give {HOLDS}") from error
