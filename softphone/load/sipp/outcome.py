"""What comes out of a call of a scenario, and of its actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from softphone.load.sipp.media.media_wanted import MediaWanted


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended: `cause` is "" when its scenario ran to its end.

    `setup` is the seconds from its INVITE to the 2xx, None without one.  `registrations` has the
    seconds of each REGISTER that was answered, and "" or the status it was refused with.
    """

    number: int
    cause: str
    seconds: float
    setup: float | None = None
    registrations: tuple[tuple[float, str], ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A call began; `number` counts from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class ScenarioLog:
    """A text that an action logs, by `kind`: log, warning or error.

    Of the kind "refused" it is why a challenge was not answered.
    """

    number: int
    kind: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CommandWanted:
    """A command line that a scenario runs, where that is allowed, and variables for its shell."""

    command: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StopWanted:
    """A scenario ends the run: no call begins any more, and `now` none goes on."""

    now: bool


@dataclass(frozen=True, slots=True)
class TwinCommand:
    """A text for the twin."""

    text: str = field(repr=False)


SippEvent: TypeAlias = (
    CallBegan | CallOutcome | ScenarioLog | CommandWanted | MediaWanted | StopWanted | TwinCommand
)
