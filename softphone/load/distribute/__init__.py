"""softphone.load.distribute."""

from __future__ import annotations

from softphone.load.distribute.capacity_trials import find_capacity
from softphone.load.distribute.run_plan import Watcher, conduct

__all__ = ["Watcher", "conduct", "find_capacity"]
