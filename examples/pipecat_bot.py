"""A bot of pipecat's on the phone: it greets, may be interrupted, and transfers by digits.

    pip install 'softphone[pipecat]'
    softphone lab --dir lab
    python pipecat_bot.py lab/bob.toml
    softphone call bob --account lab/alice.toml --play speech.wav --record heard.wav --duration 9
    python pipecat_bot.py lab/bob.toml alice

`Assistant` stands where your services go (speech to text, a model, text to speech): it says a beep
for each word.  1 transfers the caller to the echo at 600, 2 ends the call.
"""

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    ClientConnectedFrame,
    EndWorkerFrame,
    Frame,
    InputDTMFFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.types import RunnerArguments
from pipecat.workers.runner import WorkerRunner

from softphone import SilenceSource, ToneSource
from softphone.agents.pipecat import (
    CallTransferFrame,
    PlaybackInterruptedFrame,
    SoftphoneParams,
    create_transport,
    main,
)

SPOKEN_HZ = 24000
GREETING = "Hello, press one for the echo, two to end, or just say something at any time"


class Assistant(FrameProcessor):
    """Your services: what it hears, it answers."""

    async def say(self, text: str) -> None:
        """Say a text, faster than it is played."""
        print(f"bot: {text}", flush=True)
        beep, pause = ToneSource(440.0, SPOKEN_HZ), SilenceSource(SPOKEN_HZ)
        await self.push_frame(TTSStartedFrame())
        for _ in text.split():
            for pcm in (beep.read(SPOKEN_HZ // 4), pause.read(SPOKEN_HZ // 10)):
                await self.push_frame(TTSAudioRawFrame(pcm.tobytes(), SPOKEN_HZ, 1))
        await self.push_frame(TTSStoppedFrame())

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer what happens in the call; pass everything on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        match frame:
            case ClientConnectedFrame():
                await self.say(GREETING)
            case VADUserStartedSpeakingFrame():
                await self.broadcast_interruption()
            case VADUserStoppedSpeakingFrame():
                await self.say("I see")
            case PlaybackInterruptedFrame():
                print(f"interrupted after {frame.sent_seconds:.1f} s", flush=True)
            case InputDTMFFrame(button=KeypadEntry.ONE):
                await self.say("One moment")
                await self.push_frame(CallTransferFrame("600"))
            case InputDTMFFrame(button=KeypadEntry.TWO):
                await self.say("Goodbye")
                await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)


async def bot(runner_args: RunnerArguments) -> None:
    """Serve one call: pipecat's own shape of a bot."""
    transport = await create_transport(
        runner_args, {"softphone": lambda: SoftphoneParams(detect_voice=True)}
    )
    worker = PipelineWorker(Pipeline([transport.input(), Assistant(), transport.output()]))
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @transport.event_handler("on_joined")
    async def on_joined(transport, data):
        if dialout := runner_args.body.get("dialout_settings"):
            await transport.start_dialout({"phoneNumber": dialout["phone_number"]})

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await runner.cancel()

    @transport.event_handler("on_dialout_error")
    async def on_dialout_error(transport, data):
        print(f"not answered: {data['errorMsg']}", flush=True)
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    main()
