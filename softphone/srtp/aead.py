"""The second backend, on `cryptography`: for FIPS mode, and the oracle of the first.

AES-CM with HMAC-SHA1 (RFC 3711) and AES-GCM (RFC 7714), the key derivation (RFC 3711 4.3), index
estimation and replay windows, written from the RFCs alone.
"""

from __future__ import annotations

from softphone.security import CryptoSuite

__all__ = ["CryptographyTransform"]


class CryptographyTransform:
    """One direction under one master key (see `softphone.srtp.backend.Transform`)."""

    def __init__(self, suite: CryptoSuite, key: bytes) -> None:
        raise NotImplementedError
