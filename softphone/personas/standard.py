"""The standard persona: RFC 3261 and its family, and the word of a call server that vouches.

A persona says how a class of devices speaks: which SRTP fallbacks it knows and whom it believes
about the far end.  It returns intents and sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from softphone.security import SecurityLevel, SrtpPolicy
from softphone.sip import Request, Response
from softphone.sip.call_info import call_security

__all__ = ["FarEndWord", "StandardPersona"]

_VOUCHES = "x-cisco-sis-"


@dataclass(frozen=True, slots=True)
class FarEndWord:
    """What one message says of the whole call: nothing (`spoken` False), or a level."""

    spoken: bool
    level: SecurityLevel | None = None


class StandardPersona:
    """An RFC 3261 user agent."""

    name = "standard"

    def vouches(self, response: Response) -> bool:
        """Whether the server that accepted our REGISTER speaks for the far ends of calls.

        A server that implements Call-Info's security parameter says so by its interface version
        in Supported (Cisco SIP Line Messaging Guide); a proxy that merely forwards Call-Info
        does not.
        """
        return any(tag.lower().startswith(_VOUCHES) for tag in response.supported)

    def far_end(self, message: Request | Response, *, vouched: bool) -> FarEndWord:
        """What `message` says of the far end.

        `vouched` is whether it came over a verified connection from a server that `vouches`.
        Nobody else may raise what is shown, but a lower level is shown whoever says it.
        """
        spoken, level = call_security(message.headers.get_all("Call-Info"))
        if not spoken:
            return FarEndWord(False)
        if vouched or level is SecurityLevel.NOT_SECURE:
            return FarEndWord(True, level)
        return FarEndWord(False)

    def retries_in_clear(self, srtp: SrtpPolicy, status: int) -> bool:
        """Whether a refused SRTP offer is followed by one INVITE with RTP/AVP."""
        return srtp is SrtpPolicy.OPTIONAL and status == 488
