"""softphone.load.run."""

from __future__ import annotations

from softphone.load.run.builtin_scenarios import READY
from softphone.load.run.fault import afflicted, parse_fault
from softphone.load.run.garbage_collection import settled_memory
from softphone.load.run.runner import Outcome, Runner
from softphone.load.run.scenario import Scenario, Turn, load_scenario

__all__ = [
    "READY",
    "Outcome",
    "Runner",
    "Scenario",
    "Turn",
    "afflicted",
    "load_scenario",
    "parse_fault",
    "settled_memory",
]
