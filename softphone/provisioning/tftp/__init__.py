"""softphone.provisioning.tftp."""

from __future__ import annotations

from softphone.provisioning.tftp.client import TftpDownload, TftpEvent, TftpFailed, TftpTimes

__all__ = ["TftpDownload", "TftpEvent", "TftpFailed", "TftpTimes"]
