"""The only rooms with sockets: the driver, UDP, TCP and TLS."""

from __future__ import annotations

from softphone.net.driver import Driver, Limits

__all__ = ["Driver", "Limits"]
