"""A Cisco device with a bearer token instead of a client certificate (CUCM SIP OAuth mode).

It uses TLS to port 5090, where the server shows an ordinary certificate and asks for none, and
answers 407 Bearer with a token.  All else is `cisco_phone`.  The account obtains the tokens.
"""

from __future__ import annotations

from typing import ClassVar

from softphone.errors import ConfigurationError
from softphone.personas.cisco_phone import CiscoPhonePersona
from softphone.personas.persona import PersonaLine


class OauthPersona(CiscoPhonePersona):
    """A device in CUCM that has a bearer token."""

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
