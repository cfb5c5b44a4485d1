"""What a scenario consists of before it is read: elements, from XML or made by Python code.

No standard.  Nothing is exported: `softphone.load.sipp` has `MessageScenario` and `action`.
"""

from __future__ import annotations

__all__: list[str] = []
