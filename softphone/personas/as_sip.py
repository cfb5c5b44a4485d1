"""A third-party endpoint over TLS: CUCM's generic AS-SIP and secure video types.

CUCM identifies it by its digest user name alone: no device name, no configuration files, no client
certificate from CAPF.  Its signaling is always TLS and its media always SRTP.
"""

from __future__ import annotations

from typing import ClassVar

from softphone.errors import ConfigurationError
from softphone.personas.persona import PersonaLine, RegistrationStyle
from softphone.personas.standard import StandardPersona
from softphone.security import SrtpPolicy


class AsSipPersona(StandardPersona):
    """An endpoint that CUCM identifies by its digest user name."""

    name: ClassVar[str] = "as_sip"
    registered_connection_only: ClassVar[bool] = True
    calls_end_with_binding: ClassVar[bool] = True

    def check(self, line: PersonaLine) -> None:
        """Raise ConfigurationError without TLS, SRTP or a digest user."""
        if not line.secure:
            raise ConfigurationError(
                "registrar: persona 'as_sip' speaks TLS only: use sips: or transport=tls"
            )
        if not line.digest:
            raise ConfigurationError(
                "credentials: persona 'as_sip' is known by its digest user: give [credentials]"
            )
        if line.srtp is SrtpPolicy.OFF:
            raise ConfigurationError("media.srtp: persona 'as_sip' speaks SRTP; it cannot be off")

    def registration_style(self, line: PersonaLine) -> RegistrationStyle:
        """Register a plain binding: CUCM supports neither outbound nor GRUU."""
        return RegistrationStyle(outbound=False, gruu=False, option_tags=())


PERSONA = AsSipPersona
