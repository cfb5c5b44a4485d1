"""The interface and the status codes that both SRTP backends share (RFC 3711).

A transform is the raw cryptographic context of one direction and one master key.  It returns a
`SrtpStatus` and never raises on hostile bytes.  `softphone.srtp.context` adds the policy: failure
counters, a limit on sources and candidate rollover counters.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Protocol

REPLAY_WINDOW = 1024
"""Packets of the SRTP replay window (RFC 3711 section 3.3.2 demands at least 64)."""

SRTCP_REPLAY_WINDOW = 128
"""Packets of the SRTCP replay window; libsrtp has this size fixed."""


class SrtpBackend(StrEnum):
    """The implementation that does the cryptography."""

    LIBSRTP = "libsrtp"
    CRYPTOGRAPHY = "cryptography"


class SrtpStatus(IntEnum):
    """The verdict on one packet; OK (0) is the only success."""

    OK = 0
    AUTHENTICATION_FAILED = 1
    REPLAYED = 2
    TOO_OLD = 3
    MALFORMED = 4
    TOO_LONG = 5
    KEY_EXPIRED = 6
    TOO_MANY_SOURCES = 7
    CLOSED = 8
    FAILED = 9


class SrtpTransform(Protocol):
    """The transform of one direction and one master key, for any number of SSRCs.

    A method that returns a status other than OK returns empty bytes with it.
    """

    def protect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTP to SRTP."""

    def protect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTCP to SRTCP."""

    def unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTP to RTP."""

    def unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTCP to RTCP."""

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that was heard or set; None for any other."""

    def set_roc(self, ssrc: int, roc: int) -> bool:
        """Set the rollover counter of the next packet of `ssrc`; False if that is not possible."""

    def close(self) -> None:
        """Drop the keys; every later call returns SrtpStatus.CLOSED."""
