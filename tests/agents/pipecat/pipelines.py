"""Pipelines of pipecat's own, run in the test's loop, whose transport is a call of the lab's."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import AsyncExitStack

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from loguru import logger
    from pipecat.frames.frames import Frame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.workers.runner import WorkerRunner

    from softphone.agents.pipecat import SoftphoneTransport
    from softphone.agents.pipecat.transport import EVENTS

from tests.support.waiting import patiently, until

logger.remove()


class Recorder(FrameProcessor):
    """Passes all frames on and keeps them; `reply` may give a frame to push for one."""

    def __init__(self, reply=None) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.reply = reply

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)
        if self.reply is not None and (answer := self.reply(frame)) is not None:
            await self.push_frame(answer)

    def of(self, kind) -> list:
        return [each for each in self.frames if isinstance(each, kind)]

    async def wait_for(self, kind, accept=lambda frame: True):
        """The first frame of a kind."""
        await until(lambda: [each for each in self.of(kind) if accept(each)])
        return next(each for each in self.of(kind) if accept(each))


class Bot:
    """A running pipeline: what its transport told, and what passed its middle and its end."""

    def __init__(self, transport, reply, rates) -> None:
        self.transport = transport
        self.told: list[tuple] = []
        for name in EVENTS:
            self._note(name)
        self.middle, self.end = Recorder(reply), Recorder()
        parts = [transport.input(), self.middle, transport.output(), self.end]
        params = PipelineParams(
            enable_metrics=True, audio_in_sample_rate=rates[0], audio_out_sample_rate=rates[1]
        )
        self.worker = PipelineWorker(Pipeline(parts), params=params, enable_rtvi=False)
        self.runner = WorkerRunner(handle_sigint=False)
        self.running: asyncio.Task[None] | None = None

    def _note(self, name) -> None:
        async def note(transport, *data) -> None:
            self.told.append((name, *data))

        self.transport.event_handler(name)(note)

    async def start(self) -> None:
        await self.runner.add_workers(self.worker)
        self.running = asyncio.ensure_future(self.runner.run())

    async def say(self, *frames) -> None:
        await self.worker.queue_frames(list(frames))

    def names(self) -> list[str]:
        return [name for name, *_ in self.told]

    async def event(self, name):
        """The data of the first event of a name."""
        await until(lambda: name in self.names())
        return next(data for each, *data in self.told if each == name)

    async def over(self) -> None:
        await patiently(asyncio.shield(self.running))

    async def stop(self) -> None:
        if self.running is not None and not self.running.done():
            await self.runner.cancel()
            await self.over()


@pytest.fixture
async def bots():
    """`await bots(party)`: a pipeline whose transport has this call, or account, to dial with."""
    async with AsyncExitStack() as stack:

        async def make(party, params=None, *, reply=None, rates=(16000, 24000)):
            made = Bot(SoftphoneTransport(party, params), reply, rates)
            await made.start()
            stack.push_async_callback(made.stop)
            return made

        yield make


@pytest.fixture
async def call_of(account_of, bots):
    """`bot, call = await call_of()`: alice has called bob, whose pipeline has answered."""
    async with AsyncExitStack() as stack:

        async def make(params=None, **options):
            bob, alice = await account_of("bob"), await account_of("alice")
            outgoing = await stack.enter_async_context(alice.dial("bob"))
            incoming = await patiently(anext(bob.incoming()))
            bot = await bots(incoming, params, **options)
            call = await patiently(outgoing.answered())
            call.audio.use_rates(read_hz=8000, write_hz=8000)
            return bot, call

        yield make
