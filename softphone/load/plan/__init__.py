"""The plan of a load run: users, arrivals, hold times, faults and expectations.

Plain values that can be written as JSON and shared out among workers; no password is in them.
Arrivals and hold times are drawn from a seed, so that workers agree on every call.  Nothing is
dialed here: that is `softphone.load.run`.  Options of the command line become a plan in
`softphone.cli.load`, account files are read by `softphone.config`.

No standard: the notation of arrivals, hold times and expectations is described in `arrival` and
`expectation`.
"""

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
