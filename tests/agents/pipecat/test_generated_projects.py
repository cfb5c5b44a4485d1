"""Projects that pipecat's own command generates, run on calls: only the transport's lines differ.

Their speech services are OpenAI's; a stand-in of these answers here, at the address that the client
takes from the environment, so that no other line has to change.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from softphone import SecurityLevel
from softphone.events import EndedBy
from softphone.media.audio import tone_level
from tests.examples.conftest import Program
from tests.suite import CHANGES
from tests.support.extra_site import PIPECAT
from tests.support.openai_services import openai_services
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


@pytest.fixture
async def services():
    # The generated bot takes the tone's 24,000 samples a second for 8,000: 1 kHz is heard.
    async with openai_services(hz=3000.0) as made:
        yield made


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
        CHANGES.mkdir(parents=True, exist_ok=True)
        (CHANGES / f"pipecat-{mode}.diff").write_text("\n".join(difference) + "\n")
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
    # What a busy machine tears in two is a turn with two transcripts.
    said = services.prompts[asked][-1]["content"]
    assert said == " ".join(["What do you sell?"] * said.count("?")) != ""
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
