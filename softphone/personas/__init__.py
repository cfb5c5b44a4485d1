"""Personas: the SIP behavior of a class of devices.

A persona decides how a device registers, which SRTP fallbacks it supports, which servers may vouch
for far ends, and how it answers requests outside dialogs.  It returns intents and sends nothing:
`softphone.account` acts on them.  A device's boot is in `softphone.provisioning`.  A new persona is
one file here: a subclass of `StandardPersona`, assigned to `PERSONA` in its module and found by the
module's name; a persona's module is imported when it is asked for.

RFC 3261 and RFC 5626 (standard), Cisco's SIP Line Messaging Guide (Cisco phones), CUCM's SIP OAuth
mode and AS-SIP devices.
"""

from __future__ import annotations

import pkgutil
from functools import cache
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


@cache
def persona_names() -> tuple[str, ...]:
    """Return the names of all personas, sorted: the package's folder is listed once."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(found - _NOT_PERSONAS))


def persona_named(name: str) -> StandardPersona:
    """Return the persona of that name.  Raises ConfigurationError for an unknown one."""
    if name not in persona_names():
        known = ", ".join(persona_names())
        raise ConfigurationError(f"persona: {name!r} is unknown; known are {known}")
    persona: StandardPersona = import_module(f"{__name__}.{name}").PERSONA()
    return persona
