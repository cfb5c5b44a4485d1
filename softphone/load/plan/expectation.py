"""Expectations of a run: `answered>=99.9%`, `mos_p5>=4.0`, `suite=AEAD_AES_256_GCM`.

An expectation about something that was never measured is not met.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from softphone.errors import ConfigurationError
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.operation import OPERATIONS, Operation, OperationTally
from softphone.load.measure.tally import Tally
from softphone.security import CryptoSuite

CLEAR = "clear"
"""The suite name of a call without SRTP."""

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": math.isclose,
}
_FORM = re.compile(r"\s*([a-z_0-9]+)\s*(>=|<=|>|<|==|=)\s*(\S+?)\s*")


def _of(operation: Operation, tally: Tally) -> OperationTally:
    return tally.operations.get(operation.name) or OperationTally()


def _share_of(operation: Operation) -> Callable[[Tally], tuple[int, int]]:
    def share(tally: Tally) -> tuple[int, int]:
        found = _of(operation, tally)
        return found.succeeded, found.attempted

    return share


def _rate_of(operation: Operation) -> Callable[[Tally], tuple[int, float]]:
    return lambda tally: (_of(operation, tally).succeeded, tally.span)


def _latency_of(operation: Operation) -> Callable[[Tally], Histogram]:
    return lambda tally: _of(operation, tally).ms


_SHARES: Mapping[str, Callable[[Tally], tuple[int, int]]] = {
    "answered": lambda t: (t.served, t.attempted),
    "failed": lambda t: (t.failed.total(), t.attempted),
    "dropped": lambda t: (t.dropped.total(), t.answered),
    "registered": lambda t: (t.registered, t.registrations - t.retried),
    "loss": lambda t: (t.lost, t.received + t.lost),
    "late": lambda t: (t.late, t.due),
    "audio": lambda t: (t.heard, t.checked),
    **{each.share: _share_of(each) for each in OPERATIONS.values()},
    **{each.rate: _share_of(each) for each in OPERATIONS.values()},
}
"""Shares, each as a part of a whole.  An answered call whose far end sent no media does not count
as answered.  A registration that was refused and repeated counts by its last attempt."""

_QUANTILES: Mapping[str, tuple[str, Callable[[Tally], Histogram]]] = {
    "mos": ("", lambda t: t.mos),
    "setup": ("ms", lambda t: t.setup_ms),
    "arrival": ("ms", lambda t: t.arrival_ms),
    "registration": ("ms", lambda t: t.registration_ms),
    "jitter": ("ms", lambda t: t.jitter_ms),
    "lateness": ("ms", lambda t: t.lateness_ms),
    "loss": ("%", lambda t: t.loss),
    **{each.name: ("ms", _latency_of(each)) for each in OPERATIONS.values()},
}

_RATES: Mapping[str, Callable[[Tally], tuple[int, float]]] = {
    each.rate: _rate_of(each) for each in OPERATIONS.values()
}
"""How many operations succeeded, and in how many seconds."""

_COUNTED: Mapping[str, str] = {
    "registration": "registration",
    "lateness": "packet",
    **{name: name.replace("_", " ") for name in OPERATIONS},
}
"""What has a value of a quantile, where it is not a call."""

_OF_ALL = ("answered", "registered", "audio", *(each.share for each in OPERATIONS.values()))
"""Shares of the calls, users or operations that are to be near 100 %."""

_NOTHING_HAPPENED: Mapping[str, float] = {**dict.fromkeys(_OF_ALL, 0.0), "failed": 100.0}
"""The percentage of a share when all calls or users failed, which slowness does not cause."""

_UNMEASURED: Mapping[str, str] = {
    "answered": "no call was attempted",
    "failed": "no call was attempted",
    "dropped": "no call was answered",
    "registered": "no user tried to register",
    "loss": "no packet was to come",
    "late": "no packet was sent",
    "audio": "no call was listened to: it takes calls of 3 s, and --checks above 0",
    "mos_p": "no call had media for long enough",
    "setup_p": "no INVITE was answered",
    "arrival_p": "no call was answered",
    "registration_p": "no user registered",
    "jitter_p": "no call had media for long enough",
    "lateness_p": "no packet was sent",
    "loss_p": "no call had media for long enough",
    **{each.share: f"no {_COUNTED[each.name]} was attempted" for each in OPERATIONS.values()},
    **{each.rate: "the run has no time, or no such operation" for each in OPERATIONS.values()},
    **{f"{each.name}_p": f"no {_COUNTED[each.name]} succeeded" for each in OPERATIONS.values()},
}
"""Why there is no value for an expectation of that name, or of a quantile of it."""

ACCEPTED = (
    "answered, failed, dropped, registered, loss, late, audio in %; "
    "setup_pN, arrival_pN, registration_pN, jitter_pN, lateness_pN in ms or s; mos_pN; "
    "loss_pN in %; of runs without calls "
    + ", ".join(each.share for each in OPERATIONS.values())
    + " in %, "
    + ", ".join(f"{name}_pN" for name in OPERATIONS)
    + " in ms or s, and NAME_rate in a second; "
    "with >=, <=, >, < or =; and suite=NAME, where NAME is clear or "
    + ", ".join(suite.value for suite in CryptoSuite)
)
"""The accepted expectations, as text for errors and help."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a run: a share in percent, a rate, or a quantile of what each call measured.

    `label` is its name as written, such as `setup_p99`; `unit` is "%", "/s", "ms" or "" (MOS).
    """

    label: str
    name: str
    quantile: float | None
    unit: str

    def measure(self, tally: Tally) -> float | None:
        """Its value in `unit`; None when nothing was measured."""
        histogram = self.histogram(tally)
        if histogram is not None and self.quantile is not None:
            return histogram.quantile(self.quantile)
        if self.name in _RATES:
            count, seconds = _RATES[self.name](tally)
            return count / seconds if seconds else None
        part, whole = self.shares(tally)
        return 100.0 * part / whole if whole else None

    def shortage(self, tally: Tally) -> str:
        """Say that a quantile is of too few values: then it is the worst one; "" otherwise."""
        histogram = self.histogram(tally)
        if histogram is None or self.quantile is None:
            return ""
        rank = self.label.rpartition("_")[2]
        return shortage_text(histogram, self.quantile, rank, _COUNTED.get(self.name, "call"))

    def histogram(self, tally: Tally) -> Histogram | None:
        """The values that it is a quantile of; None for a share."""
        return None if self.quantile is None else _QUANTILES[self.name][1](tally)

    def shares(self, tally: Tally) -> tuple[int, int]:
        """Of a share the part and the whole, of a rate those of the same operation.

        Raises KeyError for a quantile without one.
        """
        return _SHARES[self.name](tally)


@dataclass(frozen=True, slots=True)
class ExpectationVerdict:
    """Whether an expectation was met; `measured` is the measured value as text.

    `outright`: it is not met whatever the generator's speed, because nothing of what was asked for
    happened, or a call had another suite.  Without `judged` too little was measured to say: it is
    not `met`, and no failure.
    """

    expected: str
    met: bool
    measured: str
    outright: bool = False
    judged: bool = True

    @property
    def broken(self) -> bool:
        """Whether it was judged, and is not met."""
        return self.judged and not self.met

    @property
    def word(self) -> str:
        """The verdict in words."""
        if not self.judged:
            return "not judged (too few)"
        return "met" if self.met else "not met"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One parsed expectation, of a figure or of a suite; `bound` is in the figure's unit."""

    text: str
    figure: Figure | None = None
    comparison: str = "="
    bound: float = 0.0
    suite: str = ""

    def judge_tally(self, tally: Tally) -> ExpectationVerdict:
        """Judge the expectation against the counts."""
        figure = self.figure
        if figure is None:
            others = {name: n for name, n in tally.suites.items() if name != self.suite}
            counts = ", ".join(f"{name} {n}" for name, n in sorted(tally.suites.items()))
            met = bool(tally.suites[self.suite]) and not others
            measured = counts or "nothing, since no call was answered"
            # A suite is negotiated: no delay of the generator changes it.
            return ExpectationVerdict(self.text, met, measured, outright=bool(others))
        value = figure.measure(tally)
        if value is None:
            why = _UNMEASURED[figure.name if figure.quantile is None else f"{figure.name}_p"]
            return ExpectationVerdict(self.text, False, f"nothing, since {why}")
        met = compare_values(self.comparison, value, self.bound)
        measured = measured_text(value, figure.unit) + figure.shortage(tally)
        outright = not met and value == _NOTHING_HAPPENED.get(figure.label)
        return ExpectationVerdict(self.text, met, measured, outright)


def parse_figure(name: str) -> Figure:
    """Parse the name of a figure, such as `answered` or `setup_p99`.  Raises ValueError."""
    base, quantile = quantile_of(name)
    if quantile is not None:
        if base in _QUANTILES:
            return Figure(name, base, quantile, _QUANTILES[base][0])
    elif name in _RATES:
        return Figure(name, name, None, "/s")
    elif name in _SHARES:
        return Figure(name, name, None, "%")
    raise ValueError(f"{name} is unknown")


def quantile_of(name: str) -> tuple[str, float | None]:
    """Split `setup_p99` into `setup` and 0.99; any other name is returned with None.

    p999 is the 99.9th percentile.
    """
    base, _, rank = name.rpartition("_p")
    if base and re.fullmatch(r"[0-9]{1,3}", rank):
        quantile = int(rank) / (100.0 if len(rank) < 3 else 1000.0)
        if 0 < quantile < 1:
            return base, quantile
    return name, None


def shortage_text(histogram: Histogram, quantile: float, rank: str, what: str) -> str:
    """Say that a quantile is of too few values, each of a `what`, for its `rank`; "" otherwise."""
    # Rounded: 1 - 0.9 is less than 0.1 in binary.
    needed = math.ceil(1.0 / min(quantile, 1.0 - quantile) - 1e-6)
    if histogram.total >= needed:
        return ""
    return (
        f", of {histogram.total} {what}{'s' if histogram.total != 1 else ''}: too few for"
        f" {rank}, which takes {needed}"
    )


def compare_values(comparison: str, value: float, bound: float) -> bool:
    """Return whether `value comparison bound` holds, such as 3 < 4."""
    return _OPERATORS[comparison](value, bound)


def measured_text(value: float, unit: str) -> str:
    """A measured value with its unit, as verdicts show it."""
    return f"{value:.4g}{' ' if unit == 'ms' else ''}{unit}"


def split_expectation(text: str) -> tuple[str, str, str]:
    """Split an expectation into name, comparison and value.  Raises ConfigurationError."""
    match = _FORM.fullmatch(text)
    if match is None:
        if re.fullmatch(r"\s*[a-z_0-9]+\s*", text):
            raise ConfigurationError(
                f"the expectation {text!r} has no value: put it in quotes, as in "
                "--expect 'answered>=99%', since a shell takes > for a redirection, and writes a "
                "file such as '=99%'"
            )
        raise _unknown(text, "it is not of the form NAME>=VALUE")
    return match[1], match[2].replace("==", "="), match[3]


def parse_expectation(text: str) -> Expectation:
    """Parse an expectation.  Raises ConfigurationError that lists what is accepted."""
    name, comparison, value = split_expectation(text)
    if name == "suite":
        return _suite(text, comparison, value)
    try:
        figure = parse_figure(name)
    except ValueError as error:
        raise _unknown(text, str(error)) from error
    bound = parse_bound(text, value, figure.unit)
    if name in _OF_ALL and value[-1] != "%" and 0 < bound <= 1:
        raise ConfigurationError(
            f"the expectation {text!r} is in percent: write {100 * bound:g}%, or {value}% if that "
            "is meant"
        )
    return Expectation(text.strip(), figure, comparison, bound)


def _suite(text: str, comparison: str, value: str) -> Expectation:
    if comparison != "=" or value not in (CLEAR, *(suite.value for suite in CryptoSuite)):
        raise _unknown(text, f"{value!r} is no suite, or not after =")
    return Expectation(text.strip(), suite=value)


def parse_bound(text: str, value: str, unit: str) -> float:
    """Return the value of an expectation in `unit` (%, ms, /s or ""); seconds become ms.

    Raises ConfigurationError.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(%|ms|s|/s)?", value)
    if match is None:
        raise _unknown(text, f"{value!r} is no number")
    given = match[2] or unit
    if given == "s" and unit == "ms":
        return float(match[1]) * 1000.0
    if given != unit:
        raise _unknown(text, f"{given} does not fit there")
    return float(match[1])


def _unknown(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"the expectation {text!r}: {why}; accepted are {ACCEPTED}")
