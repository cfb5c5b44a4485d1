"""Projects that pipecat's own command generates, run on calls: only the transport's lines differ.

Their speech services are OpenAI's; a stand-in of these answers here, at the address that the client
takes from the environment, so that no other line has to change.
"""

from __future__ import annotations

import asyncio
import difflib
import io
import json
import os
import re
import subprocess
import sys
import wave
from dataclasses import dataclass, field

import numpy as np
import pytest
from aiohttp import web

from softphone import SecurityLevel
from softphone.events import EndedBy
from softphone.media.audio import tone_level
from tests.examples.conftest import Program
from tests.support.extra_site import PIPECAT
from tests.support.sounds import samples, silence
from tests.support.voice import voice
from tests.support.waiting import PATIENCE, patiently

PIPECAT.need()

PLACES = os.pathsep.join([os.environ.get("PYTHONPATH", ""), os.getcwd(), str(PIPECAT.folder)])
COMMAND = "import sys; sys.argv[0] = 'pipecat'; from pipecat.cli.main import run; run()"
SERVICES = (
    *("--mode", "cascade", "--stt", "openai_stt", "--llm", "openai_llm", "--tts", "openai_tts"),
    *("--no-deploy-to-cloud", "--no-context-hub"),
)
DIAL_IN = {
    "from pipecat.transports.daily.transport import DailyParams": (
        "from softphone.agents.pipecat import SoftphoneParams"
    ),
    "from pipecat.runner.utils import create_transport": (
        "from softphone.agents.pipecat import create_transport"
    ),
    '        "daily": lambda: DailyParams(': '        "softphone": lambda: SoftphoneParams(',
    "    from pipecat.runner.run import main": "    from softphone.agents.pipecat import main",
}
DIAL_OUT = {
    "from pipecat.transports.daily.transport import DailyParams, DailyTransport": (
        "from softphone.agents.pipecat import SoftphoneParams, SoftphoneTransport"
    ),
    "        transport = DailyTransport(": "        transport = SoftphoneTransport(",
    "            request.room_url,": "            runner_args.account,",
    "            request.token,": None,
    '            "Daily PSTN Bot",': None,
    "            params=DailyParams(": "            params=SoftphoneParams(",
    '                api_key=os.getenv("DAILY_API_KEY"),': None,
    "    from pipecat.runner.run import main": "    from softphone.agents.pipecat import main",
}
"""Each line of a generated bot that names the transport, and what takes its place."""


@dataclass
class StandInOfOpenAI:
    """What OpenAI's three services answer, as its client takes them: words, and a tone for them."""

    url: str = ""
    prompts: list[list[dict]] = field(default_factory=list)
    heard_seconds: list[float] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)

    async def transcribe(self, request):
        form = await request.post()
        with wave.open(io.BytesIO(form["file"].file.read())) as sound:
            self.heard_seconds.append(sound.getnframes() / sound.getframerate())
        return web.json_response({"text": "What do you sell?"})

    async def complete(self, request):
        self.prompts.append((await request.json())["messages"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta in ({"role": "assistant", "content": "Hello, "}, {"content": "here I am."}, {}):
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            line = json.dumps({**chunk, "choices": [choice]})
            await response.write(f"data: {line}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def speak(self, request):
        self.spoken.append((await request.json())["input"])
        # The generated bot takes these 24,000 samples a second for 8,000: it hears 1 kHz.
        time = np.arange(8000) / 24000
        pcm = (8000 * np.sin(2 * np.pi * 3000 * time)).astype(np.int16)
        return web.Response(body=pcm.tobytes(), content_type="audio/pcm")


@pytest.fixture
async def services():
    made = StandInOfOpenAI()
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/audio/transcriptions", made.transcribe)
    app.router.add_post("/v1/chat/completions", made.complete)
    app.router.add_post("/v1/audio/speech", made.speak)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield made
    await runner.cleanup()


@pytest.fixture
def generate(tmp_path):
    """`generate("dial-in", replaced)`: the folder of a generated bot with its lines replaced."""

    def make(mode, replaced):
        transport = f"daily_pstn_{mode.replace('-', '')}"
        command = [sys.executable, "-c", COMMAND, "init", mode, "-b", "telephony", "-t", transport]
        environment = os.environ | {"PYTHONPATH": PLACES, "HOME": str(tmp_path)}
        subprocess.run(
            [*command, *SERVICES], cwd=tmp_path, env=environment, check=True, capture_output=True
        )
        path = tmp_path / mode / "server" / "bot.py"
        before = path.read_text().splitlines()
        assert replaced.keys() <= set(before)
        lines = [replaced.get(line, line) for line in before]
        after = [line for line in lines if line is not None]
        path.write_text("\n".join(after) + "\n")
        difference = list(difflib.unified_diff(before, after, mode, "softphone", "", "", 0, ""))
        print(*difference, sep="\n")
        changed = [line[1:] for line in difference[2:] if line[0] in "+-"]
        named = re.compile(
            r"[Dd]aily|DAILY|[Ss]oftphone|import (create_transport|main)$"
            r"|request\.(room_url|token)|runner_args\.account"
        )
        assert [line for line in changed if not named.search(line)] == []
        return path.parent

    return make


@pytest.fixture
def run_bot(services):
    """`async with run_bot(folder, account, ...)`: the bot as its author runs it."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def start(folder, *arguments):
        variables = {
            "PYTHONPATH": PLACES,
            "OPENAI_API_KEY": "stand-in",
            "OPENAI_BASE_URL": services.url,
            "OPENAI_VOICE_ID": "alloy",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "bot.py", *map(str, arguments)),
            cwd=folder,
            env=os.environ | variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield Program(process)
        finally:
            if process.returncode is None:
                process.kill()
                print((await process.communicate())[0].decode())

    return start


def vowels(seconds):
    """Syllables that leave no pause between them, int16: what Silero takes for speech."""
    count = round(8000 * seconds)
    syllables = voice(count + 1000, 8000).astype(np.int32)
    return np.clip(syllables[:count] + syllables[1000:], -32768, 32767)


async def hears(call, *, voice):
    """Wait until the bot's voice is heard, or no more."""
    while (tone_level((await call.audio.read(800)).pcm, 1000.0, 8000) > -20.0) is not voice:
        pass


async def speak_until_answered(call, services):
    """Say something, again if a busy machine has lost it, until the model is asked; hear it."""
    asked = len(services.prompts)
    listening = asyncio.ensure_future(hears(call, voice=True))
    async with asyncio.timeout(2 * PATIENCE):
        while len(services.prompts) == asked:
            await call.audio.write(samples(vowels(2.0), silence(2.0)), lead=0.1)
        await listening
    assert services.prompts[asked][-1]["content"] == "What do you sell?"
    assert services.heard_seconds[0] > 0.5


async def test_a_generated_dial_in_bot_answers_listens_and_answers(
    lab, account_of, services, generate, run_bot
):
    folder = generate("dial-in", DIAL_IN)
    alice = await account_of("alice")
    async with run_bot(folder, lab.accounts["bob"]) as program:
        await program.line("is registered")
        async with await alice.dial("bob").answered(timeout=60) as call:
            call.security.require(SecurityLevel.ENCRYPTED)
            call.audio.use_rates(read_hz=8000, write_hz=8000)
            await program.line("Handling call from: sip:alice@127.0.0.1")
            await patiently(hears(call, voice=True))
            assert services.spoken[0] == "Hello, here I am."
            assert services.prompts[0][-1]["content"].startswith("Start by concisely")
            await patiently(hears(call, voice=False))
            await speak_until_answered(call, services)
        program.stop()
        await program.ended()


async def test_a_generated_dial_out_bot_dials_again_and_speaks(
    lab, account_of, services, generate, run_bot
):
    folder = generate("dial-out", DIAL_OUT)
    alice = await account_of("alice")
    async with run_bot(folder, lab.accounts["bob"], "alice") as program:
        incoming = alice.incoming()
        (await patiently(anext(incoming))).reject(486)
        await program.line("Dial-out error, retrying")
        call = await (await patiently(anext(incoming))).answer()
        call.security.require(SecurityLevel.ENCRYPTED)
        call.audio.use_rates(read_hz=8000, write_hz=8000)
        await program.line("Dial-out answered")
        await speak_until_answered(call, services)
        call.hangup()
        assert (await call.ended()).by is EndedBy.LOCAL
        await program.line("Client disconnected")
        await program.ended()
