"""softphone.media.engine."""

from __future__ import annotations

from softphone.media.engine.engine import MediaEngine
from softphone.media.engine.live_detection import start_detection
from softphone.media.engine.sockets import encode_remote

__all__ = ["MediaEngine", "encode_remote", "start_detection"]
