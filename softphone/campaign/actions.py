"""What is done after an outcome: functions of the application, and some that are ready.

    async def connect(campaign_call: CampaignCall) -> str | None:
        await campaign_call.call.audio.write(...)
        return "agreed"        # stands in the results

A function gets the call while it is up, and leaving it hangs up.  After an outcome without an
answer there is no call.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from softphone.call import Call, OutgoingCall
from softphone.campaign.outcome import Outcome
from softphone.campaign.scheduler import ListedNumber
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import CallState
from softphone.media.audio import WavSource

if TYPE_CHECKING:
    from softphone.agents import AgentServer


@dataclass(eq=False)
class CampaignCall:
    """One attempt, as a function gets it.

    `outcome` is the one that the function is for, `attempt` counts the calls to this number from 1.
    `call` is up when the function begins; None without an answer.
    """

    number: ListedNumber
    outcome: Outcome
    attempt: int
    outgoing: OutgoingCall | None = field(default=None, repr=False)
    call: Call | None = field(default=None, repr=False)
    abandoned: bool = False

    def abandon(self) -> None:
        """Count the call as abandoned: a person answered, and no agent took the call."""
        self.abandoned = True

    @property
    def answered_call(self) -> Call:
        """The call.  Raises LocalProtocolError if it was not answered."""
        if self.call is None:
            raise LocalProtocolError(f"{self.number.number}: there is no call: {self.outcome}")
        return self.call

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self.call is None or self.call.state is CallState.TERMINATED


Action: TypeAlias = Callable[[CampaignCall], Awaitable[str | None]]
"""A function of an outcome; the text that it returns stands in the results as `detail`."""

WITH_CALL = frozenset(
    {
        *(Outcome.HUMAN, Outcome.SILENCE, Outcome.ANSWERED, Outcome.MACHINE, Outcome.FAX),
        Outcome.ABANDONED,
    }
)
"""Outcomes whose function gets a call that is up."""
WITHOUT_CALL = frozenset(
    {
        *(Outcome.BUSY, Outcome.NO_ANSWER, Outcome.DECLINED, Outcome.NOT_FOUND, Outcome.FAILED),
        *(Outcome.HUNG_UP, Outcome.REFUSED, Outcome.DO_NOT_CALL),
    }
)


async def hang_up(_: CampaignCall) -> str | None:
    """Hang up."""
    return None


@dataclass(frozen=True, slots=True)
class PlayFile:
    """Play a WAV file to its end, and hang up."""

    path: Path

    def __post_init__(self) -> None:
        WavSource(self.path).close()

    async def __call__(self, campaign_call: CampaignCall) -> str | None:
        """Play the file; the detail is whether it was heard to its end."""
        audio = campaign_call.answered_call.audio
        audio.play(self.path)
        await audio.played()
        return "hung up while it played" if campaign_call.is_over else "played"


@dataclass(frozen=True, slots=True)
class TransferTo:
    """Transfer the call to a target, such as a queue of people."""

    target: str

    async def __call__(self, campaign_call: CampaignCall) -> str | None:
        """Transfer the call.  Raises CallError when that is refused, DialRefused by the policy."""
        await campaign_call.answered_call.transfer(self.target)
        return "transferred"


@dataclass(frozen=True, slots=True)
class JoinBot:
    """Join the call with the bot of an agent server, which gets name and variables of the row."""

    server: AgentServer

    async def __call__(self, campaign_call: CampaignCall) -> str | None:
        """Join the call until it or the bot ends.  Raises TransportError when the bot fails."""
        call, outgoing = campaign_call.answered_call, campaign_call.outgoing
        if outgoing is None:
            raise LocalProtocolError("a bot is joined with calls that were placed")
        number = campaign_call.number
        parameters = {**number.variables, "outcome": campaign_call.outcome.value}
        if number.name:
            parameters["name"] = number.name
        await self.server.join(outgoing, call, parameters)
        return "talked with the bot"


def load_function(text: str) -> Action:
    """Return the async function `FILE.py:NAME` or `package.module:NAME`.

    Raises ConfigurationError.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise ConfigurationError(f"function {text!r}: expected FILE.py:NAME or MODULE:NAME")
    try:
        module = (
            _load_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        )
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{place} cannot be loaded: {error!r}") from error
    found: Any = getattr(module, name, None)
    if not inspect.iscoroutinefunction(found):
        raise ConfigurationError(f"{place} has no async function named {name!r}")
    action: Action = found
    return action


def _load_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"softphone_campaign_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigurationError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses of the file look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def check_action(outcome: Outcome, action: Action) -> None:
    """Raise ConfigurationError for an outcome without actions, or an action that needs a call."""
    if outcome not in WITH_CALL | WITHOUT_CALL:
        raise ConfigurationError(f"there is no function for {outcome}")
    if outcome in WITHOUT_CALL and isinstance(action, PlayFile | TransferTo | JoinBot):
        raise ConfigurationError(f"{outcome}: there is no call that could be played to or joined")
