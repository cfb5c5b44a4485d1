"""`softphone load compare`, and the baseline of `softphone load run`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED
from softphone.cli.load.artifacts import check_file
from softphone.cli.load.options import INVALID, CompareOptions, LoadOptions
from softphone.errors import ConfigurationError
from softphone.load import LoadResult, verdict_fields
from softphone.load.compare import (
    FigureChange,
    RegressionRule,
    RunComparison,
    RunRecord,
    compare_runs,
    judge_changes,
    parse_rule,
    read_runs,
)
from softphone.load.compare.regression import (
    REGRESSION,
    difference_text,
    interval_text,
    value_text,
)
from softphone.load.plan import ExpectationVerdict
from softphone.load.report import write_comparison


class Baseline:
    """The earlier run of `--baseline` and the rules of `--fail-on`; judges a new run by them.

    Raises ConfigurationError for a file that is no summary of a valid, completed run.
    """

    def __init__(self, options: LoadOptions) -> None:
        self._rules = _rules(options.fail_on or ([REGRESSION] if options.baseline else []))
        self._record: RunRecord | None = None
        if options.baseline is None:
            if options.fail_on:
                raise ConfigurationError("--fail-on: say against which run (--baseline FILE)")
            return
        self._record = record = read_runs(options.baseline)
        if record.interrupted or record.invalid_because:
            why = record.invalid_because[0] if record.invalid_because else "it was interrupted"
            raise ConfigurationError(f"--baseline {record.name} proves nothing: {why}")

    def judge(self, output: CommandOutput, result: LoadResult) -> list[ExpectationVerdict]:
        """Return a verdict for each figure with a rule; warn if the plans of both runs differ."""
        if self._record is None:
            return []
        comparison = compare_runs(self._record, RunRecord.of_result(result))
        if comparison.differences:
            output.warn(f"the baseline is of another run: {'; '.join(comparison.differences)}")
        return judge_changes(comparison, self._rules)


def _rules(texts: Sequence[str]) -> list[RegressionRule]:
    return [parse_rule(text) for text in texts]


async def compare_files(output: CommandOutput, options: CompareOptions) -> int:
    """Compare runs; return 0, 1 for a broken rule of --fail-on, 4 for an invalid run.

    4 also where no rule could be judged.
    """
    if len(options.files) < 2:
        raise ConfigurationError("compare: give two files or more, the first is the earlier run")
    check_file("--report", options.report)
    rules = _rules(options.fail_on or [])
    first, *others = (read_runs(path) for path in options.files)
    compared = []
    for other in others:
        comparison = compare_runs(first, other)
        compared.append((comparison, judge_changes(comparison, rules)))
        _show(output, comparison)
    unproven = [run for run in (first, *others) if run.invalid_because or run.interrupted]
    for run in unproven:
        why = run.invalid_because[0] if run.invalid_because else "it was interrupted"
        output.warn(f"{run.name} proves nothing: {why}")
    written = _write(output, options, compared)
    broken = [verdict for _, verdicts in compared for verdict in verdicts if verdict.broken]
    judged = [verdict for _, verdicts in compared for verdict in verdicts if verdict.judged]
    if unproven or (rules and not judged):
        code = INVALID
    else:
        code = DONE if written and not broken else FAILED
    sentence = _sentence(compared, unproven, asked=bool(rules))
    if code != DONE:
        output.explain_failure(sentence)
    output.summary(
        sentence,
        base=first.name,
        comparisons=[_fields(comparison, verdicts) for comparison, verdicts in compared],
    )
    return code


def _show(output: CommandOutput, comparison: RunComparison) -> None:
    rows = [
        (
            each.figure.label,
            value_text(each, each.before),
            value_text(each, each.after),
            difference_text(each),
            interval_text(each).removeprefix("95 %: "),
            each.judged.value,
        )
        for each in comparison.changes
    ]
    columns = ("figure", "before", "after", "change", "95 % of the change", "")
    output.table(f"{comparison.before.name} and {comparison.after.name}", columns, rows)
    if comparison.differences:
        output.warn(f"asked for differently: {'; '.join(comparison.differences)}")


def _write(
    output: CommandOutput,
    options: CompareOptions,
    compared: Sequence[tuple[RunComparison, Sequence[ExpectationVerdict]]],
) -> bool:
    if options.report is None:
        return True
    try:
        write_comparison(options.report, compared, wall=datetime.now().astimezone())
    except ConfigurationError as error:
        output.error(str(error), FAILED)
        return False
    output.event("report", f"the report is {options.report}", path=str(options.report))
    return True


def _sentence(
    compared: Sequence[tuple[RunComparison, Sequence[ExpectationVerdict]]],
    unproven: Sequence[RunRecord],
    *,
    asked: bool,
) -> str:
    lines = [f"INVALID: {run.name} proves nothing" for run in unproven]
    verdicts = [verdict for _, several in compared for verdict in several]
    lines += [
        f"{each.word}: {each.expected} (measured: {each.measured})"
        for each in verdicts
        if each.broken
    ]
    kept = not lines and any(each.judged for each in verdicts)
    if unjudged := unjudged_text(verdicts):
        lines.append(unjudged)
    if kept:
        lines.append("every other rule is kept" if unjudged else "every rule is kept")
    elif not lines:
        lines.append("nothing was judged" if asked else "no rule was asked for (--fail-on)")
    return "\n".join(lines)


def unjudged_text(verdicts: Sequence[ExpectationVerdict]) -> str:
    """Name what was not judged, and say so if that is everything; "" for nothing."""
    texts = dict.fromkeys(each.expected for each in verdicts if not each.judged)
    if not texts:
        return ""
    line = f"not judged, too few calls: {', '.join(texts)}"
    return line if any(each.judged for each in verdicts) else f"INVALID: {line}"


def _fields(comparison: RunComparison, verdicts: Sequence[ExpectationVerdict]) -> dict[str, Any]:
    return {
        "run": comparison.after.name,
        "runs": [len(comparison.before.runs), len(comparison.after.runs)],
        "differences": comparison.differences,
        "figures": [_figure_fields(each) for each in comparison.changes],
        "verdicts": verdict_fields(verdicts),
    }


def _figure_fields(change: FigureChange) -> dict[str, Any]:
    values = {
        "before": change.before,
        "after": change.after,
        "change": change.change,
        "change_percent": change.percent,
        "low": change.low,
        "high": change.high,
    }
    return {
        "figure": change.figure.label,
        "unit": change.figure.unit,
        **{name: None if value is None else round(value, 4) for name, value in values.items()},
        "values": list(change.counts),
        "no_interval": change.shortage,
        "verdict": change.judged.value,
    }
