"""The plan of a load run: users, arrivals, hold times, faults and expectations.

Plain values that can be written as JSON and shared among workers, without passwords.  Arrivals and
hold times come from a seed, so that workers agree on every call.  Nothing is dialed here: see
`softphone.load.run`.  `softphone.cli.load` makes a plan from command-line options,
`softphone.config` reads account files.

Implements no standard: `arrival` and `expectation` describe the notation of arrivals, hold times
and expectations.
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
    Figure,
    parse_bound,
    parse_expectation,
    parse_figure,
    quantile_of,
    shortage_text,
    split_expectation,
)
from softphone.load.plan.otel_spec import OtelSpec
from softphone.load.plan.plan import (
    BaseSpec,
    FaultSpec,
    LoadPlan,
    SippSpec,
    WorkloadSpec,
    base_account,
)
from softphone.load.plan.server_target import server_target
from softphone.load.plan.users import (
    FIELDS,
    UserSpec,
    config_of,
    password_of,
    read_users,
    users_of_template,
)

__all__ = [
    "CLEAR",
    "FIELDS",
    "ArrivalProcess",
    "BaseSpec",
    "Expectation",
    "ExpectationVerdict",
    "FaultSpec",
    "Figure",
    "HoldingTime",
    "LoadPlan",
    "OtelSpec",
    "SippSpec",
    "UserSpec",
    "WorkloadSpec",
    "base_account",
    "config_of",
    "parse_arrival",
    "parse_bound",
    "parse_expectation",
    "parse_figure",
    "parse_holding_time",
    "password_of",
    "quantile_of",
    "read_users",
    "server_target",
    "shortage_text",
    "split_expectation",
    "users_of_template",
]
