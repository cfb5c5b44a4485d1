"""Which bot an agent server joins with its calls, how it is reached, and what holds without it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from softphone.agents.dialects import DIALECTS, StreamDialect, StreamSound
from softphone.agents.sound_coding import SoundCoding
from softphone.agents.twiml import LONGEST_PARAMETER, MOST_PARAMETERS
from softphone.agents.web_address import BOT, check_address, place
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings

PLACEHOLDERS: Final = ("from", "to", "call_sid", "sip_call_id", "assurance")
"""What `{…}` in a parameter may name: facts of the call."""

_ACCOUNT_ID = re.compile(r"AC[0-9a-f]{32}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class TroubleRule(StrEnum):
    """What becomes of a call that has lost its bot for good."""

    HANG_UP = "hang-up"
    ANNOUNCE = "announce"


@dataclass(frozen=True, kw_only=True)
class BotConfig:
    """One bot.

    `url` is wss:, or ws: at a numeric loopback address.  `dialect` is whose messages it
    understands; `coding` and `sample_rate` are how its sound is coded (`sound`), the dialect's own
    choice unless given.  `token` signs the handshake (X-Twilio-Signature).  `parameters` become
    `customParameters`, or what the dialect has for that; `{from}`, `{to}`, `{call_sid}`,
    `{sip_call_id}` and `{assurance}` in a value stand for those of the call.  `account_id` is the
    accountSid; "" makes one from the account's address.  A bot that is not there yet is tried again
    for `patience` seconds; one that is lost in a call is joined anew `reconnects` times.  After
    that, and where it breaks the rules, the call hears `announcement` (a WAV file), if there is
    one, and is hung up.

    Raises ConfigurationError.
    """

    url: str = field(repr=False)  # its path and query may be secret
    dialect: StreamDialect = StreamDialect.TWILIO
    coding: SoundCoding | None = None
    sample_rate: int | None = None
    token: KeyMaterial | None = None
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    account_id: str = ""
    patience: float = 10.0
    reconnects: int = 0
    announcement: Path | None = None

    def __post_init__(self) -> None:
        check_address(self.url, BOT)
        _check_sound(self.dialect, self.sound)
        _check_parameters(self.parameters)
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("the bot's TLS settings are those of a web server: HTTPS")
        if self.token is not None and not len(self.token):
            raise ConfigurationError("the bot's token is empty")
        if self.account_id and not _ACCOUNT_ID.fullmatch(self.account_id):
            raise ConfigurationError("the account's id is AC and 32 hex digits in lower case")
        if not 0.1 <= self.patience <= 60.0:
            raise ConfigurationError(f"{self.patience:g} s for the bot is outside 0.1 to 60 s")
        if not 0 <= self.reconnects <= 100:
            raise ConfigurationError(f"{self.reconnects} reconnections are outside 0 to 100")

    @property
    def rule(self) -> TroubleRule:
        """What becomes of a call that has lost its bot for good."""
        return TroubleRule.HANG_UP if self.announcement is None else TroubleRule.ANNOUNCE

    @property
    def sound(self) -> StreamSound:
        """How sound is coded on its streams.

        :meta private:
        """
        sounds = DIALECTS[self.dialect].SOUNDS
        coding = next(iter(sounds)) if self.coding is None else self.coding
        return StreamSound(coding, self.sample_rate or sounds.get(coding, (0,))[0])

    @property
    def parts(self) -> SplitResult:
        """The URL in parts."""
        return urlsplit(self.url)

    @property
    def place(self) -> str:
        """The bot for logs and sentences: its URL without path and query, which may be secret."""
        return place(self.url)


def check_bots(configs: Sequence[BotConfig]) -> None:
    """Raise ConfigurationError for bots that one server cannot have together."""
    if len({each.url for each in configs}) < len(configs):
        raise ConfigurationError("two bots have one URL")
    if len({each.sound.rate_hz for each in configs}) > 1:
        # The sound of a call has one rate, and its bots may follow each other.
        raise ConfigurationError("the bots of a server have one sample rate: give each the same")


def _check_sound(dialect: StreamDialect, sound: StreamSound) -> None:
    sounds = DIALECTS[dialect].SOUNDS
    if sound.rate_hz not in sounds.get(sound.coding, ()):
        known = ", ".join(
            f"{coding.value} at {rate}" for coding, rates in sounds.items() for rate in rates
        )
        raise ConfigurationError(f"the dialect {dialect.value} has sound as {known} Hz only")


def _check_parameters(parameters: Mapping[str, str]) -> None:
    if len(parameters) > MOST_PARAMETERS:
        raise ConfigurationError(f"{len(parameters)} parameters are more than {MOST_PARAMETERS}")
    for name, value in parameters.items():
        if not name or len(name) + len(value) > LONGEST_PARAMETER:
            raise ConfigurationError(
                f"a parameter has a name, and {LONGEST_PARAMETER} characters at most with its value"
            )
        unknown = set(_PLACEHOLDER.findall(value)) - set(PLACEHOLDERS)
        if unknown:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise ConfigurationError(
                f"parameter {name}: {{{min(unknown)}}} stands for nothing; there are {known}"
            )


def fill_parameters(parameters: Mapping[str, str], facts: Mapping[str, str]) -> dict[str, str]:
    """Put a call's facts, as the far end may have chosen them, in the place of placeholders.

    A value is cut where it would be longer than parameters may be.
    """
    return {
        name: _PLACEHOLDER.sub(lambda found: facts.get(found[1], ""), value)[
            : LONGEST_PARAMETER - len(name)
        ]
        for name, value in parameters.items()
    }
