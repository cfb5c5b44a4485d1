"""Dialogs (RFC 3261 section 12)."""

from __future__ import annotations

__all__ = ["Dialog"]


class Dialog:
    """The state that two user agents share for a while."""
