"""softphone.media.worker."""

from __future__ import annotations

from softphone.media.worker.remote_engine import RemoteEngine

__all__ = ["RemoteEngine"]
