"""OpenAI Realtime over a WebSocket: JSON events, sound in base64, server VAD.

The events are those of the interface without "beta": `session.type` is "realtime", and sound comes
in `response.output_audio.delta`.  An answer comes faster than it is played, so that at an
interruption the service is told how much of it was heard (`conversation.item.truncate`).
"""

from __future__ import annotations

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
    ToolRequest,
    Transcript,
)
from softphone.agents.sound_coding import SoundCoding

TRANSCRIBER = "gpt-4o-mini-transcribe"
"""The model that writes down what the caller says."""


class OpenAIDialect(Dialect):
    """A session with OpenAI Realtime.

    The service has one response at a time.  What follows a function's result is asked for when the
    response that is under way has ended.
    """

    PCM_HEARD_HZ: ClassVar[int] = 24000
    CODINGS: ClassVar[tuple[SoundCoding, ...]] = tuple(SoundCoding)

    def __init__(self, settings: SessionSettings, coding: SoundCoding) -> None:
        super().__init__(settings, coding)
        self._response = ""
        self._interrupted = ""
        self._asked = self._response_due = False
        self._open_calls: set[str] = set()

    def open_session(self) -> None:
        """Queue `session.update` with the settings."""
        settings = self.settings
        audio_format: dict[str, Any] = {"type": f"audio/{self.coding.value}"}
        if self.coding is SoundCoding.PCM:
            audio_format["rate"] = self.PCM_HEARD_HZ
        heard: dict[str, Any] = {
            "format": audio_format,
            "turn_detection": {
                "type": "server_vad",
                "create_response": True,
                "interrupt_response": True,
            },
        }
        if settings.transcript:
            heard["transcription"] = {"model": TRANSCRIBER}
        spoken: dict[str, Any] = {"format": audio_format}
        if settings.voice:
            spoken["voice"] = settings.voice
        session: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": settings.instructions,
            "audio": {"input": heard, "output": spoken},
        }
        if settings.tools:
            session["tool_choice"] = "auto"
            session["tools"] = [
                {
                    "type": "function",
                    "name": each.name,
                    "description": each.description,
                    "parameters": each.parameters,
                }
                for each in settings.tools
            ]
        self._say({"type": "session.update", "session": session})

    def begin(self) -> None:
        """Queue `response.create` with the greeting, if there is one."""
        if self.settings.greeting:
            said = f"Say to the caller, word for word: {self.settings.greeting}"
            self._asked = True
            self._say({"type": "response.create", "response": {"instructions": said}})

    def send_sound(self, octets: bytes) -> None:
        """Queue `input_audio_buffer.append`."""
        self._say({"type": "input_audio_buffer.append", "audio": encode_base64(octets)})

    def send_text(self, text: str) -> None:
        """Queue a message of the user, and ask for an answer."""
        content = [{"type": "input_text", "text": text}]
        self._say_item({"type": "message", "role": "user", "content": content})
        self._ask_for_response()

    def report_heard(self, item: str, heard_ms: int) -> None:
        """Queue `conversation.item.truncate`."""
        self._say(
            {
                "type": "conversation.item.truncate",
                "item_id": item,
                "content_index": 0,
                "audio_end_ms": heard_ms,
            }
        )

    def answer_tool(self, request: ToolRequest, result: str) -> None:
        """Queue the result of a function; behind the last one, ask what the model says to it."""
        self._say_item({"type": "function_call_output", "call_id": request.id, "output": result})
        self._open_calls.discard(request.id)
        if not self._open_calls:
            self._ask_for_response()

    def _say_item(self, item: Mapping[str, Any]) -> None:
        self._say({"type": "conversation.item.create", "item": item})

    def _ask_for_response(self) -> None:
        if self._response or self._asked:
            self._response_due = True
        else:
            self._asked = True
            self._say({"type": "response.create"})

    def receive(self, message: Message) -> Iterator[ServiceEvent]:
        """Return what an event of the service means.  Raises ValueError."""
        event = parse_object(message)
        match event.get("type"):
            case "session.updated":
                self.ready = True
                yield SessionReady()
            case "response.created":
                self._response = text_in(object_in(event, "response"), "id")
                self._asked = False
            case "response.output_audio.delta":
                # What the service had under way when the caller began to speak comes late.
                if text_in(event, "response_id") != self._interrupted or not self._interrupted:
                    octets = decode_base64(text_in(event, "delta"))
                    yield ReplySound(text_in(event, "item_id"), octets)
            case "input_audio_buffer.speech_started":
                self._interrupted = self._response
                yield CallerSpeaks()
            case "response.output_audio_transcript.done":
                yield Transcript(Speaker.BOT, text_in(event, "transcript"))
            case "conversation.item.input_audio_transcription.completed":
                yield Transcript(Speaker.CALLER, text_in(event, "transcript"))
            case "response.done":
                yield from self._response_done(object_in(event, "response"))
            case "error":
                self._asked = False
                error = object_in(event, "error")
                said = text_in(error, "message") or text_in(error, "code")
                yield ServiceError(said, fatal=not self.ready)

    def _response_done(self, response: Mapping[str, Any]) -> Iterator[ServiceEvent]:
        self._response = ""
        status = text_in(response, "status")
        if status == "completed":
            output = objects_in(response, "output")
            calls = [item for item in output if item.get("type") == "function_call"]
            self._open_calls |= {text_in(item, "call_id") for item in calls}
            for item in calls:
                names = text_in(item, "call_id"), text_in(item, "name")
                yield ToolRequest(*names, text_in(item, "arguments"))
        elif status in ("failed", "incomplete"):
            details = object_in(response, "status_details")
            error = object_in(details, "error")
            said = text_in(error, "message") or text_in(error, "code") or text_in(details, "reason")
            yield ServiceError(said or f"a response is {status}", fatal=False)
        if self._response_due and not self._asked:
            self._response_due, self._asked = False, True
            self._say({"type": "response.create"})
