"""A pin: one certificate accepted for one place."""

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
        """Where it is accepted; hosts are compared without case or trailing dot."""
        return self.service, self.host.rstrip(".").lower(), self.port
