"""softphone.load.distribute."""

from __future__ import annotations

from softphone.load.distribute.capacity_trials import find_capacity
from softphone.load.distribute.run_plan import RunObserver, run_plan

__all__ = ["RunObserver", "find_capacity", "run_plan"]
