"""Measures what a caller waits for the echo of a pipecat bot, beside an echo without pipecat.

    python -m pip install -e '.[pipecat]'
    python bench/call/pipecat_echo.py

One process has the lab, the caller and the bot; TLS and SRTP on every leg, and the lab in between.
A burst of 1 kHz is timed from `write` to the first loud chunk that the caller reads.  Calls of both
kinds take turns; each has a phase of its own against the frames of 20 ms, so medians of calls are
compared.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from loguru import logger
from pipecat import __version__ as pipecat_version
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bench.python_build import measured_on
from softphone import Call, IncomingCall, Phone, load_account
from softphone.agents.pipecat import SoftphoneTransport
from softphone.lab import LabServer

RESULTS = Path(__file__).parents[1] / "results" / "pipecat_echo.json"
CALLS, BURSTS, RATE = 6, 10, 16000
LOUD = 1000


class Echo(FrameProcessor):
    """Says what it hears."""

    async def process_frame(self, frame, direction) -> None:
        """Answer each piece of sound with itself."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, 1))
        else:
            await self.push_frame(frame, direction)


async def echo_plainly(incoming: IncomingCall) -> None:
    """Echo by softphone alone."""
    call = await incoming.answer()
    async for heard in call.audio:
        await call.audio.write(heard.pcm)


async def echo_by_pipecat(incoming: IncomingCall) -> None:
    """Echo by a pipeline."""
    transport = SoftphoneTransport(incoming)
    pipeline = Pipeline([transport.input(), Echo(), transport.output()])
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    worker = PipelineWorker(pipeline, params=params)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client) -> None:
        await runner.cancel()

    await runner.run()


async def time_bursts(call: Call) -> list[float]:
    """Return the milliseconds from each burst to its echo."""
    moment = np.arange(RATE // 10) / RATE
    burst = (9000 * np.sin(2 * np.pi * 1000 * moment)).astype(np.int16)
    took = []
    await call.audio.read(RATE)  # all streams have begun
    for number in range(BURSTS):
        await call.audio.read(RATE // 2 + 37 * number)
        begun = time.monotonic()
        await call.audio.write(burst)
        while np.abs((await call.audio.read()).pcm).max(initial=0) < LOUD:
            continue
        took.append(1e3 * (time.monotonic() - begun))
    return took


async def measure() -> dict[str, list[list[float]]]:
    """Return the milliseconds of each call, by who echoes."""
    kinds = {"softphone alone": echo_plainly, "pipecat": echo_by_pipecat}
    found: dict[str, list[list[float]]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as folder:
        async with LabServer(Path(folder)) as lab, Phone() as phone, Phone() as other:
            alice = await phone.register(load_account(lab.accounts["alice"]).config)
            bob = await other.register(load_account(lab.accounts["bob"]).config)
            calls = bob.incoming()
            for _ in range(CALLS):
                for name, echo in kinds.items():
                    async with alice.dial("bob") as outgoing:
                        echoing = asyncio.create_task(echo(await anext(calls)))
                        found[name].append(await time_bursts(await outgoing.answered(timeout=20)))
                    await echoing
    return found


def summary(calls: list[list[float]]) -> dict[str, float | list[float]]:
    """Return the medians of calls, their median, and what nine of ten bursts stay below."""
    medians = sorted(statistics.median(each) for each in calls)
    pooled = sorted(each for call in calls for each in call)
    return {
        "medians of calls": [round(each, 1) for each in medians],
        "median": round(statistics.median(medians), 1),
        "least": round(pooled[0], 1),
        "p90": round(pooled[len(pooled) * 9 // 10], 1),
    }


def main() -> int:
    """Measure, print and keep the result."""
    logger.remove()
    found = asyncio.run(measure())
    document = {
        "bench": "pipecat_echo",
        "unit": "ms",
        "calls": CALLS,
        "bursts": BURSTS,
        "results": {name: summary(calls) for name, calls in found.items()},
        "pipecat": pipecat_version,
        **measured_on(),
        "load average": [round(each, 1) for each in os.getloadavg()],
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
