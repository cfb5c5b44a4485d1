"""Load tests: many users at once, with their calls measured, judged and reported.

`plan` describes a run, `run` executes it in one process and `distribute` in several.  `measure`
counts, `result` judges the counts against the expectations, `capacity` searches for the most calls
that a target holds, and `report` writes the results, with the `charts` of the page in `live`.
`design_effect` is what runs are compared by.  `sipp` runs SIPp's scenarios, `workload`
runs loads without calls, `conformance` sends torture messages and judges the answers.

Calls are those of `softphone.account` and `softphone.call`, audio that of `softphone.media`.  A
server to call is in `softphone.lab`, the command in `softphone.cli.load`.

Implements no standard: the packages below speak the protocols.  Import `capacity`, `conformance`,
`distribute` and `report` from their own packages; they are not exported here.
"""

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
    verdict_fields,
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
    "verdict_fields",
]
