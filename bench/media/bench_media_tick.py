"""Measures packet lateness and CPU of 1,000 SRTP streams: `python bench/media/bench_media_tick.py`.

The complete engine runs on one core: SRTP, jitter buffers, reception statistics, RTCP under SRTCP,
RTP headers and G.711 payloads of one shared source, over loopback sockets.  Streams are pairs that
send to each other, so each sends and receives 50 packets a second.  The same event loop sets up
and tears down 50 calls a second over TLS (`signaling_load`).  The lateness of a packet is the time
from its phase's deadline to the return of the system call that sent it; the clock is read every 64
packets.

Two other designs run without signaling.  The floor is a C program with the same sockets and SRTP
library, but without jitter buffer, codec, statistics and RTCP; without a C compiler, softphone's
own batches replace it.  It runs with a socket for each stream, and with shared sockets and many
packets in each system call; both also with 2,500 and 4,000 streams.  The obvious asyncio design is
a task for each stream; it cannot carry 1,000 streams, so it also runs with 200.

The number of streams then grows by steps until 1 % of the packets are more than 5 ms late.

The measured process is pinned to one core and the far end of the signaling to another.  Garbage
collection stays on.  The objects of the set-up are collected and frozen, as a load generator does,
and measuring begins a second later, because that one collection stops the loop for 30 ms.

`--priority` gives every measured process nice -20, which needs the right to set it, for a machine
with other work.  `pushed_off` counts involuntary context switches.  `--streams`, `--seconds` and
`--suite` set the load.  Results go to bench/results/media_tick.json.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.media import rival_designs, signaling_load
from bench.python_build import measured_on
from softphone.media import (
    AllocatedStream,
    MediaConfig,
    MediaEngine,
    PortRange,
    SocketSharing,
    SrtpKey,
    StreamSpec,
)
from softphone.media.audio import ToneSource
from softphone.security import CryptoSuite, KeyMaterial

RESULTS = Path(__file__).parents[1] / "results" / "media_tick.json"
RATE = 50.0
"""Calls a second that the signaling sets up."""

STEPS = (1200, 1400, 1600, 1800, 2000, 2500)
"""The numbers of streams to try in turn, to find the most that run on time."""

SHARED_FLOOR = "floor: C, shared sockets, mmsg calls"

HOLDS = 0.01
"""The share of packets more than 5 ms late below which a run counts as on time."""


def pin(core: int) -> None:
    """Pin this process to one core, where the system supports it."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def allocate(engine: MediaEngine, pair: int, side: int) -> tuple[AllocatedStream, AllocatedStream]:
    """Allocate both ends of a pair.

    Shared sockets tell streams apart by the far end's address, so the addresses form a grid
    `side` wide, and no two pairs have both addresses in common.  With 0, all use the default host.
    """
    if not side:
        return engine.allocate_stream(), engine.allocate_stream()
    row, column = divmod(pair, side)
    return (
        engine.allocate_stream(host=f"127.0.1.{1 + row}"),
        engine.allocate_stream(host=f"127.0.2.{1 + column}"),
    )


def open_pairs(engine: MediaEngine, suite: CryptoSuite, streams: int, shared: bool) -> None:
    """Open `streams` streams in pairs that all play one tone."""
    tone = ToneSource(440.0)
    side = math.ceil(math.sqrt(streams / 2)) if shared else 0
    for pair in range(streams // 2):
        one, two = allocate(engine, pair, side)
        size = rival_designs.KEY_LENGTH[suite]
        keys = [SrtpKey(suite, KeyMaterial(secrets.token_bytes(size))) for _ in range(2)]
        for here, there, (send, receive) in ((one, two, keys), (two, one, keys[::-1])):
            spec = StreamSpec(
                (there.host, there.rtp_port), send_key=send, receive_key=receive, cname="bench"
            )
            engine.open_stream(here.handle, spec)
            engine.play(here.handle, tone)


def fine_counts(engine: MediaEngine) -> list[int]:
    """Return the lateness of packets in steps of 0.1 ms up to 25 ms, then all that were later."""
    counts: list[int] = engine.lateness.counts.tolist()
    return [*counts[:250], sum(counts[250:])]


async def measure_engine(options: argparse.Namespace) -> dict[str, Any]:
    """Run the engine with signaling in the same loop, and return its figures."""
    shared = options.sharing == "shared"
    config = MediaConfig(
        ports=PortRange(20000, 29999),
        sharing=SocketSharing.SHARED if shared else SocketSharing.PER_CALL,
    )
    suite = CryptoSuite(options.suite)
    async with MediaEngine(config) as engine:
        open_pairs(engine, suite, options.streams, shared)
        transport, caller = await signaling_load.connect(options.port, options.pem, options.rate)
        await asyncio.sleep(2.5)
        gc.collect()
        gc.freeze()
        await asyncio.sleep(1.0)
        engine.lateness.clear()
        answered, jumps, received = caller.answered, engine.jumps, engine.packets_received
        begun, at = time.process_time(), time.monotonic()
        await asyncio.sleep(options.seconds)
        cpu, seconds = time.process_time() - begun, time.monotonic() - at
        figures: dict[str, Any] = rival_designs.report(
            options.streams,
            seconds,
            cpu,
            rival_designs.PacketLateness(fine_counts(engine)),
            engine.packets_received - received,
        )
        figures |= {
            "max_late_ms": engine.lateness.maximum_ms,
            "calls_per_second": (caller.answered - answered) / seconds,
            "media_time_jumps": engine.jumps - jumps,
            "dropped_by_the_system": engine.overflows,
            "signaling_calls_per_second": options.rate,
            "lateness_0.1_ms": fine_counts(engine),
        }
        transport.close()
    return figures


def run_part(options: argparse.Namespace) -> dict[str, Any]:
    """Run the part that `options` names, in a child process, and return its figures."""
    suite = CryptoSuite(options.suite)
    pin(-1)
    if options.priority:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    if options.part == "engine":
        return asyncio.run(measure_engine(options))
    with tempfile.TemporaryDirectory() as folder:
        if options.part == "c":
            return rival_designs.c_floor(Path(folder), suite, options.streams, options.seconds)
        if options.part == "shared":
            return rival_designs.shared_floor(Path(folder), suite, options.streams, options.seconds)
        if options.part == "python":
            return rival_designs.python_floor(suite, options.streams, options.seconds)
    return asyncio.run(rival_designs.task_per_stream(suite, options.streams, options.seconds))


def child(part: str, options: argparse.Namespace, **extra: Any) -> dict[str, Any]:
    """Run a part in a child process.  Raises SystemExit if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_nivcsw
    command = [sys.executable, __file__, "--part", part]
    fields = {"suite": options.suite, "streams": options.streams, "seconds": options.seconds}
    for name, value in (fields | extra).items():
        command += [f"--{name}", str(value)]
    command += ["--priority"] * options.priority
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{part} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if result:
        result["pushed_off"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_nivcsw - before
    return result


def engine_runs(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run the engine with shared sockets and with two sockets a stream, then the search."""
    with tempfile.TemporaryDirectory() as folder:
        pem = signaling_load.make_certificate(Path(folder))
        peer = subprocess.Popen(
            [sys.executable, __file__, "--part", "peer", "--pem", str(pem)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if peer.stdin is None or peer.stdout is None:
            raise SystemExit("the far end of the signaling has no pipes")
        port = int(peer.stdout.readline())
        run = partial(child, "engine", options, port=port, pem=str(pem))
        try:
            results = {
                f"softphone, {name}": run(sharing=sharing, suite=suite, rate=rate)
                for name, sharing, suite, rate in (
                    ("shared sockets", "shared", options.suite, RATE),
                    ("shared sockets, no signaling", "shared", options.suite, 0.0),
                    ("shared sockets, AEAD_AES_128_GCM", "shared", "AEAD_AES_128_GCM", RATE),
                    ("a pair of sockets a stream", "per-call", options.suite, RATE),
                )
            }
            for streams in STEPS:
                one = run(sharing="shared", rate=RATE, streams=streams, seconds=4.0)
                results[f"softphone, shared sockets, {streams:,}"] = one
                if one["share_over_5_ms"] >= HOLDS:
                    break
            return results
        finally:
            peer.stdin.close()
            peer.wait(10)
            peer.stdout.close()


def print_table(results: dict[str, dict[str, Any]], floor: str) -> None:
    """Print the table, with the CPU time of each design as a multiple of the floor's."""
    base = results[floor]["ms_per_call_second"]
    holding = most_that_hold(results)
    print(f"Most streams with under {HOLDS:.0%} of packets more than 5 ms late: {holding:,}\n")
    print(f"{'':48}streams  CPU   ms/call-s  x floor  p50/p99 late, ms  over 5 ms  pushed off")
    for name, one in results.items():
        print(
            f"{name:48}{one['streams']:6}{one['cpu_share']:7.0%}{one['ms_per_call_second']:10.3f}"
            f"{one['ms_per_call_second'] / base:9.2f}   {one['p50_late_ms']:6.1f} /"
            f"{one['p99_late_ms']:5.1f}   {one['share_over_5_ms']:9.2%} {one['pushed_off']:11}"
        )
    ours = results["softphone, shared sockets"]
    like = results.get(f"{SHARED_FLOOR}, {ours['streams']:,}")
    if like:
        times = ours["ms_per_call_second"] / like["ms_per_call_second"]
        print(f"\nsoftphone on shared sockets: {times:.2f} times the floor on shared sockets")


def most_that_hold(results: dict[str, dict[str, Any]]) -> int:
    """Return the most streams that the engine with signaling carried on time, or 0."""
    return max(
        (
            one["streams"]
            for one in results.values()
            if one.get("signaling_calls_per_second") and one["share_over_5_ms"] < HOLDS
        ),
        default=0,
    )


def print_histogram(name: str, counts: list[int]) -> None:
    """Print a histogram of lateness in steps of 0.5 ms from counts in steps of 0.1 ms."""
    print(f"\n{name}: packets by lateness")
    halves = np.array(counts[:250]).reshape(50, 5).sum(axis=1)
    last = int(np.flatnonzero(halves).max(initial=0))
    for at in range(last + 1):
        print(f"  {at / 2:4.1f} ms {halves[at]:8} {'#' * int(60 * halves[at] / halves.max())}")
    print(f"  above 25 {counts[250]:5}")


def record(results: dict[str, dict[str, Any]], floor: str, options: argparse.Namespace) -> None:
    """Write the results with versions, commit and machine."""
    document = {
        "bench": "media_tick",
        "suite": options.suite,
        "raised_priority": options.priority,
        "signaling_calls_per_second": RATE,
        "most_streams_that_hold": most_that_hold(results),
        "floor": floor,
        "results": results,
        **measured_on(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--suite", default=CryptoSuite.AES_CM_128_HMAC_SHA1_80.value)
    parser.add_argument("--part", choices=["engine", "c", "shared", "python", "obvious", "peer"])
    parser.add_argument("--sharing", default="per-call")
    parser.add_argument("--priority", action="store_true")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--port", type=int)
    parser.add_argument("--pem")
    return parser.parse_args()


def main() -> None:
    """Run every part, print the table and write the results."""
    options = parse()
    if options.part == "peer":
        pin(0)
        asyncio.run(signaling_load.serve(options.pem))
        return
    if options.part is not None:
        print(json.dumps(run_part(options)))
        return
    results = engine_runs(options)
    compiled = child("c", options, seconds=5.0)
    floor = batches = "softphone's batches alone, SRTP and UDP only"
    if compiled:
        floor = "floor: C, a socket a stream, SRTP and UDP only"
        results[floor] = compiled
        for streams in (2500, 4000):
            results[f"{floor}, {streams:,}"] = child("c", options, streams=streams, seconds=3.0)
        for streams in (options.streams, 2500, 4000):
            one = child("shared", options, streams=streams, seconds=3.0)
            results[f"{SHARED_FLOOR}, {streams:,}"] = one
    results[batches] = child("python", options, seconds=5.0)
    results["asyncio, a task a stream, 200"] = child("obvious", options, streams=200, seconds=5.0)
    results["asyncio, a task a stream"] = child("obvious", options, seconds=5.0)
    print_table(results, floor)
    for name, one in results.items():
        if "lateness_0.1_ms" in one and one["streams"] == options.streams:
            print_histogram(name, one["lateness_0.1_ms"])
    record(results, floor, options)


if __name__ == "__main__":
    main()
