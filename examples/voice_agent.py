"""A voice agent that may be interrupted: it greets, listens, answers, and falls silent at once
when the caller begins to speak.

    softphone lab --dir lab
    python voice_agent.py lab/bob.toml
    softphone call bob --account lab/alice.toml --play speech.wav --duration 9 --record heard.wav

Any recording of speech will do as `speech.wav`; a tone will not.  "A file to interrupt with" in
docs/guides/call-agents.md makes one.

Three functions stand where your services go: `recognize` (speech to text), `reply` (a model) and
`synthesize` (text to speech).  Here they need no service: the agent says a beep for each word.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from softphone import (
    Call,
    IncomingCall,
    Phone,
    SilenceSource,
    SoftphoneError,
    ToneSource,
    load_account,
)
from softphone.events import CallEnded, VoiceStarted, VoiceStopped

HEARD_HZ = 16000  # what most recognizers take
SPOKEN_HZ = 24000  # what most synthesizers give
GREETING = "Hello, I am an agent that you may interrupt at any time: please ask me something"
BEFORE_SPEECH = HEARD_HZ  # octets, half a second: speech is reported after it has begun
LONGEST = 60 * 2 * HEARD_HZ  # octets, a minute: of a longer speech the end is kept


async def recognize(pcm: bytes) -> str:
    """Return what was said in 16-bit mono PCM at `HEARD_HZ`: your recognizer."""
    await asyncio.sleep(0)
    return f"{len(pcm) / 2 / HEARD_HZ:.1f} seconds of speech"


async def reply(text: str) -> str:
    """Return what to answer: your model."""
    await asyncio.sleep(0)
    return f"You said {text}"


async def synthesize(text: str) -> AsyncIterator[bytes]:
    """Yield 16-bit mono PCM at `SPOKEN_HZ`, faster than it is played: your synthesizer."""
    beep, pause = ToneSource(440.0, SPOKEN_HZ), SilenceSource(SPOKEN_HZ)
    for _ in text.split():
        await asyncio.sleep(0)
        yield beep.read(SPOKEN_HZ // 4).tobytes()
        yield pause.read(SPOKEN_HZ // 10).tobytes()


class Conversation:
    """One call: what is being said, and what was heard of the caller."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.saying: asyncio.Task[None] | None = None
        self.caller_speaks = False
        self.heard = bytearray()
        call.audio.use_rates(read_hz=HEARD_HZ, write_hz=SPOKEN_HZ)

    async def say(self, text: str) -> None:
        """Say a text to its end."""
        print(f"agent: {text}", flush=True)
        mark = await self.call.audio.write_all(synthesize(text))
        if await mark.played():  # false when it was flushed, or the call is over
            print("agent: said all of it", flush=True)

    async def answer(self) -> None:
        """Answer what was said."""
        question, self.heard = bytes(self.heard), bytearray()
        text = await recognize(question)
        print(f"caller: {text}", flush=True)
        await self.say(await reply(text))

    def be_silent(self) -> None:
        """Stop within a frame, and tell how much the caller has not heard."""
        if self.saying is not None and not self.saying.done():
            self.saying.cancel()
            missed = self.call.audio.flush() / SPOKEN_HZ
            print(f"interrupted: {missed:.1f} s were not heard", flush=True)

    async def listen(self) -> None:
        """Keep what the caller says, and a little of what came before."""
        async for block in self.call.audio:
            self.heard += bytes(block)
            del self.heard[: -(LONGEST if self.caller_speaks else BEFORE_SPEECH)]

    async def run(self) -> None:
        """Converse until the call ends."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self.listen())
            self.call.audio.detect(voice=True)
            self.saying = tasks.create_task(self.say(GREETING))
            async for event in self.call.events():
                match event:
                    case VoiceStarted():
                        self.caller_speaks = True
                        self.be_silent()
                    case VoiceStopped():
                        self.caller_speaks = False
                        self.saying = tasks.create_task(self.answer())
                    case CallEnded():
                        break
            listening.cancel()
            self.be_silent()


async def serve(incoming: IncomingCall) -> None:
    """Answer one call and converse."""
    caller = incoming.peer.uri
    try:
        async with await incoming.answer() as call:
            print(f"{caller}: answered", flush=True)
            await Conversation(call).run()
    except* SoftphoneError as errors:  # the caller gave up, or hung up while we wrote
        print(f"{caller}: {errors.exceptions[0]}", flush=True)
    print(f"{caller}: over", flush=True)


async def main(path: str) -> None:
    """Serve all calls at once, until Ctrl-C."""
    async with Phone() as phone:
        account = await phone.register(load_account(path).config)
        print(f"{account.aor} waits for calls", flush=True)
        async with asyncio.TaskGroup() as calls:
            async for incoming in account.incoming():
                calls.create_task(serve(incoming))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "lab/bob.toml"))
    except KeyboardInterrupt:
        print("goodbye")
    except SoftphoneError as error:  # not registered: the text says why, and what to do
        sys.exit(str(error))
