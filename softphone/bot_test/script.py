"""What a simulated caller says, waits for and expects: a TOML file of steps.

    end = "bot"                  # who hangs up

    [[step]]
    listen = 10.0                # the greeting has begun and ended within 10 s

    [[step]]
    say = "order.wav"

The keys are the fields of `CallerScript` and `CallerStep`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from softphone.call.leg import check_digits
from softphone.config.toml_reader import TomlTable, field_names, read_toml
from softphone.errors import ConfigurationError
from softphone.media.bank import find_codec

LONGEST = 600.0
"""The most seconds of a step."""
MOST_STEPS = 1000
WITHIN = 10.0
"""Seconds that a step waits for the bot unless it says how long."""
ACTIONS = ("say", "text", "listen", "wait", "digits", "expect_digits")
"""The keys of which a step has exactly one."""
_NOISE = (-70.0, -10.0)
_ONLY_WITH: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "barge_in": ("say", "text", "digits"),
        "words": ("listen",),
        "within": ("say", "text", "digits", "expect_digits"),
    }
)


class EndedBySide(StrEnum):
    """Who is to hang up."""

    CALLER = "caller"
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerStep:
    """One step; it has one of `ACTIONS`.

    `say` is a WAV file to play, `text` what the text-to-speech command is to speak.  `listen` waits
    until the bot has spoken since the caller last did, and has ended, for so many seconds at most;
    `words` is what it should say, for the word error rate.  `wait` waits for so many seconds.
    `digits` sends DTMF, a comma pauses; `expect_digits` waits for digits that the bot sends.  With
    `barge_in` the caller begins so many seconds after the bot began to speak, while it speaks.
    `within` is how long such a step, or `expect_digits`, waits for the bot (10 s).

    Raises ConfigurationError whose message begins with the key.
    """

    say: os.PathLike[str] | None = None
    text: str | None = None
    listen: float | None = None
    words: str | None = None
    wait: float | None = None
    digits: str | None = None
    expect_digits: str | None = None
    barge_in: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ConfigurationError(
                f"{given[1] if given else 'step'}: a step has one of {', '.join(ACTIONS)},"
                " and one only"
            )
        for name, actions in _ONLY_WITH.items():
            if getattr(self, name) is not None and given[0] not in actions:
                raise ConfigurationError(f"{name}: that belongs to {', '.join(actions)}")
        if self.within is not None and self.barge_in is None and self.expect_digits is None:
            raise ConfigurationError("within: that belongs to barge_in or expect_digits")
        for name in ("listen", "wait", "barge_in", "within"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= LONGEST:
                raise ConfigurationError(f"{name}: expected seconds, up to {LONGEST:g}")
        for name, pauses in (("digits", ","), ("expect_digits", "")):
            if getattr(self, name) is not None:
                _check_digits(name, getattr(self, name), pauses)

    @property
    def action(self) -> str:
        """The key that says what the step does."""
        return next(name for name in ACTIONS if getattr(self, name) is not None)

    @property
    def patience(self) -> float:
        """Seconds that the step waits for the bot."""
        return WITHIN if self.within is None else self.within


def _check_digits(key: str, digits: str, pauses: str) -> None:
    try:
        check_digits(digits, pauses=pauses)
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerScript:
    """One caller.

    `name` is that of the file unless it has its own.  `codec` is the only one that is offered,
    `loss` the percentage of our packets that are lost on the way to the bot, `noise` the level of
    white noise behind the caller in dBm0.  The bot's turn ends with a silence of `pause` seconds.
    `end` says who hangs up after the last step; the bot has `end_within` seconds for it.

    Raises ConfigurationError whose message begins with the key.
    """

    name: str
    steps: tuple[CallerStep, ...]
    codec: str | None = None
    loss: float = 0.0
    noise: float | None = None
    pause: float = 0.8
    end: EndedBySide = EndedBySide.CALLER
    end_within: float = WITHIN

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise ConfigurationError(
                f"step: a script has 1 to {MOST_STEPS} of [[step]], not {len(self.steps)}"
            )
        if not 0.0 <= self.loss < 100.0:
            raise ConfigurationError("loss: expected a percentage from 0 up to 100")
        if self.noise is not None and not _NOISE[0] <= self.noise <= _NOISE[1]:
            raise ConfigurationError(f"noise: expected dBm0 from {_NOISE[0]:g} to {_NOISE[1]:g}")
        if not 0.3 <= self.pause <= 10.0:
            raise ConfigurationError("pause: expected seconds from 0.3 to 10")
        if not 0.0 < self.end_within <= LONGEST:
            raise ConfigurationError(f"end_within: expected seconds, up to {LONGEST:g}")
        if self.codec is not None:
            try:
                find_codec(self.codec.upper())
            except ConfigurationError as error:
                raise ConfigurationError(f"codec: {error}") from error

    @property
    def texts(self) -> tuple[str, ...]:
        """What text-to-speech is to speak."""
        return tuple(step.text for step in self.steps if step.text is not None)

    @property
    def transcribed(self) -> bool:
        """Whether a step says which words are expected."""
        return any(step.words is not None for step in self.steps)


def read_script(path: Path) -> CallerScript:
    """Read a script.  Raises ConfigurationError with the file, the line and the key."""
    table = read_toml(path, "script", "give a TOML file with [[step]] tables")
    table.check_keys(*field_names(CallerScript, "steps"), "step")
    steps = tuple(map(_read_step, table.tables("step")))
    values = table.fields(CallerScript, "steps", "loss", "noise")
    values |= {key: table.amount(key) for key in ("loss", "noise") if key in table.values}
    return table.checked(lambda: CallerScript(**{"name": path.stem, **values, "steps": steps}))


def _read_step(table: TomlTable) -> CallerStep:
    table.check_keys(*field_names(CallerStep))
    return table.checked(lambda: CallerStep(**table.fields(CallerStep)))
