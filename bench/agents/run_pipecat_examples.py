"""Runs examples of pipecat's repository on calls, with softphone's transport in place of Daily's.

    python -m tests.support.extra_site
    python bench/agents/run_pipecat_examples.py SNAPSHOT [--commit COMMIT] [--only WORD]

SNAPSHOT is a git directory of pipecat-ai/pipecat; each example is read from COMMIT, nothing of it
is kept here.  In a copy, the lines that name Daily's transport and pipecat's runner are replaced,
as docs/guides/pipecat-bot.md says, and no other.  The example then serves a user of the lab, over
TLS and with SRTP, and a caller does what `EXAMPLES` says.

The examples are those that run on the telephone ("twilio" is among their transports), with the
services that most of them have, and each for something that a transport has to do: the last word
before the end, conversation, digits, a call that nobody speaks in, recording, sound of its own,
interruptions, muting, frames that an observer sees.  `LEFT_OUT` has those that look as if they were
for us and are not.  Speech services are stand-ins (`pipecat_stand_ins`), which is no change of a
line, either.

Prints a table, and writes results/pipecat_examples.json; the exit status is 1 where one failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.python_build import measured_on
from softphone import Call, Phone, SecurityLevel, load_account
from softphone.errors import SoftphoneError
from softphone.events import EndedBy
from softphone.lab import LabServer
from softphone.media.audio import tone_level
from tests.support.extra_site import PIPECAT
from tests.support.openai_services import StandInOfOpenAI, openai_services
from tests.support.sounds import samples, silence
from tests.support.voice import voice
from tests.support.waiting import until

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "pipecat_examples.json"
COMMIT = "acead0507d7de44e216d24533964106ca1d1d044"
PATIENCE = 60.0
TONE_HZ = 1000.0
REPLACED = {
    "from pipecat.transports.daily.transport import DailyParams": (
        "from softphone.agents.pipecat import SoftphoneParams"
    ),
    "from pipecat.runner.utils import create_transport": (
        "from softphone.agents.pipecat import create_transport"
    ),
    '    "daily": lambda: DailyParams(': '    "softphone": lambda: SoftphoneParams(',
    "    from pipecat.runner.run import main": "    from softphone.agents.pipecat import main",
}
"""How each line begins that is replaced, and what its beginning becomes."""


class ExampleFailed(Exception):
    """An example did not do what it should."""


@dataclass
class Session:
    """A call with an example, and what the example has printed so far."""

    call: Call
    services: StandInOfOpenAI
    folder: Path
    printed: list[str] = field(default_factory=list)

    async def hear(self, *, bot: bool = True) -> None:
        """Wait until the bot's voice is heard, or is not heard any more."""
        level = -200.0
        while (level > -20.0) is not bot:
            if not len(heard := await self.call.audio.read(800)):
                raise ExampleFailed("the call ended before the bot was heard")
            level = tone_level(heard.pcm, TONE_HZ, 8000)

    async def speak(self) -> None:
        """Say something, again where a busy machine has lost it, until the model is asked."""
        asked = len(self.services.prompts)
        while len(self.services.prompts) == asked:
            await self.call.audio.write(samples(vowels(2.0), silence(2.0)), lead=0.1)

    async def wait_for(self, text: str) -> None:
        """Wait until the example has printed `text`."""
        await until(lambda: any(text in line for line in self.printed))

    async def left(self) -> None:
        """Wait until the bot hangs up."""
        if (await self.call.ended()).by is not EndedBy.REMOTE:
            raise ExampleFailed("the bot did not hang up")


def vowels(seconds: float) -> np.ndarray:
    """Syllables that leave no pause between them, which Silero takes for speech."""
    count = round(8000 * seconds)
    syllables = voice(count + 1000, 8000).astype(np.int32)
    return np.clip(syllables[:count] + syllables[1000:], -32768, 32767)


async def last_word(session: Session) -> str:
    """The bot speaks, and hangs up after its last word."""
    await session.hear()
    await session.left()
    return "spoke, and hung up after the last word"


async def conversation(session: Session) -> str:
    """The bot greets, hears a sentence, and answers."""
    await session.hear()
    await session.hear(bot=False)
    asked = len(session.services.spoken)
    speaking = asyncio.ensure_future(session.speak())
    await session.hear()
    await speaking
    said = session.services.prompts[-1][-1]["content"]
    if said != "What do you sell?" or len(session.services.spoken) <= asked:
        raise ExampleFailed(f"the model was asked {said!r}")
    return "greeted, was asked, answered"


async def digits(session: Session) -> str:
    """The bot reads its menu, takes a digit, and answers."""
    await session.hear()
    await session.hear(bot=False)
    asked = len(session.services.prompts)
    await session.call.send_digits("1")
    await until(lambda: len(session.services.prompts) > asked)
    if "DTMF: 1" not in str(session.services.prompts[-1][-1]["content"]):
        raise ExampleFailed(f"the model was told {session.services.prompts[-1][-1]}")
    await session.hear()
    return "read its menu, was told the digit, answered"


async def detection(session: Session) -> str:
    """The caller speaks first, and is taken for a person."""
    speaking = asyncio.ensure_future(session.speak())
    await session.hear()
    await speaking
    await session.wait_for("Conversation detected!")
    if any("assuming a conversation" in line for line in session.printed):
        raise ExampleFailed("the detector did not understand the model")
    return "took the caller for a person, answered"


async def silence_kept(session: Session) -> str:
    """Nobody answers the bot, which asks twice, and hangs up."""
    await session.hear()
    await session.left()
    idle = sum("User turn idle" in line for line in session.printed)
    if idle != 3:
        raise ExampleFailed(f"noticed silence {idle} times")
    return "noticed silence three times, hung up after the last word"


async def recording(session: Session) -> str:
    """A conversation that the bot records."""
    await conversation(session)
    session.call.hangup()
    for name in ("merged", "user", "bot"):
        await session.wait_for(f"Audio saved to recordings/{name}")
    sizes = sorted(each.stat().st_size for each in session.folder.glob("recordings/*.wav"))
    if len(sizes) != 3 or sizes[0] < 10_000:
        raise ExampleFailed(f"files of {sizes} octets")
    return "greeted, was asked, answered; saved three recordings"


async def observed(session: Session) -> str:
    """A conversation whose frames an observer prints."""
    await conversation(session)
    await session.wait_for("BOT STOP SPEAKING")
    return "greeted, was asked, answered; its observer saw the bot start and stop"


@dataclass(frozen=True)
class Example:
    """One example, and what the caller does."""

    path: str
    script: Callable[[Session], Awaitable[str]]
    asks: tuple[str, ...] = ()
    """Files that it reads."""


EXAMPLES = (
    Example("getting-started/01-say-one-thing.py", last_word),
    Example("getting-started/02-llm-say-one-thing.py", last_word),
    Example("getting-started/06-voice-agent.py", conversation),
    Example("getting-started/07-function-calling.py", conversation),
    Example("features/features-dtmf-menu.py", digits),
    Example("features/features-voicemail-detection.py", detection),
    Example("audio/audio-recording.py", recording),
    Example("audio/audio-sound-effects.py", conversation, ("ding1.wav", "ding2.wav")),
    Example("turn-management/turn-management-detect-user-idle.py", silence_kept),
    Example("turn-management/turn-management-user-mute-strategy.py", conversation),
    Example("turn-management/turn-management-interruption-config.py", conversation),
    Example("observability/observability-observer.py", observed),
)
LEFT_OUT = {
    "transports/transports-daily.py": "makes a room by Daily's own API and has Daily transcribe",
    "flows/warm_transfer.py": "has three parties in one room; a call has two",
    "audio/audio-bot-background-sound.py": "mixes by a library that pipecat's extra does not bring",
}


class Snapshot:
    """A commit in a git directory."""

    def __init__(self, folder: Path, commit: str) -> None:
        self.folder, self.commit = folder, commit

    def read(self, path: str) -> bytes:
        """A file of the commit.  Raises ExampleFailed if it is not there."""
        command = ["git", "--git-dir", str(self.folder), "show", f"{self.commit}:examples/{path}"]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise ExampleFailed(f"not in the snapshot: {path}")
        return done.stdout


def with_our_transport(text: str) -> tuple[str, int]:
    """An example with the transport's lines replaced, and how many these are."""
    before = text.splitlines()
    after = []
    for line in before:
        begin = next((each for each in REPLACED if line.startswith(each)), None)
        after.append(line if begin is None else REPLACED[begin] + line[len(begin) :])
    difference = difflib.ndiff(before, after)
    return "\n".join(after) + "\n", sum(line.startswith("+ ") for line in difference)


def classified(prompt: list[dict[str, Any]]) -> str:
    """What the model says; to a prompt that has it tell machines from people, a person."""
    asked = " ".join(str(each.get("content")) for each in prompt)
    if '"voicemail": <answer' not in asked:
        return "Hello, here I am."
    likely = {"conversation": 0.9, "voicemail": 0.1}
    return json.dumps({"voicemail": {"choice": "conversation", "probabilities": likely}})


async def run_example(example: Example, snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    """Run one, and return its row."""
    source = snapshot.read(example.path)
    text, changed = with_our_transport(source.decode())
    path = folder / "examples" / example.path
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for name in example.asks:
        for place in (folder / "examples" / "assets", path.parent / "assets"):
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(snapshot.read(f"assets/{name}"))
    begun = time.monotonic()
    row = {
        "path": f"examples/{example.path}",
        "sha256": hashlib.sha256(source).hexdigest(),
        "lines_changed": changed,
    }
    try:
        async with asyncio.timeout(3 * PATIENCE):
            happened = await _call(example, path, folder)
        return row | {"ran": True, "happened": happened, "seconds": _since(begun)}
    except (ExampleFailed, SoftphoneError, TimeoutError) as error:
        reason = f"{type(error).__name__}: {error}"
        return row | {"ran": False, "happened": reason, "seconds": _since(begun)}


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 1)


async def _call(example: Example, path: Path, folder: Path) -> str:
    async with (
        openai_services(hz=TONE_HZ, answer=classified) as services,
        LabServer(folder / "lab") as lab,
        Phone() as phone,
    ):
        alice = await phone.register(load_account(lab.accounts["alice"]).config)
        keys = {f"{name}_API_KEY": "stand-in" for name in ("OPENAI", "CARTESIA", "DEEPGRAM")}
        places = os.pathsep.join([str(HERE.parents[1]), *sys.path[1:]])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(HERE / "pipecat_stand_ins.py"), str(path)),
            str(lab.accounts["bob"]),
            cwd=folder,
            env=os.environ | keys | {"OPENAI_BASE_URL": services.url, "PYTHONPATH": places},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed: list[str] = []
        reading = asyncio.create_task(_read(process, printed))
        try:
            await _until_registered(process, printed)
            async with alice.dial("bob") as outgoing:
                call = await outgoing.answered(timeout=PATIENCE)
                call.security.require(SecurityLevel.ENCRYPTED)
                call.audio.use_rates(read_hz=8000, write_hz=8000)
                async with asyncio.timeout(PATIENCE):
                    happened = await example.script(Session(call, services, folder, printed))
        except BaseException:
            print(*printed[-40:], sep="\n", file=sys.stderr)
            raise
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            await process.wait()
            await reading
    if raised := [line for line in printed if line.startswith("Traceback")]:
        raise ExampleFailed(f"{len(raised)} tracebacks in what it printed")
    return happened


async def _read(process: asyncio.subprocess.Process, printed: list[str]) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        printed.append(line.decode().rstrip())


async def _until_registered(process: asyncio.subprocess.Process, printed: list[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not any("is registered" in line for line in printed):
            if process.returncode is not None:
                raise ExampleFailed(f"it ended: {printed[-1] if printed else 'without a word'}")
            await asyncio.sleep(0.05)


async def run_all(snapshot: Snapshot, only: str) -> list[dict[str, Any]]:
    """Run each of them in a folder of its own."""
    rows = []
    for example in EXAMPLES:
        if only in example.path:
            with tempfile.TemporaryDirectory() as name:
                rows.append(await run_example(example, snapshot, Path(name)))
            row = rows[-1]
            print(f"{row['path']:66} {row['lines_changed']} lines  {row['happened']}", flush=True)
    return rows


def main() -> int:
    """Run, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--commit", default=COMMIT)
    parser.add_argument("--only", default="", help="those whose path has this; nothing is written")
    options = parser.parse_args()
    if not PIPECAT.there():
        print("install pipecat: python -m tests.support.extra_site", file=sys.stderr)
        return 2
    rows = asyncio.run(run_all(Snapshot(options.snapshot, options.commit), options.only))
    if not options.only:
        document = {
            "bench": "pipecat_examples",
            "repository": "https://github.com/pipecat-ai/pipecat",
            "commit": options.commit,
            "examples": rows,
            "left_out": {f"examples/{name}": reason for name, reason in LEFT_OUT.items()},
            "pipecat": importlib.metadata.version("pipecat-ai"),
            **measured_on(),
        }
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(row["ran"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
