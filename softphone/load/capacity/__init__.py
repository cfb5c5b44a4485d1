"""softphone.load.capacity."""

from __future__ import annotations

from softphone.load.capacity.search import CapacitySearch, Trial

__all__ = ["CapacitySearch", "Trial"]
