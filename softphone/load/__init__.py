"""Load: many phones at once, measured, judged and reported."""

from __future__ import annotations

from softphone.load.measure import Histogram, Second, Tally
from softphone.load.plan import (
    Arrival,
    BaseSpec,
    Expectation,
    FaultSpec,
    Hold,
    LoadPlan,
    UserSpec,
    Verdict,
    parse_arrival,
    parse_expectation,
    parse_hold,
    read_users,
    users_of_template,
)
from softphone.load.result import (
    BLANK,
    NO_RESULT,
    Result,
    causes,
    figures,
    judge,
    ranks,
    second_fields,
)
from softphone.load.run import READY, Outcome, Runner, Scenario, Turn

__all__ = [
    "BLANK",
    "NO_RESULT",
    "READY",
    "Arrival",
    "BaseSpec",
    "Expectation",
    "FaultSpec",
    "Histogram",
    "Hold",
    "LoadPlan",
    "Outcome",
    "Result",
    "Runner",
    "Scenario",
    "Second",
    "Tally",
    "Turn",
    "UserSpec",
    "Verdict",
    "causes",
    "figures",
    "judge",
    "parse_arrival",
    "parse_expectation",
    "parse_hold",
    "ranks",
    "read_users",
    "second_fields",
    "users_of_template",
]
