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


def _share(part: float, whole: float) -> float | None:
    return 100.0 * part / whole if whole else None


_SHARES: Mapping[str, Callable[[Tally], float | None]] = {
    "answered": lambda t: _share(t.served, t.attempted),
    "failed": lambda t: _share(t.failed.total(), t.attempted),
    "dropped": lambda t: _share(t.dropped.total(), t.answered),
    "registered": lambda t: _share(t.registered, t.registrations - t.retried),
    "loss": lambda t: _share(t.lost, t.received + t.lost),
    "late": lambda t: _share(t.late, t.sent),
    "audio": lambda t: _share(t.heard, t.checked),
}
"""Shares in percent.  An answered call whose far end sent no media does not count as answered.  A
registration that was refused and repeated counts by its last attempt."""

_QUANTILES: Mapping[str, tuple[str, Callable[[Tally], Histogram]]] = {
    "mos": ("", lambda t: t.mos),
    "setup": ("ms", lambda t: t.setup_ms),
    "registration": ("ms", lambda t: t.registration_ms),
    "jitter": ("ms", lambda t: t.jitter_ms),
    "lateness": ("ms", lambda t: t.lateness_ms),
    "loss": ("%", lambda t: t.loss),
}

ACCEPTED = (
    "answered, failed, dropped, registered, loss, late, audio in %; "
    "setup_pN, registration_pN, jitter_pN, lateness_pN in ms or s; mos_pN; loss_pN in %; "
    "with >=, <=, >, < or =; and suite=NAME, where NAME is clear or "
    + ", ".join(suite.value for suite in CryptoSuite)
)
"""The accepted expectations, as text for errors and help."""


@dataclass(frozen=True, slots=True)
class ExpectationVerdict:
    """Whether an expectation was met; `measured` is the measured value as text."""

    expected: str
    met: bool
    measured: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """One parsed expectation; `bound` is in the unit of `name`."""

    text: str
    name: str
    quantile: float | None
    comparison: str
    bound: float
    unit: str
    suite: str = ""

    def judge_tally(self, tally: Tally) -> ExpectationVerdict:
        """Judge the expectation against the counts."""
        if self.suite:
            others = {name: n for name, n in tally.suites.items() if name != self.suite}
            counts = ", ".join(f"{name} {n}" for name, n in sorted(tally.suites.items()))
            met = bool(tally.suites[self.suite]) and not others
            return ExpectationVerdict(self.text, met, counts or "no call was answered")
        value = self._measured(tally)
        if value is None:
            return ExpectationVerdict(self.text, False, "nothing was measured")
        met = _OPERATORS[self.comparison](value, self.bound)
        return ExpectationVerdict(
            self.text, met, f"{value:.4g}{' ' if self.unit == 'ms' else ''}{self.unit}"
        )

    def _measured(self, tally: Tally) -> float | None:
        if self.quantile is None:
            return _SHARES[self.name](tally)
        return _QUANTILES[self.name][1](tally).quantile(self.quantile)


def parse_expectation(text: str) -> Expectation:
    """Parse an expectation.  Raises ConfigurationError that lists what is accepted."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise _unknown(text, "it is not of the form NAME>=VALUE")
    name, comparison, value = match[1], match[2].replace("==", "="), match[3]
    if name == "suite":
        return _suite(text, comparison, value)
    base, _, rank = name.rpartition("_p")
    quantile = None
    if base and re.fullmatch(r"[0-9]{1,3}", rank):
        # p999 is the 99.9th percentile.
        quantile = int(rank) / (100.0 if len(rank) < 3 else 1000.0)
        if base not in _QUANTILES or not 0 < quantile < 1:
            raise _unknown(text, f"{name} is unknown")
        unit = _QUANTILES[base][0]
    else:
        base, unit = name, "%"
        if base not in _SHARES:
            raise _unknown(text, f"{name} is unknown")
    return Expectation(text.strip(), base, quantile, comparison, _number(text, value, unit), unit)


def _suite(text: str, comparison: str, value: str) -> Expectation:
    if comparison != "=" or value not in (CLEAR, *(suite.value for suite in CryptoSuite)):
        raise _unknown(text, f"{value!r} is no suite, or not after =")
    return Expectation(text.strip(), "suite", None, "=", 0.0, "", suite=value)


def _number(text: str, value: str, unit: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(%|ms|s)?", value)
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
