"""Personas: how a class of devices speaks SIP.

A persona says how a device registers, which SRTP fallbacks it knows, whose word about the far end
counts, and what it answers outside calls.  It returns intents and sends nothing:
`softphone.account` acts.  A device's boot is in `softphone.provisioning`.  A new persona is one
file here: a class made from `StandardPersona`, called `PERSONA` in its module, found by the
module's name; the other modules are imported when they are asked for.

RFC 3261 and RFC 5626 (standard), Cisco's SIP Line Messaging Guide (Cisco phones), CUCM's SIP OAuth
mode and AS-SIP devices.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from softphone.errors import ConfigurationError
from softphone.personas.persona import (
    DeviceIdentity,
    OutOfDialogReply,
    PersonaLine,
    RegistrationStyle,
)
from softphone.personas.standard import FarEndReport, StandardPersona

__all__ = [
    "DeviceIdentity",
    "FarEndReport",
    "OutOfDialogReply",
    "PersonaLine",
    "RegistrationStyle",
    "StandardPersona",
    "persona_named",
    "persona_names",
]

_NOT_PERSONAS = frozenset({"persona"})


def persona_names() -> tuple[str, ...]:
    """Every persona there is."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(found - _NOT_PERSONAS))


def persona_named(name: str) -> StandardPersona:
    """The persona of that name.  Raises ConfigurationError."""
    if name not in persona_names():
        known = ", ".join(persona_names())
        raise ConfigurationError(f"persona: {name!r} is unknown; known are {known}")
    persona: StandardPersona = import_module(f"{__name__}.{name}").PERSONA()
    return persona
