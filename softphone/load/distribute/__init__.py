"""Runs of a plan: in this process, in local worker processes, or on a Ray cluster.

It shares out the plan, starts the workers together, adds up their seconds and makes one result;
the trials of a capacity search are run here, too.  What one worker does is in
`softphone.load.run`, what is counted in `softphone.load.measure`.  Media workers are something
else: they are in `softphone.media.worker`.

No standard: workers are spoken with by one JSON object a line.  `worker` is imported by its
module: it is run by `python -m softphone.load.distribute.worker`.  So is `ray_cluster`: it needs
Ray, which is an extra, and is loaded when a cluster is asked for.
"""

from __future__ import annotations

from softphone.load.distribute.plan_runner import RunObserver, find_capacity, run_plan

__all__ = ["RunObserver", "find_capacity", "run_plan"]
