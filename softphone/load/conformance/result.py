"""The result of a conformance run: its cases, their counts, and the summary for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from softphone.load.conformance.case import CaseResult, CaseVerdict


@dataclass(slots=True)
class ConformanceResult:
    """The results of the cases, in the order in which they were sent.

    `call` is the state of the call that was kept up meanwhile, "" without one; `stopped` says why
    the run ended before its last case, "" for a complete one.
    """

    target: str
    transport: str
    cases: list[CaseResult] = field(default_factory=list)
    call: str = ""
    stopped: str = ""

    @property
    def counts(self) -> Counter[CaseVerdict]:
        """How many cases have each verdict."""
        return Counter(each.verdict for each in self.cases)

    @property
    def sentence(self) -> str:
        """The counts in words."""
        counts = self.counts
        words = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in CaseVerdict)
        return f"{self.target} over {self.transport}: of {len(self.cases)} cases {words}"

    def summary(self) -> dict[str, Any]:
        """The JSON summary that a run ends with."""
        counts = self.counts
        return {
            "target": self.target,
            "transport": self.transport,
            "counts": {verdict.value: counts[verdict] for verdict in CaseVerdict},
            "call": self.call,
            "stopped": self.stopped,
        }


BLANK_CONFORMANCE_SUMMARY: Mapping[str, Any] = MappingProxyType(
    {
        "target": None,
        "transport": None,
        "counts": {verdict.value: 0 for verdict in CaseVerdict},
        "call": "",
        "stopped": "",
    }
)


def case_fields(result: CaseResult) -> dict[str, Any]:
    """One case as JSON fields for scripts."""
    case = result.case
    return {
        "name": case.name,
        "section": case.section,
        "title": case.title,
        "asks": case.asks,
        "expected": result.expected,
        "came": result.came,
        "verdict": result.verdict.value,
        "why": result.why,
        "seconds": None if result.seconds is None else round(result.seconds, 3),
    }
