"""Gemini Live over a WebSocket: JSON in text or binary messages, PCM at 16 kHz up and 24 kHz down.

The service detects speech itself, says `interrupted`, and keeps account of what was heard: there is
nothing that could tell it.  What is written down comes in pieces, which are put together here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from softphone.agents.json_messages import (
    decode_base64,
    encode_base64,
    object_in,
    objects_in,
    parse_object,
    text_in,
)
from softphone.agents.realtime.dialect import (
    CallerSpeaks,
    Dialect,
    Message,
    ReplySound,
    ServiceError,
    ServiceEvent,
    SessionReady,
    SessionSettings,
    Speaker,
    ToolDescription,
    ToolRequest,
    ToolWithdrawn,
    Transcript,
)
from softphone.agents.sound_coding import SoundCoding

LONGEST_TRANSCRIPT = 4000
"""The most characters of a transcript: a longer one is reported in parts."""


class GeminiDialect(Dialect):
    """A session with Gemini Live."""

    PCM_HEARD_HZ: ClassVar[int] = 16000
    CODINGS: ClassVar[tuple[SoundCoding, ...]] = (SoundCoding.PCM,)

    def __init__(self, settings: SessionSettings, coding: SoundCoding) -> None:
        super().__init__(settings, coding)
        self._said = dict.fromkeys(Speaker, "")

    def open_session(self) -> None:
        """Queue `setup` with the settings."""
        settings = self.settings
        generation: dict[str, Any] = {"responseModalities": ["AUDIO"]}
        if settings.voice:
            voice = {"prebuiltVoiceConfig": {"voiceName": settings.voice}}
            generation["speechConfig"] = {"voiceConfig": voice}
        model = settings.model
        setup: dict[str, Any] = {
            "model": model if "/" in model else f"models/{model}",
            "generationConfig": generation,
        }
        if settings.instructions:
            setup["systemInstruction"] = {"parts": [{"text": settings.instructions}]}
        if settings.tools:
            declared = [_declaration(each) for each in settings.tools]
            setup["tools"] = [{"functionDeclarations": declared}]
        if settings.transcript:
            setup["inputAudioTranscription"] = {}
            setup["outputAudioTranscription"] = {}
        self._say({"setup": setup})

    def begin(self) -> None:
        """Queue the request for the greeting, if one is set."""
        if self.settings.greeting:
            self.send_text(f"Say to the caller, word for word: {self.settings.greeting}")

    def send_sound(self, octets: bytes) -> None:
        """Queue `realtimeInput` with sound."""
        mime = f"audio/pcm;rate={self.PCM_HEARD_HZ}"
        sound = {"mimeType": mime, "data": encode_base64(octets)}
        self._say({"realtimeInput": {"audio": sound}})

    def send_text(self, text: str) -> None:
        """Queue `realtimeInput` with words."""
        self._say({"realtimeInput": {"text": text}})

    def report_heard(self, item: str, heard_ms: int) -> None:
        """Queue nothing: the service has no message for it."""

    def answer_tool(self, request: ToolRequest, result: str) -> None:
        """Queue `toolResponse`."""
        response = {"id": request.id, "name": request.name, "response": json.loads(result)}
        self._say({"toolResponse": {"functionResponses": [response]}})

    def receive(self, message: Message) -> Iterator[ServiceEvent]:
        """Return what a message of the service means.  Raises ValueError."""
        found = parse_object(message)
        if "setupComplete" in found:
            self.ready = True
            yield SessionReady()
        yield from self._content(object_in(found, "serverContent"))
        for call in objects_in(object_in(found, "toolCall"), "functionCalls"):
            arguments = json.dumps(object_in(call, "args"))
            yield ToolRequest(text_in(call, "id"), text_in(call, "name"), arguments)
        withdrawn = object_in(found, "toolCallCancellation").get("ids")
        if isinstance(withdrawn, list):
            yield from (ToolWithdrawn(each) for each in withdrawn if isinstance(each, str))
        if "goAway" in found:
            left = text_in(object_in(found, "goAway"), "timeLeft")
            yield ServiceError(f"it ends the session in {left}", fatal=False)

    def _content(self, content: Mapping[str, Any]) -> Iterator[ServiceEvent]:
        heard = object_in(content, "inputTranscription")
        yield from self._add_said(Speaker.CALLER, heard)
        for part in objects_in(object_in(content, "modelTurn"), "parts"):
            sound = object_in(part, "inlineData")
            if text_in(sound, "mimeType").startswith("audio/pcm"):
                yield from self._end_said(Speaker.CALLER)
                yield ReplySound("", decode_base64(text_in(sound, "data")))
        yield from self._add_said(Speaker.BOT, object_in(content, "outputTranscription"))
        interrupted = content.get("interrupted") is True
        if interrupted or content.get("turnComplete") is True:
            yield from self._end_said(Speaker.BOT)
        if interrupted:
            yield CallerSpeaks()

    def _add_said(self, speaker: Speaker, piece: Mapping[str, Any]) -> Iterator[ServiceEvent]:
        self._said[speaker] += text_in(piece, "text")
        if piece.get("finished") is True or len(self._said[speaker]) > LONGEST_TRANSCRIPT:
            yield from self._end_said(speaker)

    def _end_said(self, speaker: Speaker) -> Iterator[ServiceEvent]:
        text, self._said[speaker] = self._said[speaker].strip(), ""
        if text:
            yield Transcript(speaker, text)


def _declaration(tool: ToolDescription) -> dict[str, Any]:
    """Return a function's declaration; the service takes no schema that is empty or closed."""
    declared: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.parameters["properties"]:
        names = ("type", "properties", "required")
        declared["parameters"] = {name: tool.parameters[name] for name in names}
    return declared
