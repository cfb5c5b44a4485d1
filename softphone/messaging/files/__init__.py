"""softphone.messaging.files."""

from __future__ import annotations

from softphone.messaging.files.transfer import FileTransfer, TransferredFile

__all__ = ["FileTransfer", "TransferredFile"]
