"""One worker's share of a load run: registers users, runs scenarios, measures their calls.

First checks that ports and descriptors suffice.  During the run it injects faults, verifies the
audio of sampled calls, and detects whether the generator was the bottleneck.  The schedule is in
`softphone.load.plan`, the counts in `softphone.load.measure`, runs by several workers in
`softphone.load.distribute`.

Implements no standard: signaling and media are those of `softphone.account`, `softphone.call` and
`softphone.media`.  The relay that drops and delays RTP relies on symmetric RTP (RFC 4961).
"""

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
