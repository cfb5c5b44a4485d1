"""Chooses what runs a share: phones that call, a SIPp scenario, or a load without calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from softphone.load.measure import FailedCall, RunSecond
from softphone.load.plan import LoadPlan
from softphone.load.run import Runner
from softphone.load.sipp import SippRunner
from softphone.load.workload import WorkloadRunner

ShareRunner: TypeAlias = Runner | SippRunner | WorkloadRunner


def make_runner(
    plan: LoadPlan,
    *,
    on_second: Callable[[RunSecond], None],
    on_progress: Callable[[int, int], None],
    on_failure: Callable[[FailedCall], None] = lambda call: None,
) -> ShareRunner:
    """Make the runner of a share.  Raises ConfigurationError."""
    kind: type[ShareRunner] = Runner
    if plan.sipp is not None:
        kind = SippRunner
    elif plan.workload is not None:
        kind = WorkloadRunner
    return kind(plan, on_second=on_second, on_progress=on_progress, on_failure=on_failure)
