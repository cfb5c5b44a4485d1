"""Load: many phones at once, measured, judged and reported."""

from __future__ import annotations

from softphone.load.measure import Histogram, RunSecond, Tally
from softphone.load.plan import (
    ArrivalProcess,
    BaseSpec,
    Expectation,
    ExpectationVerdict,
    FaultSpec,
    HoldingTime,
    LoadPlan,
    UserSpec,
    parse_arrival,
    parse_expectation,
    parse_holding_time,
    read_users,
    users_of_template,
)
from softphone.load.result import (
    BLANK_LOAD_SUMMARY,
    NO_RESULT,
    LoadResult,
    failure_causes,
    judge_result,
    quantiles_text,
    result_figures,
    second_fields,
)
from softphone.load.run import BUILTIN_SCENARIOS, Runner, Scenario, ScenarioRun, WorkerOutcome

__all__ = [
    "BLANK_LOAD_SUMMARY",
    "BUILTIN_SCENARIOS",
    "NO_RESULT",
    "ArrivalProcess",
    "BaseSpec",
    "Expectation",
    "ExpectationVerdict",
    "FaultSpec",
    "Histogram",
    "HoldingTime",
    "LoadPlan",
    "LoadResult",
    "RunSecond",
    "Runner",
    "Scenario",
    "ScenarioRun",
    "Tally",
    "UserSpec",
    "WorkerOutcome",
    "failure_causes",
    "judge_result",
    "parse_arrival",
    "parse_expectation",
    "parse_holding_time",
    "quantiles_text",
    "read_users",
    "result_figures",
    "second_fields",
    "users_of_template",
]
