"""Sockets for signaling and files: the driver of sans-IO machines, streams, UDP, DNS and HTTP.

The protocols that run on them are in `softphone.sip`, `softphone.trust` and
`softphone.provisioning`.  Certificates are judged in `softphone.trust.verification`.  The media
loop is in `softphone.media.engine`, which takes its sockets from `softphone.net.datagrams`.
`stream`, `datagrams`, `http` and `verified` are imported from their own packages, because
`datagrams` needs numpy and `http` needs httpcore.

RFC 3261 section 18 (transports), RFC 8446 (TLS), RFC 3263 (what DNS is asked), RFC 6761 section 6.3
(localhost), RFC 9110 and RFC 9112 (HTTP).
"""

from __future__ import annotations

from softphone.net.dns import DnsResolver, ResolverConfig
from softphone.net.driver import Driver, DriverConfig
from softphone.net.limits import LOOPBACK, TransportLimits, source_of
from softphone.net.off_loop import run_by_size, run_to_end

__all__ = [
    "LOOPBACK",
    "DnsResolver",
    "Driver",
    "DriverConfig",
    "ResolverConfig",
    "TransportLimits",
    "run_by_size",
    "run_to_end",
    "source_of",
]
