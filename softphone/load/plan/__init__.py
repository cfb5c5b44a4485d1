"""softphone.load.plan."""

from __future__ import annotations

from softphone.load.plan.arrival import Arrival, Hold, parse_arrival, parse_hold
from softphone.load.plan.expectation import CLEAR, Expectation, Verdict, parse_expectation
from softphone.load.plan.plan import BaseSpec, FaultSpec, LoadPlan, base_account
from softphone.load.plan.users import FIELDS, UserSpec, config_of, read_users, users_of_template

__all__ = [
    "CLEAR",
    "FIELDS",
    "Arrival",
    "BaseSpec",
    "Expectation",
    "FaultSpec",
    "Hold",
    "LoadPlan",
    "UserSpec",
    "Verdict",
    "base_account",
    "config_of",
    "parse_arrival",
    "parse_expectation",
    "parse_hold",
    "read_users",
    "users_of_template",
]
