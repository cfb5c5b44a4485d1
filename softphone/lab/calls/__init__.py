"""softphone.lab.calls."""

from __future__ import annotations

from softphone.lab.calls.b2bua import CallControl, LabContext

__all__ = ["CallControl", "LabContext"]
