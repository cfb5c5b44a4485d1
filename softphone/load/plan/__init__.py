"""softphone.load.plan."""

from __future__ import annotations

from softphone.load.plan.arrival import (
    ArrivalProcess,
    HoldingTime,
    parse_arrival,
    parse_holding_time,
)
from softphone.load.plan.expectation import (
    CLEAR,
    Expectation,
    ExpectationVerdict,
    parse_expectation,
)
from softphone.load.plan.plan import BaseSpec, FaultSpec, LoadPlan, base_account
from softphone.load.plan.users import FIELDS, UserSpec, config_of, read_users, users_of_template

__all__ = [
    "CLEAR",
    "FIELDS",
    "ArrivalProcess",
    "BaseSpec",
    "Expectation",
    "ExpectationVerdict",
    "FaultSpec",
    "HoldingTime",
    "LoadPlan",
    "UserSpec",
    "base_account",
    "config_of",
    "parse_arrival",
    "parse_expectation",
    "parse_holding_time",
    "read_users",
    "users_of_template",
]
