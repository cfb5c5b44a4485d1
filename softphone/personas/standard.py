"""The standard persona: RFC 3261, its extensions, and the word of a call server that vouches.

A persona says how a class of devices speaks: how it registers, which SRTP fallbacks it knows,
whom it believes about the far end, what it answers to requests outside of calls.  It returns
intents and sends nothing.  Others are made from this one.
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
    """What one message says of the whole call: nothing (`spoken` False), or a level."""

    reported: bool
    level: SecurityLevel | None = None


class StandardPersona:
    """An RFC 3261 user agent."""

    name: ClassVar[str] = "standard"
    registered_connection_only: ClassVar[bool] = False
    """Whether new requests are served on the registration's own connection and on no other."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Event packages that a call notifies of, beside refer (RFC 6665)."""

    def check(self, line: PersonaLine) -> None:
        """Raise ConfigurationError when an account cannot be spoken for like this."""

    def user_agent(self, line: PersonaLine) -> str:
        """The value of User-Agent and Server."""
        return f"softphone/{__version__}"

    def instance(self, line: PersonaLine, entropy: Entropy) -> str | None:
        """The URN of this installation; None leaves it to the account."""
        return None

    def registration_style(self, line: PersonaLine) -> RegistrationStyle:
        """How the account registers."""
        return RegistrationStyle()

    def option_tags(self, line: PersonaLine) -> tuple[str, ...]:
        """What goes into Supported of calls beside what every account supports."""
        return ()

    def vouches(self, response: Response) -> bool:
        """Whether the server that accepted our REGISTER speaks for the far ends of calls.

        A server that implements Call-Info's security parameter says so by its interface version
        in Supported (Cisco SIP Line Messaging Guide); a proxy that merely forwards Call-Info
        does not.
        """
        return any(tag.lower().startswith(_VOUCHES) for tag in response.supported)

    def report_far_end(self, message: Request | Response, *, vouched: bool) -> FarEndReport:
        """What `message` says of the far end.

        `vouched` is whether it came over a verified connection from a server that `vouches`.
        Nobody else may raise what is shown, but a lower level is shown whoever says it.
        """
        spoken, level = call_security(message.headers.get_all("Call-Info"))
        if not spoken:
            return FarEndReport(False)
        if vouched or level is SecurityLevel.NOT_SECURE:
            return FarEndReport(True, level)
        return FarEndReport(False)

    def takes_clear_answers(self, srtp: SrtpPolicy, agreed: Collection[str]) -> bool:
        """Whether RTP/AVP may answer our RTP/SAVP.

        `agreed` is what the server supports by its answer to REGISTER, in lower case.
        """
        return srtp is SrtpPolicy.OPTIONAL

    def retries_in_clear(self, srtp: SrtpPolicy, status: int) -> bool:
        """Whether a refused SRTP offer is followed by one INVITE with RTP/AVP."""
        return srtp is SrtpPolicy.OPTIONAL and status == 488

    def answer_notify(self, request: Request, *, call_id: str) -> OutOfDialogReply | None:
        """The answer to a NOTIFY outside of calls; None: nothing that this persona knows.

        `call_id` is that of our REGISTER requests.
        """
        return None

    def answer_refer(self, request: Request, line: PersonaLine) -> OutOfDialogReply | None:
        """The answer to a REFER outside of calls; None: nothing that this persona knows."""
        return None


PERSONA = StandardPersona
