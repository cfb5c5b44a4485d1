"""Registration of one address of record with one registrar or an ordered list of servers.

Sends REGISTER, refreshes before expiry, replaces a dead flow and backs off between attempts;
`node_list` fails over between servers as Cisco phones do.  The registrar is in
`softphone.lab.registrar`, DNS in `softphone.sip.transport` (queries) and `softphone.net` (I/O); how
a device registers is chosen in `softphone.personas`.  `server_monitor` watches the servers of a
trunk, which keep no binding, by OPTIONS.

RFC 3261 section 10.2, RFC 5626 (outbound; section 4.5 for the back-off), RFC 6223 (keep), RFC 5627
(GRUU), RFC 3327 (Path), RFC 3608 (Service-Route).  Keep-alive REGISTERs are a Cisco extension.
"""

from __future__ import annotations

from softphone.sip.registration.node_list import (
    INITIALIZED,
    MoveEnded,
    NodeRegistration,
    NodeRegistrationEvent,
    NodeSetup,
)
from softphone.sip.registration.node_monitor import Node
from softphone.sip.registration.registration import Registration, RegistrationEvent
from softphone.sip.registration.server_monitor import ServerMonitor, serves

__all__ = [
    "INITIALIZED",
    "MoveEnded",
    "Node",
    "NodeRegistration",
    "NodeRegistrationEvent",
    "NodeSetup",
    "Registration",
    "RegistrationEvent",
    "ServerMonitor",
    "serves",
]
