"""Measures what a pause before a tick costs: `python bench/media/bench_cold_tick.py`.

A phone sleeps between two ticks, and meanwhile the processor's caches are filled by others: the
same work then takes longer than in a loop.  One engine with `--calls` streams, in pairs that send
to each other over loopback, SRTP AES_CM_128_HMAC_SHA1_80 and G.711, runs its frames by a clock of
our own: one after another, and with 20 ms of sleep before each.  What counts is the processor time
of the thread.

Three workloads, as in bench/peers/equal_workloads.py: *load* plays one of eight tones and decodes
nothing, with shared sockets; *play* has a tone and a pair of sockets for each stream; *full*
decodes besides, and an application reads 200 ms at a time.

The rounds alternate; a figure is the median and the range.  Results go to results/cold_tick.json.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import secrets
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.media.bench_media_tick import allocate
from bench.python_build import measured_on
from softphone.media import (
    MediaConfig,
    MediaEngine,
    PortRange,
    SocketSharing,
    SrtpKey,
    StreamSpec,
)
from softphone.media.audio import PcmInput, ToneSource
from softphone.media.bank import FRAME
from softphone.media.kernel import describe_path
from softphone.security import CryptoSuite, KeyMaterial

RESULTS = Path(__file__).parents[1] / "results" / "cold_tick.json"
SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
WORKLOADS = ("load", "play", "full")
PIECE = 1600
"""Samples that the application of *full* reads at a time."""
WARM_UP = 100
"""Frames before the first that counts."""


async def read(heard: PcmInput) -> None:
    """Read until the input ends."""
    while len(await heard.read(PIECE)):
        pass


class Workload:
    """One engine with its streams; `now` is its clock."""

    def __init__(self, name: str, calls: int) -> None:
        self.name = name
        self.calls = calls
        self.now = 1000.0
        self._tasks: list[asyncio.Task[None]] = []
        shared = name == "load"
        config = MediaConfig(
            ports=PortRange(30_000, 39_999),
            sharing=SocketSharing.SHARED if shared else SocketSharing.PER_CALL,
        )
        self.engine = MediaEngine(
            config, clock=lambda: self.now, wall=lambda: 1.7e9 + self.now, processor=lambda: (0, 0)
        )
        self._side = math.ceil(math.sqrt(calls / 2)) if shared else 0

    def open_streams(self) -> None:
        """Open the pairs; the engine has been entered."""
        shared = [ToneSource(440.0 + 20 * each) for each in range(8)]
        for pair in range(self.calls // 2):
            ends = allocate(self.engine, pair, self._side)
            keys = [SrtpKey(SUITE, KeyMaterial(secrets.token_bytes(30))) for _ in ends]
            for at, here in enumerate(ends):
                there = ends[1 - at]
                spec = StreamSpec(
                    (there.host, there.rtp_port),
                    send_key=keys[at],
                    receive_key=keys[1 - at],
                    cname="bench",
                )
                self.engine.open_stream(here.handle, spec)
                own = ToneSource(300.0 + 5 * ((2 * pair + at) % 500))
                self.engine.play(here.handle, shared[pair % 8] if self.name == "load" else own)
                if self.name == "full":
                    heard = PcmInput(8000)
                    self.engine.record(here.handle, heard)
                    self._tasks.append(asyncio.create_task(read(heard)))

    async def run(self, frames: int, pause: float) -> float:
        """Run so many frames, with `pause` seconds of sleep before each; return microseconds of
        processor time a frame."""
        used = 0
        for _ in range(frames):
            if pause:
                time.sleep(pause)  # noqa: ASYNC251 - the loop, too, is to pause
            begun = time.thread_time_ns()
            self.now += FRAME
            for phase in self._phases:
                self.engine._run_due(phase)
            # The application's tasks run once they are woken, and once they have read.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            used += time.thread_time_ns() - begun
        return used / frames / 1e3

    @property
    def _phases(self) -> list[int]:
        bank = self.engine.bank
        return [phase for phase in range(bank.phases) if bank.used(phase)]

    def close(self) -> None:
        """End the application's tasks."""
        for task in self._tasks:
            task.cancel()


async def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one workload, in microseconds a frame."""
    work = Workload(name, options.calls)
    found: dict[str, list[float]] = {"in a loop": [], "after a pause": []}
    async with work.engine:
        work.open_streams()
        await work.run(WARM_UP, 0.0)
        gc.collect()
        gc.freeze()
        for number in range(options.rounds):
            print(f"\r{name}: round {number + 1}", end="", file=sys.stderr, flush=True)
            found["in a loop"].append(await work.run(options.frames, 0.0))
            found["after a pause"].append(await work.run(options.frames, FRAME))
        received = work.engine.packets_received
        work.close()
    frames = WARM_UP + 2 * options.rounds * options.frames
    if received < 0.95 * options.calls * frames:
        raise SystemExit(f"{name}: {received} packets came of {options.calls * frames}")
    ratios = [
        after / loop for loop, after in zip(found["in a loop"], found["after a pause"], strict=True)
    ]
    row: dict[str, Any] = {
        when: {"us_a_frame": round(statistics.median(each), 1), "range": [min(each), max(each)]}
        for when, each in found.items()
    }
    return row | {"ratio": round(statistics.median(ratios), 3)}


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=100)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = {name: asyncio.run(measure(name, options)) for name in WORKLOADS}
    print(f"\r{options.calls} streams       us a frame: in a loop   after 20 ms of sleep   ratio")
    for name, row in rows.items():
        loop, after = (row[when]["us_a_frame"] for when in ("in a loop", "after a pause"))
        print(f"{name:20}{loop:24.0f}{after:23.0f}{row['ratio']:8.2f}")
    document = {
        "bench": "cold_tick",
        "unit": "microseconds of processor time a frame of 20 ms",
        "calls": options.calls,
        "suite": SUITE.value,
        "path": describe_path(),
        "rows": rows,
    } | measured_on()
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
