"""softphone.load.run."""

from __future__ import annotations

from softphone.load.run.builtin_scenarios import BUILTIN_SCENARIOS
from softphone.load.run.fault import parse_fault, users_with_faults
from softphone.load.run.garbage_collection import relaxed_garbage_collection
from softphone.load.run.runner import Runner, WorkerOutcome
from softphone.load.run.scenario import Scenario, ScenarioRun, load_scenario

__all__ = [
    "BUILTIN_SCENARIOS",
    "Runner",
    "Scenario",
    "ScenarioRun",
    "WorkerOutcome",
    "load_scenario",
    "parse_fault",
    "relaxed_garbage_collection",
    "users_with_faults",
]
