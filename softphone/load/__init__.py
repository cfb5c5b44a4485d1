"""Load runs: many users at once, their calls measured, judged and reported.

A plan (`plan`) is run (`run`) by one process or by many (`distribute`), counted (`measure`) and
judged (`result`); `capacity` searches for the most calls that a target holds, `report` writes it
down.  Calls are those of `softphone.account` and `softphone.call`, the sound that of
`softphone.media`; a server to call is in `softphone.lab`, the command in `softphone.cli.load`.

No standard: what is on the wire is the work of the packages below.  `capacity`, `distribute` and
`report` are not exported: they are imported from their packages.
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
