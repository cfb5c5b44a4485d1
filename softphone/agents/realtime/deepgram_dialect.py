"""Deepgram's Voice Agent over a WebSocket: settings and events in JSON, sound in binary messages.

A chain of three models at one address: one that listens, one that thinks and one that speaks.  The
service says when the caller begins to speak, and keeps account of what was heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from softphone.agents.json_messages import objects_in, parse_object, text_in
from softphone.agents.realtime.dialect import (
    CallerSpeaks,
    Dialect,
    Message,
    ReplySound,
    ServiceError,
    ServiceEvent,
    SessionReady,
    Speaker,
    ToolRequest,
    ToolWithdrawn,
    Transcript,
)
from softphone.agents.sound_coding import SoundCoding

LISTENER = "nova-3"
"""The model that listens."""
_ENCODINGS = {
    SoundCoding.PCMU: "mulaw",
    SoundCoding.PCMA: "alaw",
    SoundCoding.PCM: "linear16",
}


class DeepgramDialect(Dialect):
    """A session with Deepgram's Voice Agent; the model is "PROVIDER/NAME", the one that thinks."""

    PCM_HEARD_HZ: ClassVar[int] = 16000
    CODINGS: ClassVar[tuple[SoundCoding, ...]] = tuple(SoundCoding)

    def open_session(self) -> None:
        """Queue nothing: the service begins, with `Welcome`."""

    def _send_settings(self) -> None:
        settings = self.settings
        provider, _, model = settings.model.partition("/")
        think: dict[str, Any] = {"provider": {"type": provider, "model": model}}
        if settings.instructions:
            think["prompt"] = settings.instructions
        if settings.tools:
            think["functions"] = [
                {
                    "name": each.name,
                    "description": each.description,
                    "parameters": each.parameters,
                    # What cannot be undone waits until the caller has ended the sentence.
                    "defer_until_eot": True,
                }
                for each in settings.tools
            ]
        agent: dict[str, Any] = {
            "listen": {"provider": {"type": "deepgram", "model": LISTENER}},
            "think": think,
            "speak": {"provider": {"type": "deepgram", "model": settings.voice}},
        }
        encoding = _ENCODINGS[self.coding]
        heard = {"encoding": encoding, "sample_rate": self.heard_hz}
        spoken = {"encoding": encoding, "sample_rate": self.spoken_hz, "container": "none"}
        audio = {"input": heard, "output": spoken}
        self._say({"type": "Settings", "audio": audio, "agent": agent})

    def begin(self) -> None:
        """Queue the greeting (`InjectAgentMessage`): in the settings it would be said too early."""
        if self.settings.greeting:
            self._say({"type": "InjectAgentMessage", "message": self.settings.greeting})

    def send_sound(self, octets: bytes) -> None:
        """Queue a binary message."""
        self._out.append(octets)

    def send_text(self, text: str) -> None:
        """Queue `InjectUserMessage`."""
        self._say({"type": "InjectUserMessage", "content": text})

    def report_heard(self, item: str, heard_ms: int) -> None:
        """Queue nothing: the service has no message for it."""

    def answer_tool(self, request: ToolRequest, result: str) -> None:
        """Queue `FunctionCallResponse`."""
        names = {"id": request.id, "name": request.name}
        self._say({"type": "FunctionCallResponse", **names, "content": result})

    def keep_alive(self) -> None:
        """Queue `KeepAlive`: without it or sound the service leaves after ten seconds."""
        self._say({"type": "KeepAlive"})

    def receive(self, message: Message) -> Iterator[ServiceEvent]:
        """Return what a message of the service means.  Raises ValueError."""
        if isinstance(message, bytes):
            yield ReplySound("", message)
            return
        event = parse_object(message)
        match event.get("type"):
            case "Welcome":
                self._send_settings()
            case "SettingsApplied":
                self.ready = True
                yield SessionReady()
            case "UserStartedSpeaking":
                yield CallerSpeaks()
            case "ConversationText":
                speaker = Speaker.BOT if event.get("role") == "assistant" else Speaker.CALLER
                yield Transcript(speaker, text_in(event, "content"))
            case "FunctionCallRequest" | "FunctionCallCancelled" as kind:
                yield from _functions(event, withdrawn=kind == "FunctionCallCancelled")
            case "Error" | "Warning" | "InjectionRefused" as kind:
                fatal = kind == "Error" and not self.ready
                yield ServiceError(_description(event), fatal)


def _functions(event: Mapping[str, Any], *, withdrawn: bool) -> Iterator[ServiceEvent]:
    for each in objects_in(event, "functions"):
        names = text_in(each, "id"), text_in(each, "name")
        if withdrawn:
            yield ToolWithdrawn(names[0])
        elif each.get("client_side") is not False:
            yield ToolRequest(*names, text_in(each, "arguments"))


def _description(event: Mapping[str, Any]) -> str:
    return text_in(event, "description") or text_in(event, "message") or text_in(event, "code")
