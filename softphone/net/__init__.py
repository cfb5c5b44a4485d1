"""The only rooms with sockets: the driver, UDP, TCP and TLS, DNS and HTTP."""

from __future__ import annotations

from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.net.driver import Driver, DriverConfig
from softphone.net.limits import TokenBucket, TransportLimits

__all__ = [
    "DnsResolver",
    "Driver",
    "DriverConfig",
    "ResolverConfig",
    "TokenBucket",
    "TransportLimits",
]
