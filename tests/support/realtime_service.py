"""Stand-ins of realtime services: WebSocket servers that speak their documented messages.

They hear speech in anything loud, answer with a tone, faster than it is played, and check what they
are told.  `python -m tests.support.realtime_service openai` runs one, and prints its URL.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from softphone.agents.sound_coding import SoundCoding, decode_sound, encode_sound

LOUD = 3000
"""The least sample of speech."""
ANSWER_HZ = 700.0


def tone(seconds: float, rate: int, coding: SoundCoding, hz: float = ANSWER_HZ) -> bytes:
    """A tone as octets."""
    at = np.arange(round(seconds * rate)) / rate
    return encode_sound((8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16), coding)


@dataclass
class Ear:
    """Tells where loud sound begins and ends, as a server's VAD does: after 60 and 300 ms."""

    rate: int
    coding: SoundCoding
    heard: bytearray = field(default_factory=bytearray)
    speaking: bool = False
    loud: float = 0.0
    quiet: float = 0.0

    def hear(self, octets: bytes) -> str:
        """Take sound; "started", "stopped" or ""."""
        self.heard += octets
        pcm = decode_sound(octets, self.coding)
        seconds = pcm.size / self.rate
        if np.abs(pcm.astype(int)).max(initial=0) > LOUD:
            self.loud, self.quiet = self.loud + seconds, 0.0
        else:
            self.quiet, self.loud = self.quiet + seconds, 0.0
        if not self.speaking and self.loud >= 0.06:
            self.speaking = True
            return "started"
        if self.speaking and self.quiet >= 0.3:
            self.speaking = False
            return "stopped"
        return ""


@dataclass
class ServiceSession:
    """One connection: what came, and what the service has sent of each answer, in milliseconds."""

    socket: web.WebSocketResponse
    headers: dict[str, str]
    path: str
    messages: list[Any] = field(default_factory=list)
    sent_ms: dict[str, int] = field(default_factory=dict)
    ear: Ear | None = None
    spoken_hz: int = 8000
    answers: int = 0

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type."""
        return [each for each in self.messages if each.get("type") == kind]

    async def say(self, kind: str, **rest: Any) -> None:
        await self.socket.send_json({"type": kind, "event_id": f"event_{id(rest)}", **rest})

    async def next(self) -> Any:
        """The next message, parsed, or its octets; None at the end."""
        message = await self.socket.receive()
        if message.type is WSMsgType.BINARY:
            return message.data
        if message.type is not WSMsgType.TEXT:
            return None
        found = json.loads(message.data)
        self.messages.append(found)
        return found


class StandIn:
    """A service whose answers call `functions` in turn: (name, arguments), or None."""

    def __init__(
        self,
        functions: list[tuple[str, dict[str, Any]] | None] | None = None,
        *,
        seconds: float = 0.6,
    ) -> None:
        self.functions = functions or []
        self.seconds = seconds
        self.sessions: list[ServiceSession] = []
        self.url = ""

    async def serve(self, session: ServiceSession) -> None:
        """Speak to the end of the connection."""
        while (message := await session.next()) is not None:
            await self.handle(session, message)

    async def hear(self, session: ServiceSession, octets: bytes) -> None:
        assert session.ear is not None
        found = session.ear.hear(octets)
        if found == "started":
            await self.interrupt(session)
        elif found == "stopped":
            await self.answer(session)

    def due(self) -> tuple[str, dict[str, Any]] | None:
        """The function that this answer calls."""
        return self.functions.pop(0) if self.functions else None

    async def handle(self, session: ServiceSession, message: Any) -> None:
        raise NotImplementedError

    async def interrupt(self, session: ServiceSession) -> None:
        raise NotImplementedError

    async def answer(self, session: ServiceSession) -> None:
        raise NotImplementedError


class OpenAIStandIn(StandIn):
    """OpenAI Realtime."""

    async def serve(self, session: ServiceSession) -> None:
        """Speak to the end of the connection."""
        await session.say("session.created", session={"type": "realtime", "id": "sess_1"})
        await super().serve(session)

    async def handle(self, session: ServiceSession, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                coding = event["session"]["audio"]["input"]["format"]["type"].partition("/")[2]
                rate = 24000 if coding == "pcm" else 8000
                session.ear = Ear(rate, SoundCoding(coding))
                await session.say("session.updated", session=event["session"])
            case "input_audio_buffer.append":
                await self.hear(session, base64.b64decode(event["audio"], validate=True))
            case "response.create":
                await self.answer(session)
            case "conversation.item.truncate":
                item, end = event["item_id"], event["audio_end_ms"]
                if end > session.sent_ms[item]:
                    error = {"type": "invalid_request_error", "message": "too long"}
                    await session.say("error", error=error)
                else:
                    body = {"item_id": item, "content_index": 0, "audio_end_ms": end}
                    await session.say("conversation.item.truncated", **body)

    async def interrupt(self, session: ServiceSession) -> None:
        await session.say("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u")

    async def answer(self, session: ServiceSession) -> None:
        """Say a tone of `seconds` at once; then call a function, if one is due."""
        session.answers += 1
        response, item = f"resp_{session.answers}", f"item_{session.answers}"
        names = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        await session.say("response.created", response={"id": response, "status": "in_progress"})
        ear = session.ear
        whole = tone(self.seconds, ear.rate, ear.coding)
        step = len(tone(0.2, ear.rate, ear.coding))
        session.sent_ms[item] = 0
        for begin in range(0, len(whole), step):
            delta = base64.b64encode(whole[begin : begin + step]).decode()
            session.sent_ms[item] += 200
            await session.say("response.output_audio.delta", delta=delta, **names)
        await session.say("response.output_audio_transcript.done", transcript="beep", **names)
        output: list[dict[str, Any]] = [{"id": item, "type": "message", "role": "assistant"}]
        if (function := self.due()) is not None:
            call = {"call_id": f"call_{session.answers}", "name": function[0]}
            output.append(
                {"type": "function_call", "arguments": json.dumps(function[1]), **call, "id": "f"}
            )
        body = {"id": response, "status": "completed", "output": output}
        await session.say("response.done", response=body)


class GeminiStandIn(StandIn):
    """Gemini Live; it sends JSON in binary messages, as the service does."""

    async def tell(self, session: ServiceSession, **body: Any) -> None:
        await session.socket.send_bytes(json.dumps(body).encode())

    async def handle(self, session: ServiceSession, message: Any) -> None:
        if "setup" in message:
            session.ear = Ear(16000, SoundCoding.PCM)
            await self.tell(session, setupComplete={})
        elif (given := message.get("realtimeInput")) is not None:
            if "text" in given:
                await self.answer(session)
            else:
                assert given["audio"]["mimeType"] == "audio/pcm;rate=16000"
                await self.hear(session, base64.b64decode(given["audio"]["data"]))

    async def interrupt(self, session: ServiceSession) -> None:
        if session.answers:
            await self.tell(session, serverContent={"interrupted": True})

    async def answer(self, session: ServiceSession) -> None:
        session.answers += 1
        whole = tone(self.seconds, 24000, SoundCoding.PCM)
        for begin in range(0, len(whole), 48000):
            data = base64.b64encode(whole[begin : begin + 48000]).decode()
            part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}
            await self.tell(session, serverContent={"modelTurn": {"parts": [part]}})
        await self.tell(session, serverContent={"outputTranscription": {"text": "be"}})
        await self.tell(session, serverContent={"outputTranscription": {"text": "ep"}})
        if (function := self.due()) is not None:
            call = {"id": f"call_{session.answers}", "name": function[0], "args": function[1]}
            await self.tell(session, toolCall={"functionCalls": [call]})
        await self.tell(session, serverContent={"generationComplete": True, "turnComplete": True})


class DeepgramStandIn(StandIn):
    """Deepgram's Voice Agent."""

    async def serve(self, session: ServiceSession) -> None:
        await session.socket.send_json({"type": "Welcome", "request_id": "1"})
        await super().serve(session)

    async def handle(self, session: ServiceSession, message: Any) -> None:
        if isinstance(message, bytes):
            await self.hear(session, message)
        elif message["type"] == "Settings":
            codings = {"mulaw": SoundCoding.PCMU, "alaw": SoundCoding.PCMA}
            given = message["audio"]["input"]
            coding = codings.get(given["encoding"], SoundCoding.PCM)
            session.ear = Ear(given["sample_rate"], coding)
            session.spoken_hz = message["audio"]["output"]["sample_rate"]
            await session.socket.send_json({"type": "SettingsApplied"})
        elif message["type"] in ("InjectAgentMessage", "InjectUserMessage"):
            await self.answer(session)

    async def interrupt(self, session: ServiceSession) -> None:
        await session.socket.send_json({"type": "UserStartedSpeaking"})

    async def answer(self, session: ServiceSession) -> None:
        session.answers += 1
        assert session.ear is not None
        say = session.socket.send_json
        await say({"type": "ConversationText", "role": "assistant", "content": "beep"})
        await session.socket.send_bytes(tone(self.seconds, session.spoken_hz, session.ear.coding))
        await say({"type": "AgentAudioDone"})
        if (function := self.due()) is not None:
            arguments = json.dumps(function[1])
            call = {"name": function[0], "arguments": arguments, "client_side": True}
            functions = [{"id": f"call_{session.answers}", **call}]
            await say({"type": "FunctionCallRequest", "functions": functions})


STAND_INS = {"openai": OpenAIStandIn, "gemini": GeminiStandIn, "deepgram": DeepgramStandIn}


async def start_service(
    service: Any,
    runners: Callable[[web.AppRunner], Any],
    *,
    refuse: int = 0,
    ssl_context: Any = None,
    serve: Callable[[ServiceSession], Awaitable[None]] | None = None,
) -> str:
    """Serve on loopback; return the URL.  `serve` replaces what the stand-in does."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if refuse:
            return web.Response(status=refuse)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        session = ServiceSession(socket, headers, request.path_qs)
        service.sessions.append(session)
        with suppress(ConnectionError):  # the client has left
            await (serve or service.serve)(session)
        return socket

    app = web.Application()
    app.router.add_get("/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    runners(runner)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
    scheme = "ws" if ssl_context is None else "wss"
    service.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/v1/realtime"
    return service.url


async def _main(name: str) -> None:
    runners: list[web.AppRunner] = []
    print(await start_service(STAND_INS[name](), runners.append), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
