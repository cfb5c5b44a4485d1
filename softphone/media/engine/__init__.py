"""softphone.media.engine."""

from __future__ import annotations

from softphone.media.engine.engine import MediaEngine
from softphone.media.engine.live_detection import listen
from softphone.media.engine.sockets import find_far_end

__all__ = ["MediaEngine", "find_far_end", "listen"]
