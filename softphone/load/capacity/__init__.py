"""softphone.load.capacity."""

from __future__ import annotations

from softphone.load.capacity.search import CapacitySearch, CapacityTrial

__all__ = ["CapacitySearch", "CapacityTrial"]
