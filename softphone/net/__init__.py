"""The only rooms with sockets: the driver, UDP, TCP and TLS, DNS and HTTP."""

from __future__ import annotations

from softphone.net.dns import Resolver, ResolverConfig
from softphone.net.driver import Driver, DriverConfig
from softphone.net.limits import Limits, TokenBucket

__all__ = ["Driver", "DriverConfig", "Limits", "Resolver", "ResolverConfig", "TokenBucket"]
