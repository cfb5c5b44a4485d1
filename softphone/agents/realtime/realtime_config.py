"""Which realtime service talks in the calls of an account, with what key, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from softphone.agents.realtime.deepgram_dialect import DeepgramDialect
from softphone.agents.realtime.dialect import Dialect, SessionSettings
from softphone.agents.realtime.gemini_dialect import GeminiDialect
from softphone.agents.realtime.openai_dialect import OpenAIDialect
from softphone.agents.realtime.tools import DEFAULT_TOOLS, Tool, describe_tools
from softphone.agents.sound_coding import SoundCoding
from softphone.agents.web_address import SERVICE, check_address, is_loopback, place
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings

LONGEST_INSTRUCTIONS = 100_000
"""Characters of the instructions."""
_LONGEST_SHOWN = 200


class RealtimeService(StrEnum):
    """A service that hears and speaks."""

    OPENAI = "openai"
    """OpenAI Realtime."""
    GEMINI = "gemini"
    """Gemini Live; it has no usual model here."""
    DEEPGRAM = "deepgram"
    """Deepgram's Voice Agent; its model is "PROVIDER/NAME"."""


@dataclass(frozen=True)
class ServiceKind:
    """What is fixed about a service.

    `key_header` makes the header field with the key.  `url` is its address, `model` and `voice` are
    used where none is given; with `model_in_url` the model is a parameter of the URL.
    """

    title: str
    dialect: Callable[[SessionSettings, SoundCoding], Dialect]
    codings: tuple[SoundCoding, ...]
    url: str
    key_variable: str
    key_header: Callable[[str], Mapping[str, str]]
    model: str
    voice: str
    model_in_url: bool = False


KINDS: Mapping[RealtimeService, ServiceKind] = {
    RealtimeService.OPENAI: ServiceKind(
        title="OpenAI Realtime",
        dialect=OpenAIDialect,
        codings=OpenAIDialect.CODINGS,
        url="wss://api.openai.com/v1/realtime",
        key_variable="OPENAI_API_KEY",
        key_header=lambda key: {"Authorization": f"Bearer {key}"},
        model="gpt-realtime-2.1",
        voice="marin",
        model_in_url=True,
    ),
    RealtimeService.GEMINI: ServiceKind(
        title="Gemini Live",
        dialect=GeminiDialect,
        codings=GeminiDialect.CODINGS,
        url="wss://generativelanguage.googleapis.com/ws/"
        "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
        key_variable="GEMINI_API_KEY",
        key_header=lambda key: {"x-goog-api-key": key},
        model="",
        voice="",
    ),
    RealtimeService.DEEPGRAM: ServiceKind(
        title="Deepgram's Voice Agent",
        dialect=DeepgramDialect,
        codings=DeepgramDialect.CODINGS,
        url="wss://agent.deepgram.com/v1/agent/converse",
        key_variable="DEEPGRAM_API_KEY",
        key_header=lambda key: {"Authorization": f"Token {key}"},
        model="open_ai/gpt-4.1-mini",
        voice="aura-2-thalia-en",
    ),
}


@dataclass(frozen=True, kw_only=True)
class RealtimeConfig:
    """One service, and how it is to talk.

    `key` is the service's API key.  `instructions` are the model's; `greeting` is what it says
    first, "" lets the caller begin.  `model`, `voice` and `url` are the service's usual ones when
    they are "".  A `url` is at the service's own host, at one of `hosts`, or at a numeric loopback
    address, where ws: is allowed: the key goes nowhere else.  `tools` are the functions that the
    model is offered.  `coding` None takes G.711 where the call has it, else 16-bit samples.
    `transcript` has what is said written down.  A service that is not there yet is tried again for
    `patience` seconds, which is also the time to take the settings.  When it fails, the call hears
    `announcement` (a WAV file), if there is one, and is hung up.

    Raises ConfigurationError.
    """

    service: RealtimeService
    key: KeyMaterial
    instructions: str = field(default="", repr=False)
    greeting: str = field(default="", repr=False)
    model: str = ""
    voice: str = ""
    url: str = field(default="", repr=False)  # its path and query may be secret
    hosts: tuple[str, ...] = ()
    tls: TlsSettings = field(default_factory=lambda: TlsSettings(service=Service.HTTPS))
    tools: tuple[Tool, ...] = DEFAULT_TOOLS
    coding: SoundCoding | None = None
    transcript: bool = False
    patience: float = 10.0
    announcement: Path | None = None

    def __post_init__(self) -> None:
        kind = self.kind
        if not len(self.key) or not self.key.reveal().isascii() or b"\n" in self.key.reveal():
            raise ConfigurationError(f"the key of {kind.title} is one line of ASCII characters")
        if self.tls.service is not Service.HTTPS:
            raise ConfigurationError("the service's TLS settings are those of a web server: HTTPS")
        if len(self.instructions) > LONGEST_INSTRUCTIONS:
            raise ConfigurationError(f"instructions have {LONGEST_INSTRUCTIONS:,} characters")
        if not 0.1 <= self.patience <= 60.0:
            raise ConfigurationError(f"{self.patience:g} s for the service is outside 0.1 to 60 s")
        if self.coding is not None and self.coding not in kind.codings:
            known = ", ".join(each.value for each in kind.codings)
            raise ConfigurationError(f"{kind.title} takes {known}, not {self.coding.value}")
        if not (self.model or kind.model):
            raise ConfigurationError(f"{kind.title} has no usual model here: name one")
        provider = self.model.partition("/")[0]
        if self.service is RealtimeService.DEEPGRAM and provider == self.model != "":
            raise ConfigurationError(f"{kind.title} takes a model as PROVIDER/NAME: {kind.model}")
        self._check_url()

    def _check_url(self) -> None:
        if not self.url:
            return
        check_address(self.url, SERVICE)
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        own = urlsplit(self.kind.url).hostname
        listed = {own, *(each.lower().rstrip(".") for each in self.hosts)}
        if host not in listed and not is_loopback(host):
            raise ConfigurationError(
                f"{host} is neither {own} nor a host that is listed: the key is not sent there"
            )

    @property
    def kind(self) -> ServiceKind:
        """What is fixed about the service."""
        return KINDS[self.service]

    @property
    def address(self) -> str:
        """The URL that is connected to."""
        url, kind = self.url or self.kind.url, self.kind
        if not kind.model_in_url or "model" in parse_qs(urlsplit(url).query):
            return url
        separator = "&" if urlsplit(url).query else "?"
        return f"{url}{separator}model={quote(self.model or kind.model, safe='')}"

    @property
    def place(self) -> str:
        """The service for logs and sentences: its URL without path and query."""
        return place(self.address)

    def headers(self) -> dict[str, str]:
        """Return the header fields with the key."""
        return dict(self.kind.key_header(self.key.reveal().decode("ascii")))

    def make_dialect(self, codec: str) -> Dialect:
        """Make the dialect for a call with this codec, or for one with none yet ("")."""
        kind = self.kind
        settings = SessionSettings(
            model=self.model or kind.model,
            voice=self.voice or kind.voice,
            instructions=self.instructions,
            greeting=self.greeting,
            tools=describe_tools(self.tools),
            transcript=self.transcript,
        )
        coding = self.coding or _coding_for(codec, kind.codings)
        return kind.dialect(settings, coding)

    def shown(self, text: str) -> str:
        """Return a service's own words for logs and sentences: without the key, and cut."""
        secret = self.key.reveal().decode("ascii")
        plain = "".join(each if each.isprintable() else " " for each in text)
        return plain.replace(secret, "...")[:_LONGEST_SHOWN]


def _coding_for(codec: str, codings: tuple[SoundCoding, ...]) -> SoundCoding:
    """Return the coding of a codec where the service takes it, else 16-bit samples."""
    try:
        coding = SoundCoding(codec.lower())
    except ValueError:
        return SoundCoding.PCM
    return coding if coding in codings else SoundCoding.PCM
