"""The comparison of two runs: how much each figure changed, and whether noise explains it.

`summary_file` reads what `softphone load run --json` left, `comparison` judges, `regression` has
the rules by which a change is a failure.  Compares what the runs counted; runs nothing.

Implements no standard.  Intervals hold the noise within the runs: for a quantile the bootstrap of
the calls' values, for a share Jeffreys' interval.  What differs between two runs of the same thing,
such as another load on the machine, is not in them.
"""

from __future__ import annotations

from softphone.load.compare.comparison import (
    Change,
    FigureChange,
    RunComparison,
    compare_runs,
)
from softphone.load.compare.regression import RegressionRule, judge_changes, parse_rule
from softphone.load.compare.summary_file import RunRecord, read_summary

__all__ = [
    "Change",
    "FigureChange",
    "RegressionRule",
    "RunComparison",
    "RunRecord",
    "compare_runs",
    "judge_changes",
    "parse_rule",
    "read_summary",
]
