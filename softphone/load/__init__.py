"""Load: many phones at once, measured, judged and reported."""

from __future__ import annotations

from softphone.load.arrival import Arrival, Hold, parse_arrival, parse_hold
from softphone.load.histogram import Histogram
from softphone.load.plan import BaseSpec, FaultSpec, LoadPlan
from softphone.load.ready import READY
from softphone.load.runner import Outcome, Runner
from softphone.load.scenario import Scenario, Turn
from softphone.load.tally import Second, Tally
from softphone.load.users import UserSpec, read_users, users_of_template
from softphone.load.verdict import Expectation, Verdict, parse_expectation

__all__ = [
    "READY",
    "Arrival",
    "BaseSpec",
    "Expectation",
    "FaultSpec",
    "Histogram",
    "Hold",
    "LoadPlan",
    "Outcome",
    "Runner",
    "Scenario",
    "Second",
    "Tally",
    "Turn",
    "UserSpec",
    "Verdict",
    "parse_arrival",
    "parse_expectation",
    "parse_hold",
    "read_users",
    "users_of_template",
]
