"""softphone.cli.trust."""

from __future__ import annotations

__all__: list[str] = []
