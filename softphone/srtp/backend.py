"""What both SRTP backends have in common: their interface and their verdicts (RFC 3711).

A transform is the raw cryptographic context of one direction and one master key.  It raises
nothing on hostile bytes: it returns a `SrtpStatus`.  Policy (counters, limits on sources, candidate
rollover counters) is `softphone.srtp.context`'s.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Protocol

REPLAY_WINDOW = 1024
"""Packets of the SRTP replay window (RFC 3711 section 3.3.2 demands at least 64)."""

SRTCP_REPLAY_WINDOW = 128
"""Packets of the SRTCP replay window; libsrtp's is fixed at this."""


class SrtpBackend(StrEnum):
    """Which implementation does the work."""

    LIBSRTP = "libsrtp"
    CRYPTOGRAPHY = "cryptography"


class SrtpStatus(IntEnum):
    """The verdict on one packet; 0 is the only good one."""

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
    """One direction, one master key, any number of SSRCs.  Bytes beside a bad status are empty."""

    def protect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTP to SRTP."""

    def protect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """RTCP to SRTCP."""

    def unprotect(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTP to RTP."""

    def unprotect_rtcp(self, packet: bytes) -> tuple[SrtpStatus, bytes]:
        """SRTCP to RTCP."""

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that was heard or set, None if there is none."""

    def set_roc(self, ssrc: int, roc: int) -> bool:
        """Say what the rollover counter of the next packet of `ssrc` is; False if not possible."""

    def close(self) -> None:
        """Drop the keys; every later call returns Status.CLOSED."""
