"""softphone.sip.registration."""

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
