"""Rules by which a change is a failure: `regression`, `setup_p99>10%`, `answered>0.5pp`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from softphone.errors import ConfigurationError
from softphone.load.compare.comparison import Change, FigureChange, RunComparison
from softphone.load.plan import ExpectationVerdict, Figure, parse_figure

REGRESSION = "regression"
ACCEPTED = (
    f"{REGRESSION}, or FIGURE>CHANGE: a figure of --expect that became worse by more than so many "
    "% of what it was, ms or s, pp (percentage points), or of MOS"
)
_FORM = re.compile(r"\s*([a-z_0-9]+)\s*>\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%|ms|s|pp|)\s*")


@dataclass(frozen=True, slots=True)
class RegressionRule:
    """A parsed rule; without a figure it is `regression`: any figure that is clearly worse.

    `bound` is in the figure's unit, or in percent of the earlier value when `relative`.
    """

    text: str
    figure: Figure | None = None
    bound: float = 0.0
    relative: bool = False

    def judge(self, comparison: RunComparison) -> list[ExpectationVerdict]:
        """A verdict for each figure that the rule is about.

        `regression` does not judge a figure without an interval; a rule with a bound goes by the
        values then.
        """
        if self.figure is not None:
            change = comparison.of(self.figure)
            allowed = self.text.partition(">")[2].strip()
            expected = f"{self.figure.label} worse than before by no more than {allowed}"
            return [ExpectationVerdict(expected, self._met(change), change_text(change))]
        return [
            ExpectationVerdict(
                f"{change.figure.label} not worse than before",
                change.judged in (Change.BETTER, Change.NONE),
                change_text(change),
                judged=change.judged is not Change.TOO_FEW,
            )
            for change in comparison.changes
            if change.before is not None
        ]

    def _met(self, change: FigureChange) -> bool:
        """Whether the change is within the bound, or beyond it by no more than noise."""
        worse, before = change.worse_by, change.before
        if worse is None or before is None:
            return False
        bound = self.bound * abs(before) / 100.0 if self.relative else self.bound
        sure = change.surely_worse_by
        return worse <= bound or (sure is not None and sure <= 0.0)


def parse_rule(text: str) -> RegressionRule:
    """Parse a rule.  Raises ConfigurationError that lists what is accepted."""
    if text.strip() == REGRESSION:
        return RegressionRule(REGRESSION)
    match = _FORM.fullmatch(text)
    if match is None:
        raise _unknown(text, "it is of neither form")
    try:
        figure = parse_figure(match[1])
    except ValueError as error:
        raise _unknown(text, str(error)) from error
    bound, unit = float(match[2]), match[3]
    if unit == "%":
        return RegressionRule(text.strip(), figure, bound, relative=True)
    if figure.unit == "ms" and unit in ("ms", "s"):
        return RegressionRule(text.strip(), figure, bound * (1000.0 if unit == "s" else 1.0))
    if unit != {"%": "pp", "": ""}.get(figure.unit):
        raise _unknown(text, f"{unit or 'a bare number'} does not fit there")
    return RegressionRule(text.strip(), figure, bound)


def _unknown(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"--fail-on {text!r}: {why}; accepted are {ACCEPTED}")


def judge_changes(
    comparison: RunComparison, rules: Sequence[RegressionRule]
) -> list[ExpectationVerdict]:
    """Judge a comparison by each rule."""
    return [verdict for rule in rules for verdict in rule.judge(comparison)]


def change_text(change: FigureChange) -> str:
    """A change as text: "12.3 ms, before 10.1 ms (+21.8 %; 95 %: +1 to +3.4 ms)"."""
    shown = (value_text(change, value) for value in (change.after, change.before))
    return ", before ".join(shown) + (
        "" if change.change is None else f" ({difference_text(change)}; {interval_text(change)})"
    )


def value_text(change: FigureChange, value: float | None) -> str:
    """One of the two values as text."""
    return "not measured" if value is None else f"{value:.4g} {change.figure.unit}".strip()


def difference_text(change: FigureChange) -> str:
    """The change as text: in percentage points for a share, else in percent."""
    if change.change is None:
        return "-"
    if change.figure.unit == "%":
        return f"{change.change:+.3g} pp"
    return f"{change.change:+.3g}" if change.percent is None else f"{change.percent:+.1f} %"


def interval_text(change: FigureChange) -> str:
    """The 95 % interval of the change as text."""
    if change.low is None or change.high is None:
        return f"no interval: {change.shortage}" if change.shortage else "no interval"
    unit = "pp" if change.figure.unit == "%" else change.figure.unit
    return f"95 %: {change.low:+.3g} to {change.high:+.3g} {unit}".strip()
