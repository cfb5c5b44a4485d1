"""A pin: one certificate accepted for one service at one host and port."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.trust.certificate.certificate import Service


@dataclass(frozen=True, slots=True)
class Pin:
    """One certificate (DER) accepted for one service at one host and port, whatever its names."""

    service: Service
    host: str
    port: int
    certificate: bytes

    @property
    def place(self) -> tuple[Service, str, int]:
        """Service, host (lower case, no trailing dot) and port: the key to look pins up by."""
        return self.service, self.host.rstrip(".").lower(), self.port
