"""The search for the most concurrent calls that a target holds: double, bisect, confirm.

It is pure: it says how many calls to try next, is told how that trial went, and names what it
found with its confidence.  The trials themselves are run by `softphone.load.distribute`; whether a
trial met its expectations is judged by `softphone.load.result`, and whether the generator itself
was the bottleneck by `softphone.load.run`.

No standard: the procedure is described in `search`.
"""

from __future__ import annotations

from softphone.load.capacity.search import CapacitySearch, CapacityTrial

__all__ = ["CapacitySearch", "CapacityTrial"]
