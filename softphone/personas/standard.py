"""The standard persona: RFC 3261, its extensions, and far-end levels from a server that vouches.

It is the base class of all personas: each decides how a class of devices registers, which SRTP
fallbacks it supports, which servers may vouch for far ends, and how it answers requests outside
dialogs.  It returns intents and sends nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from softphone._version import __version__
from softphone.personas.persona import OutOfDialogReply, PersonaLine, RegistrationStyle
from softphone.sans_io import Entropy
from softphone.security import SecurityLevel, SrtpPolicy
from softphone.sip import Request, Response
from softphone.sip.message import call_security

_VOUCHES = "x-cisco-sis-"


@dataclass(frozen=True, slots=True)
class FarEndReport:
    """What one message reports of the far end: nothing (`reported` False), or a level.

    A reported level of None means unknown.
    """

    reported: bool
    level: SecurityLevel | None = None


_NOTHING = FarEndReport(False)


class StandardPersona:
    """An RFC 3261 user agent."""

    name: ClassVar[str] = "standard"
    registered_connection_only: ClassVar[bool] = False
    """Whether new requests are accepted only on the registration's own connection."""
    calls_end_with_binding: ClassVar[bool] = False
    """Whether the server clears the calls of a device that unregisters, as CUCM does."""
    remote_party_id_first: ClassVar[bool] = False
    """Whether Remote-Party-ID says better who a far end is than P-Asserted-Identity."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Event packages that a call supports as notifier, beside refer (RFC 6665)."""

    def check(self, line: PersonaLine) -> None:
        """Raise ConfigurationError when an account does not fit this persona."""

    def user_agent(self, line: PersonaLine) -> str:
        """Return the value of User-Agent and Server."""
        return f"softphone/{__version__}"

    def instance(self, line: PersonaLine, entropy: Entropy) -> str | None:
        """Return the URN of this installation; None leaves it to the account."""
        return None

    def registration_style(self, line: PersonaLine) -> RegistrationStyle:
        """Return how the account registers."""
        return RegistrationStyle()

    def option_tags(self, line: PersonaLine) -> tuple[str, ...]:
        """Return the option tags for Supported beside those of every account (RFC 4916)."""
        return ("from-change",)

    def vouches(self, response: Response) -> bool:
        """Whether the server that accepted our REGISTER vouches for the far ends of calls.

        A server that implements Call-Info's security parameter says so by its interface version
        in Supported (Cisco SIP Line Messaging Guide); a proxy that merely forwards Call-Info
        does not.
        """
        return any(tag.lower().startswith(_VOUCHES) for tag in response.supported)

    def report_far_end(self, message: Request | Response, *, vouched: bool) -> FarEndReport:
        """Return the far end's level that `message` reports in Call-Info.

        `vouched` is whether it came over a verified connection from a server that `vouches`.  From
        any other sender only NOT_SECURE counts: none may raise the level that is shown.
        """
        said = message.headers.get_all("Call-Info")
        if not said:
            return _NOTHING
        spoken, level = call_security(said)
        if not spoken:
            return _NOTHING
        if vouched or level is SecurityLevel.NOT_SECURE:
            return FarEndReport(True, level)
        return _NOTHING

    def takes_clear_answers(self, srtp: SrtpPolicy, agreed: Collection[str]) -> bool:
        """Whether RTP/AVP may answer our RTP/SAVP.

        `agreed` holds the option tags of the server's 2xx to REGISTER, in lower case.
        """
        return srtp is SrtpPolicy.OPTIONAL

    def retries_in_clear(self, srtp: SrtpPolicy, status: int) -> bool:
        """Whether a refused SRTP offer is followed by one INVITE with RTP/AVP."""
        return srtp is SrtpPolicy.OPTIONAL and status == 488

    def answer_notify(self, request: Request, *, call_id: str) -> OutOfDialogReply | None:
        """Return the reply to a NOTIFY outside a dialog; None if this persona does not know it.

        `call_id` is that of our REGISTER requests.
        """
        return None

    def answer_refer(self, request: Request, line: PersonaLine) -> OutOfDialogReply | None:
        """Return the reply to a REFER outside a dialog; None if this persona does not know it."""
        return None


PERSONA = StandardPersona
