"""softphone.phone."""

from __future__ import annotations

from softphone.phone.phone import Phone

__all__ = ["Phone"]
