"""TFTP without I/O: the client that reads a file, and the server that serves files.

Octet mode with the options blksize, tsize and timeout; writing is refused.  TFTP authenticates
nothing: `softphone.provisioning` verifies each file's signature.  `softphone.net` drives the
sockets.  Import `server` from its own module: only the servers of `softphone.lab` use it.

RFC 1350 with RFC 1123 section 4.2.3.1, RFC 2347, RFC 2348 and RFC 2349 (options).
"""

from __future__ import annotations

from softphone.provisioning.tftp.client import TftpDownload, TftpEvent, TftpFailed, TftpTimes

__all__ = ["TftpDownload", "TftpEvent", "TftpFailed", "TftpTimes"]
