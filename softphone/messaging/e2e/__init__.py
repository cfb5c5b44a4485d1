"""softphone.messaging.e2e."""

from __future__ import annotations

from softphone.messaging.e2e.framing import FORBIDDEN, MOST_BODY, MOST_ID, Frame

__all__ = ["FORBIDDEN", "MOST_BODY", "MOST_ID", "Frame"]
