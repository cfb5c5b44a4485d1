"""How a class of devices speaks SIP."""

from __future__ import annotations

from softphone.errors import ConfigurationError
from softphone.personas.standard import FarEndWord, StandardPersona

__all__ = ["FarEndWord", "StandardPersona", "persona_named"]

_PERSONAS = {"standard": StandardPersona}


def persona_named(name: str) -> StandardPersona:
    """The persona of that name.  Raises ConfigurationError."""
    if name not in _PERSONAS:
        raise ConfigurationError(
            f"persona: {name!r} is unknown; known are {', '.join(sorted(_PERSONAS))}"
        )
    return _PERSONAS[name]()
