"""softphone.cli.console."""

from __future__ import annotations

__all__: list[str] = []
