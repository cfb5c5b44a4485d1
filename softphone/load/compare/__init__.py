"""The comparison of runs: how much each figure changed, and whether noise explains it.

`summary_file` reads what `softphone load run --json` left, `comparison` judges by the intervals of
`interval`, `regression` has the rules by which a change is a failure.  Compares what the runs
counted; runs nothing.

Implements no standard.  An interval of one run a side holds the noise within the runs, by the
design effect of calls that are alike (`softphone.load.design_effect`); what differs between two
runs of the same thing, such as another load on the machine, is in that of several runs a side.
"""

from __future__ import annotations

from softphone.load.compare.comparison import (
    Change,
    FigureChange,
    RunComparison,
    compare_runs,
)
from softphone.load.compare.regression import RegressionRule, judge_changes, parse_rule
from softphone.load.compare.summary_file import RunRecord, read_runs, read_summary

__all__ = [
    "Change",
    "FigureChange",
    "RegressionRule",
    "RunComparison",
    "RunRecord",
    "compare_runs",
    "judge_changes",
    "parse_rule",
    "read_runs",
    "read_summary",
]
