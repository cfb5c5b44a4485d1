"""A Cisco device that shows a bearer token in the place of a certificate (CUCM SIP OAuth mode).

TLS to port 5090, where the server shows an ordinary certificate and asks for none; 407 Bearer is
answered with a token.  All else is `cisco_phone`.  Where tokens come from is the account's.
"""

from __future__ import annotations

from typing import ClassVar

from softphone.errors import ConfigurationError
from softphone.personas.cisco_phone import CiscoPhonePersona
from softphone.personas.persona import PersonaLine


class OauthPersona(CiscoPhonePersona):
    """A device of CUCM's that has a token."""

    name: ClassVar[str] = "oauth"

    def check(self, line: PersonaLine) -> None:
        """Raise ConfigurationError without a device, a token or TLS, or with digest beside it."""
        if line.device is None:
            raise ConfigurationError(
                "device: persona 'oauth' registers a device: give its name in [device]"
            )
        if not line.secure:
            raise ConfigurationError(
                "registrar: a token is shown over TLS only: use sips: or transport=tls"
            )
        if not line.bearer:
            raise ConfigurationError("oauth: persona 'oauth' needs a token: give [oauth]")
        if line.digest:
            raise ConfigurationError("credentials: digest and a token do not go together")


PERSONA = OauthPersona
