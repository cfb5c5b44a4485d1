"""softphone.messaging.files."""

from __future__ import annotations

from softphone.messaging.files.transfer import FileTransfer, Moved

__all__ = ["FileTransfer", "Moved"]
