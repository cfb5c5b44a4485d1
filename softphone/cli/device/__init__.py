"""softphone.cli.device."""

from __future__ import annotations

__all__: list[str] = []
