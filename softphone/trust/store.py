"""Who is believed: trust anchors and pins, in memory or on disk.

Writes are atomic (a new file renamed over the old) and readable by the owner only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from softphone.trust.certificate import Service

__all__ = ["Pin", "TrustStore"]


@dataclass(frozen=True, slots=True)
class Pin:
    """One certificate accepted for one service at one host and port, whatever it is named."""

    service: Service
    host: str
    port: int
    certificate: bytes


class TrustStore:
    """Trust anchors, the system's store when asked, and pins.

    `TrustStore.of("ca.crt")` is one in memory; `TrustStore.open(folder)` one on disk.
    """

    def __init__(
        self,
        anchors: Iterable[x509.Certificate] = (),
        *,
        system: bool = False,
        pins: Iterable[Pin] = (),
    ) -> None:
        raise NotImplementedError

    @classmethod
    def of(cls, *sources: str | Path) -> TrustStore:
        """Anchors from files or folders of PEM; the word "system" adds the system's store.

        Raises ConfigurationError when a source is missing or holds no certificate.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, path: str | Path) -> TrustStore:
        """The store kept in the folder `path`, made (0700) when it is missing."""
        raise NotImplementedError

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Our own trust anchors."""
        raise NotImplementedError

    def pins(self, service: Service, host: str, port: int) -> tuple[bytes, ...]:
        """The DER of the certificates accepted for that place."""
        raise NotImplementedError

    def add_anchor(self, certificate: x509.Certificate) -> None:
        """Believe this certificate as an anchor from now on (and on disk)."""
        raise NotImplementedError

    def add_pin(self, pin: Pin) -> None:
        """Accept this certificate for its place from now on (and on disk)."""
        raise NotImplementedError
