"""Registration of one address of record, kept alive, with one registrar or a list of servers.

It sends REGISTER, refreshes ahead of expiry, replaces a dead flow and waits between attempts;
`node_list` moves between servers as Cisco's phones do.  It is no registrar (that is
`softphone.lab.registrar`), resolves no names (`softphone.sip.transport` says what to ask,
`softphone.net` asks) and does not choose how a device registers (`softphone.personas`).

RFC 3261 section 10.2, RFC 5626 (outbound; section 4.5 for the back-off), RFC 6223 (keep), RFC 5627
(GRUU), RFC 3327 (Path), RFC 3608 (Service-Route).  Keep-alive REGISTERs are Cisco's.
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

__all__ = [
    "INITIALIZED",
    "MoveEnded",
    "Node",
    "NodeRegistration",
    "NodeRegistrationEvent",
    "NodeSetup",
    "Registration",
    "RegistrationEvent",
]
