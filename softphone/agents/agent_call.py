"""A call of an agent server, from its first ringing to its end, as an application knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from softphone.agents.twiml import Verb
from softphone.call import IncomingCall, OutgoingCall
from softphone.events import CallState

if TYPE_CHECKING:
    from softphone.agents.bot_call import BotCall

API_VERSION = "2010-04-01"
"""The version of Twilio's interface whose fields these are."""

Program: TypeAlias = tuple[Verb, ...] | str
"""The instructions for a call: the verbs of a TwiML document, or the URL to fetch it from."""


class Direction(StrEnum):
    """Who called whom."""

    INBOUND = "inbound"
    OUTBOUND = "outbound-api"


@dataclass(eq=False)
class AgentCall:
    """One call, incoming or placed.

    `sid` is the callSid: "CA" and 32 hex digits.  `caller` and `called` are numbers or SIP URIs, of
    an incoming call as the far end has sent them.  `created` and `answered` are wall-clock times.
    `bot` is set from the answer on, `ending` when the call is about to end, and `redirection` to
    the program that replaces the current one.
    """

    sid: str
    account_sid: str
    party: IncomingCall | OutgoingCall = field(repr=False)
    direction: Direction
    caller: str
    called: str
    created: datetime
    answered: datetime | None = None
    bot: BotCall | None = None
    ending: bool = False
    redirection: Program | None = field(default=None, repr=False)

    @property
    def status(self) -> str:
        """The call's status as Twilio names it: queued, ringing or in-progress."""
        if self.bot is not None:
            return "in-progress"
        if self.direction is Direction.INBOUND or self.party.state is CallState.EARLY:
            return "ringing"
        return "queued"

    def form_fields(self) -> dict[str, str]:
        """Return the form fields that the request to the voice URL has about the call."""
        fields = {
            "AccountSid": self.account_sid,
            "ApiVersion": API_VERSION,
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Called": self.called,
            "Caller": self.caller,
            "Direction": self.direction.value,
            "From": self.caller,
            "To": self.called,
        }
        return {name: _text(value) for name, value in fields.items()}

    def facts(self) -> Mapping[str, str]:
        """Return the values of `{from}` and `{to}` in a bot's parameters."""
        return {"from": self.caller, "to": self.called}


def _text(value: str) -> str:
    """Return a text with "?" for each lone surrogate, which UTF-8 cannot encode."""
    return value.encode("utf-8", "replace").decode("utf-8")
