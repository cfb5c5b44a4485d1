"""Stand-ins of OpenAI's three services of a voice bot: speech to text, a model, text to speech."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web


@dataclass
class StandInOfOpenAI:
    """What OpenAI's three services answer, as its client takes them: words, and a tone for them.

    The tone is of `hz` to whoever takes the samples for 24,000 a second.  `answer` gives what the
    model says to a prompt.
    """

    url: str = ""
    hz: float = 3000.0
    answer: Callable[[list[dict]], str] = lambda prompt: "Hello, here I am."
    prompts: list[list[dict]] = field(default_factory=list)
    heard_seconds: list[float] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)

    async def transcribe(self, request):
        form = await request.post()
        with wave.open(io.BytesIO(form["file"].file.read())) as sound:
            self.heard_seconds.append(sound.getnframes() / sound.getframerate())
        return web.json_response({"text": "What do you sell?"})

    async def complete(self, request):
        asked = await request.json()
        self.prompts.append(asked["messages"])
        said = self.answer(asked["messages"])
        if not asked.get("stream"):
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
            return web.json_response({**whole, "choices": [choice]})
        begun, space, rest = said.partition(" ")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta in ({"role": "assistant", "content": begun + space}, {"content": rest}, {}):
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            line = json.dumps({**chunk, "choices": [choice]})
            await response.write(f"data: {line}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def speak(self, request):
        self.spoken.append((await request.json())["input"])
        time = np.arange(8000) / 24000
        pcm = (8000 * np.sin(2 * np.pi * self.hz * time)).astype(np.int16)
        return web.Response(body=pcm.tobytes(), content_type="audio/pcm")


@asynccontextmanager
async def openai_services(**given) -> AsyncIterator[StandInOfOpenAI]:
    """Serve on loopback at the stand-in's `url`, which is what OPENAI_BASE_URL has to be."""
    made = StandInOfOpenAI(**given)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/audio/transcriptions", made.transcribe)
    app.router.add_post("/v1/chat/completions", made.complete)
    app.router.add_post("/v1/audio/speech", made.speak)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield made
    finally:
        await runner.cleanup()
