"""What all calls of a bot test have measured, and the figures that expectations name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from softphone.bot_test.simulated_caller import CallReport
from softphone.bot_test.word_errors import word_errors
from softphone.errors import ConfigurationError
from softphone.load.measure import Histogram, Tally
from softphone.load.plan import (
    Expectation,
    ExpectationVerdict,
    parse_bound,
    parse_expectation,
    quantile_of,
    shortage_text,
    split_expectation,
)
from softphone.load.plan.expectation import compare_values, measured_text


def _milliseconds() -> Histogram:
    return Histogram(1.0)


@dataclass(slots=True)
class BotTally:
    """Counts and histograms of the calls that have ended; times in ms.

    `unanswered` counts turns without an answer, `not_interrupted` barge-ins at a moment at which
    the bot made no sound.  `problems` counts failed steps by script, step and text.
    """

    calls: int = 0
    answered: int = 0
    completed: int = 0
    first_sound: Histogram = field(default_factory=_milliseconds)
    response: Histogram = field(default_factory=_milliseconds)
    barge_in: Histogram = field(default_factory=_milliseconds)
    talk_over: Histogram = field(default_factory=_milliseconds)
    dead_air: Histogram = field(default_factory=_milliseconds)
    unanswered: int = 0
    not_interrupted: int = 0
    digits_expected: int = 0
    digits_right: int = 0
    ends_right: int = 0
    word_errors: int = 0
    words_expected: int = 0
    end_causes: Counter[str] = field(default_factory=Counter)
    problems: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_script: Counter[str] = field(default_factory=Counter)

    def add_call(self, report: CallReport) -> None:
        """Count a call."""
        self.calls += 1
        self.by_script[report.script.name] += 1
        self.answered += report.answered
        self.completed += report.completed
        self.ends_right += report.end_right
        self.digits_expected += report.digits_expected
        self.digits_right += report.digits_right
        if report.end_cause:
            self.end_causes[report.end_cause] += 1
        if report.problem:
            self.problems[report.script.name, report.problem_text] += 1
        for expected, understood in report.transcripts:
            errors, words = word_errors(expected, understood)
            self.word_errors += errors
            self.words_expected += words
        self._add_measures(report)

    def _add_measures(self, report: CallReport) -> None:
        measures = report.measures
        if measures is None:
            return
        if measures.first_sound is not None:
            self.first_sound.record_value(1e3 * measures.first_sound)
        self.talk_over.record_value(1e3 * measures.talk_over)
        self.dead_air.record_value(1e3 * measures.dead_air)
        for found, histogram in (
            (measures.responses, self.response),
            (measures.barge_ins, self.barge_in),
        ):
            for seconds in found:
                if seconds is not None:
                    histogram.record_value(1e3 * seconds)
        self.unanswered += sum(each is None for each in measures.responses)
        self.not_interrupted += sum(each is None for each in measures.barge_ins)


QUANTILES: Mapping[str, tuple[str, str, Callable[[BotTally], Histogram]]] = MappingProxyType(
    {
        "first_sound": ("call", "no call heard the bot", lambda t: t.first_sound),
        "response": ("turn", "the bot answered no turn", lambda t: t.response),
        "barge_in": ("barge-in", "no turn interrupted the bot", lambda t: t.barge_in),
        "talk_over": ("call", "no call was answered", lambda t: t.talk_over),
        "dead_air": ("call", "no call was answered", lambda t: t.dead_air),
    }
)
"""What a quantile is of, why it may be missing, and its values in ms."""

SHARES: Mapping[str, tuple[str, Callable[[BotTally], tuple[int, int]]]] = MappingProxyType(
    {
        "completed": ("no call was made", lambda t: (t.completed, t.calls)),
        "digits": ("no script expects digits", lambda t: (t.digits_right, t.digits_expected)),
        "ended": ("no call was answered", lambda t: (t.ends_right, t.answered)),
        "word_errors": (
            "nothing was transcribed",
            lambda t: (t.word_errors, t.words_expected),
        ),
    }
)
"""Why a share may be missing, and its part and whole."""

ACCEPTED = (
    "first_sound_pN, response_pN, barge_in_pN, talk_over_pN, dead_air_pN in ms or s; completed, "
    "digits, ended, word_errors in %; and those of load runs"
)


@dataclass(frozen=True, slots=True)
class BotExpectation:
    """An expectation such as `response_p95<800ms`; `of_load` is one that load runs have, too.

    `label` is the figure's name as written, `name` that of the histogram or share.
    """

    text: str
    label: str = ""
    name: str = ""
    quantile: float | None = None
    comparison: str = "="
    bound: float = 0.0
    of_load: Expectation | None = None

    def judge(self, tally: BotTally, load: Tally) -> ExpectationVerdict:
        """Judge the expectation against the counts; what was never measured is not met."""
        if self.of_load is not None:
            return self.of_load.judge_tally(load)
        value, missing = self._measure(tally)
        if value is None:
            return ExpectationVerdict(self.text, False, f"nothing, since {missing}")
        met = compare_values(self.comparison, value, self.bound)
        measured = measured_text(value, "%" if self.quantile is None else "ms")
        if self.quantile is not None:
            what, _, histogram = QUANTILES[self.name]
            rank = self.label.rpartition("_")[2]
            measured += shortage_text(histogram(tally), self.quantile, rank, what)
        return ExpectationVerdict(self.text, met, measured)

    def _measure(self, tally: BotTally) -> tuple[float | None, str]:
        if self.quantile is not None:
            _, missing, histogram = QUANTILES[self.name]
            return histogram(tally).quantile(self.quantile), missing
        missing, shares = SHARES[self.name]
        part, whole = shares(tally)
        return (100.0 * part / whole if whole else None), missing


def parse_bot_expectation(text: str) -> BotExpectation:
    """Parse an expectation of a bot test, or one of a load run.

    Raises ConfigurationError that lists what is accepted.
    """
    name, comparison, value = split_expectation(text)
    base, quantile = quantile_of(name)
    if quantile is not None and base in QUANTILES:
        bound = parse_bound(text, value, "ms")
        return BotExpectation(text.strip(), name, base, quantile, comparison, bound)
    if name in SHARES:
        bound = parse_bound(text, value, "%")
        return BotExpectation(text.strip(), name, name, None, comparison, bound)
    try:
        return BotExpectation(text.strip(), of_load=parse_expectation(text))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; of bot tests {ACCEPTED}") from error


def with_completed(expectations: Sequence[BotExpectation]) -> tuple[BotExpectation, ...]:
    """Add that every call runs its script to the end, unless an expectation says how many do."""
    if any(each.name == "completed" for each in expectations):
        return tuple(expectations)
    return (parse_bot_expectation("completed>=100%"), *expectations)


def tally_fields(tally: BotTally) -> dict[str, Any]:
    """The counts as JSON fields, for scripts that depend on their names; times in ms."""
    return {
        "calls": tally.calls,
        "answered": tally.answered,
        "completed": tally.completed,
        **{
            f"{name}_ms": _quantiles(histogram(tally))
            for name, (*_, histogram) in QUANTILES.items()
        },
        "unanswered_turns": tally.unanswered,
        "not_interrupted": tally.not_interrupted,
        "digits": {"expected": tally.digits_expected, "right": tally.digits_right},
        "words": {"expected": tally.words_expected, "errors": tally.word_errors},
        "ended_as_expected": tally.ends_right,
        "end_causes": dict(tally.end_causes),
        "problems": {f"{script}: {text}": n for (script, text), n in tally.problems.items()},
    }


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    found = {"p50": histogram.quantile(0.5), "p95": histogram.quantile(0.95)}
    return found | {"max": histogram.maximum if histogram.total else None, "count": histogram.total}


def tally_figures(tally: BotTally) -> list[tuple[str, str]]:
    """The figures for a person to read, each with its name."""
    figures = [
        ("calls", f"{tally.calls:,}"),
        ("answered", f"{tally.answered:,}"),
        ("ran to the end of the script", f"{tally.completed:,}"),
    ]
    names = {
        "first_sound": "time to first sound",
        "response": "response",
        "barge_in": "stop after barge-in",
        "talk_over": "talk-over a call",
        "dead_air": "longest dead air a call",
    }
    for key, name in names.items():
        histogram = QUANTILES[key][2](tally)
        values = [histogram.quantile(0.5), histogram.quantile(0.95), histogram.maximum]
        shown = " / ".join(f"{value:,.0f}" for value in values if value is not None)
        shown = shown if histogram.total else "-"
        figures.append((f"{name} p50 / p95 / max, ms", f"{shown} ({histogram.total:,})"))
    if tally.unanswered:
        figures.append(("turns without an answer", f"{tally.unanswered:,}"))
    if tally.not_interrupted:
        figures.append(("barge-ins into silence", f"{tally.not_interrupted:,}"))
    if tally.digits_expected:
        figures.append(("digits right", f"{tally.digits_right:,} of {tally.digits_expected:,}"))
    if tally.words_expected:
        share = 100.0 * tally.word_errors / tally.words_expected
        figures.append(("word error rate", f"{share:.1f} % of {tally.words_expected:,}"))
    figures.append(("ended as expected", f"{tally.ends_right:,} of {tally.answered:,}"))
    figures += [(f"ended: {cause}", f"{n:,}") for cause, n in sorted(tally.end_causes.items())]
    return figures
