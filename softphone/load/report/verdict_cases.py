"""The verdicts of a run as test cases, for whatever reads test results: CI servers, and people.

Each check of the generator is a case, then each expectation.  An invalid run is an error, no
failure of the target: its expectations are skipped, since its figures say nothing of the target,
but one that is not met outright has failed.  A verdict that was not judged is skipped, too.
Without a result each expectation is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from softphone.load.capacity import CapacitySearch
from softphone.load.conformance import CaseResult, CaseVerdict
from softphone.load.measure import GeneratorCheck
from softphone.load.plan import ExpectationVerdict
from softphone.load.result import LoadResult

GENERATOR, EXPECTED, CAPACITY, CONFORMANCE = "generator", "expect", "capacity", "conformance"
"""The groups of cases."""


class CaseOutcome(StrEnum):
    """How a case ended; FAILED is the target's doing, ERROR is ours."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class VerdictCase:
    """One case; `text` says what was measured or why it did not pass, "" for nothing to say."""

    group: str
    name: str
    outcome: CaseOutcome
    text: str = ""


def verdict_cases(
    result: LoadResult,
    verdicts: Sequence[ExpectationVerdict],
    search: CapacitySearch | None = None,
) -> list[VerdictCase]:
    """The cases of a run, or of a capacity search, whose names stay the same from run to run."""
    cases = [_check_case(result, check) for check in GeneratorCheck]
    if search is not None:
        cases.append(_capacity_case(search))
    believed = result.valid and not result.interrupted
    cases += [_expectation_case(verdict, believed) for verdict in verdicts]
    return _with_unique_names(cases)


def no_result_cases(error: str, verdicts: Sequence[ExpectationVerdict]) -> list[VerdictCase]:
    """The cases of a run without a result; `error` says why, as does each verdict."""
    cases = [VerdictCase(GENERATOR, GeneratorCheck.COMPLETE.value, CaseOutcome.ERROR, error)]
    cases += [
        VerdictCase(EXPECTED, verdict.expected, CaseOutcome.ERROR, _verdict_text(verdict))
        for verdict in verdicts
    ]
    return _with_unique_names(cases)


def conformance_cases(results: Sequence[CaseResult], *, strict: bool = False) -> list[VerdictCase]:
    """The cases of a conformance run; with `strict`, one that deviates has failed."""
    outcomes = {
        CaseVerdict.PASSED: CaseOutcome.PASSED,
        CaseVerdict.DEVIATES: CaseOutcome.FAILED if strict else CaseOutcome.PASSED,
        CaseVerdict.FAILED: CaseOutcome.FAILED,
        CaseVerdict.NOT_JUDGED: CaseOutcome.SKIPPED,
    }
    return [
        VerdictCase(CONFORMANCE, each.case.name, outcomes[each.verdict], _conformance_text(each))
        for each in results
    ]


def _conformance_text(result: CaseResult) -> str:
    if result.verdict is CaseVerdict.PASSED:
        return ""
    return f"{result.verdict}: expected {result.expected}, came {result.came}: {result.why}"


def _check_case(result: LoadResult, check: GeneratorCheck) -> VerdictCase:
    reasons = [
        reason
        for reason in result.invalid_because
        if result.failed_checks.get(reason, GeneratorCheck.COMPLETE) is check
    ]
    if check is GeneratorCheck.COMPLETE and result.interrupted:
        reasons.append("interrupted: the figures are of what there was")
    outcome = CaseOutcome.ERROR if reasons else CaseOutcome.PASSED
    return VerdictCase(GENERATOR, check.value, outcome, "\n".join(reasons))


def _capacity_case(search: CapacitySearch) -> VerdictCase:
    outcome = CaseOutcome.PASSED if search.confirmed else CaseOutcome.FAILED
    if search.unjudged_trial is not None or search.interrupted:
        outcome = CaseOutcome.ERROR
    return VerdictCase(CAPACITY, "a capacity is confirmed", outcome, search.whole_text())


def _expectation_case(verdict: ExpectationVerdict, believed: bool) -> VerdictCase:
    text = _verdict_text(verdict)
    if not believed and not verdict.outright:
        return VerdictCase(
            EXPECTED, verdict.expected, CaseOutcome.SKIPPED, f"the run says nothing of it; {text}"
        )
    outcome = CaseOutcome.PASSED if verdict.met else CaseOutcome.FAILED
    if not verdict.judged:
        outcome = CaseOutcome.SKIPPED
    return VerdictCase(EXPECTED, verdict.expected, outcome, text)


def _verdict_text(verdict: ExpectationVerdict) -> str:
    return f"{verdict.word}: {verdict.expected} (measured: {verdict.measured})"


def _with_unique_names(cases: Sequence[VerdictCase]) -> list[VerdictCase]:
    """Number cases with equal names: readers of test results would merge them."""
    seen: Counter[str] = Counter()
    found = []
    for case in cases:
        name = " ".join(case.name.split())
        seen[name] += 1
        found.append(replace(case, name=name if seen[name] == 1 else f"{name} ({seen[name]})"))
    return found
