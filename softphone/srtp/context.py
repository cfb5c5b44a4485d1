"""Cryptographic contexts (RFC 3711 section 3.2): one a direction and a master key.

`SendContext` and `ReceiveContext` choose the backend, count failures by cause, bound the number
of sources, and find the rollover counter after a new remote key.  Bytes from the network never
raise.  A context is never shared between threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp.backend import Backend, Status

__all__ = [
    "FIRST_SEQUENCE_LIMIT",
    "MAXIMUM_SOURCES",
    "FailureCounts",
    "ReceiveContext",
    "SendContext",
]

FIRST_SEQUENCE_LIMIT = 1 << 15
"""A sender's first sequence number is below this (RFC 3711 section 3.3.1): if the first packets
are lost around a wrap, the receiver would guess a wrong rollover counter for ever."""

MAXIMUM_SOURCES = 64
"""SSRCs that one key may be heard from; a replay window is kept for each."""


@dataclass(slots=True)
class FailureCounts:
    """Packets that were dropped, by cause."""

    authentication: int = 0
    replayed: int = 0
    malformed: int = 0
    sources: int = 0
    expired: int = 0
    other: int = 0

    def count(self, status: Status | int) -> None:
        """Count one verdict; Status.OK counts nothing."""
        raise NotImplementedError


class SendContext:
    """Protects what we send under one key.  Packets are RTP or RTCP as of RFC 3550.

    Raises ConfigurationError when `key` has not the length that `suite` demands.
    """

    def __init__(
        self, suite: CryptoSuite, key: KeyMaterial, *, backend: Backend = Backend.LIBSRTP
    ) -> None:
        self.suite = suite
        self.failures = FailureCounts()
        raise NotImplementedError

    def protect(self, packet: bytes) -> bytes | None:
        """SRTP of an RTP packet; None when it was refused (a repeated index, an expired key)."""
        raise NotImplementedError

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """SRTCP of a compound RTCP packet; None when it was refused."""
        raise NotImplementedError

    def roc(self, ssrc: int) -> int | None:
        """The rollover counter of a source that has sent."""
        raise NotImplementedError

    def close(self) -> None:
        """Drop the keys; later packets are refused."""
        raise NotImplementedError


class ReceiveContext:
    """Authenticates and decrypts what the remote sends under one key, from any SSRC.

    `rollover` gives, for sources heard under the key before this one, where they were
    (`ReceiveContext.rollover()` of the old context): their first packet under the new key is
    tried with the kept counter and with 0 before it is dropped, since peers do either; the one
    that authenticates is kept.
    Raises ConfigurationError when `key` has not the length that `suite` demands.
    """

    def __init__(
        self,
        suite: CryptoSuite,
        key: KeyMaterial,
        *,
        backend: Backend = Backend.LIBSRTP,
        rollover: Mapping[int, int] | None = None,
    ) -> None:
        self.suite = suite
        self.failures = FailureCounts()
        raise NotImplementedError

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP packet, or None: then `failures` has counted why.  Never raises."""
        raise NotImplementedError

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """The RTCP packet, or None: then `failures` has counted why.  Never raises."""
        raise NotImplementedError

    def rollover(self) -> Mapping[int, int]:
        """Highest packet index (ROC * 2^16 + sequence number) by SSRC, for the next context."""
        raise NotImplementedError

    def close(self) -> None:
        """Drop the keys; later packets are counted and dropped."""
        raise NotImplementedError
