"""Runs of a plan: in this process, in local worker processes, or on a Ray cluster.

Cuts the plan into shares, starts the workers at a common time, merges their seconds and makes one
result; also runs the trials of a capacity search.  `softphone.load.run` does the work of one
worker, `softphone.load.measure` counts.  Media workers are unrelated: see `softphone.media.worker`.

Implements no standard: pool and worker exchange JSON objects, one a line.  Two modules are not
exported here: `worker`, the program of `python -m softphone.load.distribute.worker`, and
`ray_cluster`, which needs Ray (an extra) and is loaded when a cluster is asked for.
"""

from __future__ import annotations

from softphone.load.distribute.plan_runner import (
    RunObserver,
    find_capacity,
    generator_trial,
    run_plan,
)
from softphone.load.distribute.run_control import RunControl

__all__ = ["RunControl", "RunObserver", "find_capacity", "generator_trial", "run_plan"]
