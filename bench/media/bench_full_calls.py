"""Measures what the media of a call costs, by workload: `python bench/media/bench_full_calls.py`.

Two engines in one process send to each other under SRTP over loopback, so that a call is one end
with its jitter buffer, statistics and RTCP.  The workloads are those that other phones have, too:

* load: eight tones for all calls, nothing decoded;
* play: a source of its own for each call, encoded for it, nothing decoded;
* full: a source of its own for each call, and a reader that gets all that it receives.

Each runs with shared sockets and with a socket a call, on each path that is there: the compiled
kernel and NumPy alone.  The runs alternate, `--runs` times; the figures are the processor time of
all threads in ms a call-second, as median and spread, and the packets more than 5 ms late.

`--source` is what is played: `tone`, `wav` (a looped file) or `pcm` (written by the application,
200 ms at a time).  A reader reads `--read-ms` at a time at `--rate` Hz.

With `--stepped` the clock jumps to the next deadline, so that nothing is late and the machine's
other work does not change what is done: for comparing two states of the code, not for figures.

Results go to bench/results/full_calls.json, but not those of `--stepped`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import secrets
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.media.rival_designs import KEY_LENGTH
from bench.python_build import measured_on
from softphone.media import (
    AllocatedStream,
    MediaConfig,
    MediaEngine,
    PortRange,
    SocketSharing,
    Source,
    SrtpKey,
    StreamSpec,
)
from softphone.media.audio import PcmInput, PcmOutput, ToneSource, WavSource
from softphone.media.kernel import describe_path
from softphone.security import CryptoSuite, KeyMaterial

RESULTS = Path(__file__).parents[1] / "results" / "full_calls.json"
WORKLOADS = ("load", "play", "full")
SHARED_TONES = 8
SETTLING = 3.0
"""Seconds between the opening of the streams and the measurement."""
PIECE = 0.2
"""Seconds that the application writes at a time."""


class SteppedSelector(selectors.DefaultSelector):
    """A selector that passes the time of waiting without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; else let `timeout` pass."""
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is that of a `SteppedSelector`."""

    def __init__(self) -> None:
        self._stepped = SteppedSelector()
        super().__init__(self._stepped)

    def time(self) -> float:
        """Return the stepped time."""
        return self._stepped.now


def make_engine(options: argparse.Namespace, first: int) -> MediaEngine:
    """Make an engine whose ports begin at `first`."""
    shared = options.sharing == "shared"
    config = MediaConfig(
        ports=PortRange(first, first + 9999),
        sharing=SocketSharing.SHARED if shared else SocketSharing.PER_CALL,
    )
    if not options.stepped:
        return MediaEngine(config)
    return MediaEngine(config, clock=asyncio.get_running_loop().time, wall=lambda: 0.0)


def allocate(
    engine: MediaEngine, peer: MediaEngine, call: int, side: int
) -> tuple[AllocatedStream, AllocatedStream]:
    """Allocate both ends of a call; on shared sockets no two calls have both addresses in
    common."""
    if not side:
        return engine.allocate_stream(), peer.allocate_stream()
    row, column = divmod(call, side)
    return (
        engine.allocate_stream(host=f"127.0.1.{1 + row}"),
        peer.allocate_stream(host=f"127.0.2.{1 + column}"),
    )


class Application:
    """What plays and reads in the calls."""

    def __init__(self, options: argparse.Namespace, prompt: Path) -> None:
        self._options = options
        self._prompt = prompt
        self._tones = [ToneSource(400.0 + 50 * at) for at in range(SHARED_TONES)]
        self._streams = 0
        self.samples = 0
        self.tasks: list[asyncio.Task[None]] = []

    def attend(self, engine: MediaEngine, stream: AllocatedStream) -> None:
        """Play and read in a stream what the workload has."""
        self._streams += 1
        engine.play(stream.handle, self._source())
        if self._options.workload == "full":
            heard = PcmInput(self._options.rate)
            engine.record(stream.handle, heard)
            self.tasks.append(asyncio.create_task(self._read(heard)))

    def _source(self) -> Source:
        if self._options.workload == "load":
            return self._tones[self._streams % SHARED_TONES]
        if self._options.source == "wav":
            return WavSource(self._prompt, loop=True)
        if self._options.source == "pcm":
            said = PcmOutput(8000)
            self.tasks.append(asyncio.create_task(self._write(said)))
            return said
        return ToneSource(300.0 + 5 * (self._streams % 500))

    async def _write(self, said: PcmOutput) -> None:
        pcm = np.random.default_rng(7).integers(-9000, 9000, round(8000 * PIECE), dtype=np.int16)
        await said.write(pcm)
        while True:
            await said.write(pcm)
            await asyncio.sleep(PIECE)

    async def _read(self, heard: PcmInput) -> None:
        samples = self._options.rate * self._options.read_ms // 1000
        while True:
            chunk = await heard.read(samples)
            self.samples += len(chunk)


async def measure(options: argparse.Namespace, prompt: Path) -> dict[str, Any]:
    """Run the calls, and return the figures."""
    suite = CryptoSuite(options.suite)
    size = KEY_LENGTH[suite]
    side = math.ceil(math.sqrt(options.calls)) if options.sharing == "shared" else 0
    application = Application(options, prompt)
    async with make_engine(options, 20000) as engine, make_engine(options, 30000) as peer:
        for call in range(options.calls):
            one, two = allocate(engine, peer, call, side)
            keys = [SrtpKey(suite, KeyMaterial(secrets.token_bytes(size))) for _ in range(2)]
            ends = ((engine, one, two, keys), (peer, two, one, keys[::-1]))
            for owner, here, there, (send, receive) in ends:
                far_end = (there.host, there.rtp_port)
                spec = StreamSpec(far_end, send_key=send, receive_key=receive, cname="bench")
                owner.open_stream(here.handle, spec)
                application.attend(owner, here)
        await asyncio.sleep(SETTLING)
        gc.collect()
        gc.freeze()
        await asyncio.sleep(0.5)
        engine.lateness.clear()
        received, samples, jumps = engine.packets_received, application.samples, engine.jumps
        loop = asyncio.get_running_loop()
        begun, at = time.process_time(), loop.time()
        await asyncio.sleep(options.seconds)
        cpu, seconds = time.process_time() - begun, loop.time() - at
        ends_seconds = 2 * options.calls * seconds
        counts = engine.lateness.counts
        figures = {
            "ms": 1e3 * cpu / ends_seconds,
            "late": 1.0 - float(counts[:50].sum()) / max(int(counts.sum()), 1),
            "received": (engine.packets_received - received) / (50 * options.calls * seconds),
            "read": (application.samples - samples) / (options.rate * ends_seconds),
            "jumps": engine.jumps - jumps,
            "path": describe_path(),
        }
        for task in application.tasks:
            task.cancel()
        await asyncio.gather(*application.tasks, return_exceptions=True)
    return figures


def run_part(options: argparse.Namespace) -> dict[str, Any]:
    """Run one part in this process, pinned to the last core, and return its figures."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        prompt = Path(folder, "prompt.wav")
        with wave.open(str(prompt), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            pcm = np.random.default_rng(3).integers(-9000, 9000, 80_000, dtype=np.int16)
            file.writeframes(pcm.tobytes())
        loop = SteppedLoop() if options.stepped else asyncio.new_event_loop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            if options.profile:
                return profiled(runner, options, prompt)
            return runner.run(measure(options, prompt))


def profiled(runner: asyncio.Runner, options: argparse.Namespace, prompt: Path) -> dict[str, Any]:
    """Run under the profiler and print where the time goes, to standard error."""
    import cProfile
    import pstats

    with cProfile.Profile(time.process_time) as profile:
        figures = runner.run(measure(options, prompt))
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(options.profile)
    return figures


def child(options: argparse.Namespace, path: str, workload: str, sharing: str) -> dict[str, Any]:
    """Run a part in a child process.  Raises SystemExit if it fails."""
    command = [sys.executable, __file__, "--part", "run"]
    fields = {"workload": workload, "sharing": sharing}
    for name in ("calls", "seconds", "source", "rate", "suite"):
        fields[name] = getattr(options, name)
    for name, value in fields.items():
        command += [f"--{name}", str(value)]
    command += ["--read-ms", str(options.read_ms), *["--stepped"] * options.stepped]
    environment = os.environ | {"SOFTPHONE_KERNEL": path}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{workload} on {sharing} sockets failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def rows_of(options: argparse.Namespace, paths: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the path, workload and sharing of each row."""
    for sharing in options.sharing.split(","):
        for workload in options.workload.split(","):
            for path in paths:
                yield path, workload, sharing


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("run",), help="one row, in this process")
    parser.add_argument("--workload", default=",".join(WORKLOADS))
    parser.add_argument("--sharing", default="shared,per-call")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source", choices=("tone", "wav", "pcm"), default="tone")
    parser.add_argument("--rate", type=int, default=8000, help="of the readers, in Hz")
    parser.add_argument("--read-ms", type=int, default=200, help="that a reader reads at a time")
    parser.add_argument("--suite", default=CryptoSuite.AES_CM_128_HMAC_SHA1_80.value)
    parser.add_argument("--stepped", action="store_true", help="a clock that does not wait")
    parser.add_argument("--profile", type=int, default=0, help="print so many functions")
    return parser.parse_args()


def main() -> None:
    """Run all rows alternately, print and write the results."""
    options = parse_arguments()
    if options.part:
        print(json.dumps(run_part(options)))
        return
    compiled = describe_path().startswith("compiled")
    rows = list(rows_of(options, ["auto", "off"] if compiled else ["off"]))
    runs: dict[tuple[str, str, str], list[dict[str, Any]]] = {row: [] for row in rows}
    for _ in range(options.runs):
        for row in rows:
            runs[row].append(child(options, *row))
    results = []
    for (_, workload, sharing), figures in runs.items():
        cost = sorted(each["ms"] for each in figures)
        result = {
            "workload": workload,
            "sharing": sharing,
            "path": figures[0]["path"].split(";")[0],
            "ms_a_call_second": statistics.median(cost),
            "spread": [cost[0], cost[-1]],
            "late": statistics.median(each["late"] for each in figures),
            "runs": figures,
        }
        results.append(result)
        print(
            f"{workload:4} {sharing:8} {result['path']:15} {result['ms_a_call_second']:.3f} ms "
            f"[{cost[0]:.3f}-{cost[-1]:.3f}], {result['late']:.2%} late"
        )
    if options.stepped:
        return
    settings = ("calls", "seconds", "source", "rate", "read_ms", "suite")
    record = {
        "bench": "full_calls",
        "unit": "ms of processor time a call-second",
        "settings": {name: getattr(options, name) for name in settings},
        "results": results,
        "load_average": os.getloadavg(),
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
