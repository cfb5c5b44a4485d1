"""The search for the most concurrent calls that a target holds: double, bisect, confirm, repeat.

Pure: names the number of calls to try next, takes the outcome of each trial, and reports the
capacity with its confidence.  `softphone.load.distribute` runs the trials, `softphone.load.result`
judges whether a trial met its expectations, and `softphone.load.run` whether the load generator
itself was the bottleneck.

Implements no standard: `search` describes the procedure, `interval` how repeated trials give the
capacity with an interval.
"""

from __future__ import annotations

from softphone.load.capacity.interval import CapacityInterval, capacity_interval
from softphone.load.capacity.search import CapacitySearch, CapacityTrial

__all__ = ["CapacityInterval", "CapacitySearch", "CapacityTrial", "capacity_interval"]
