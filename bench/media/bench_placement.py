"""Measures how late packets are while a Python thread computes.

    python bench/media/bench_placement.py

Two streams, or `--streams`, send to each other under SRTP, with the engine inline and in a worker,
while the application is idle and while one of its threads computes without a pause.  Lateness is
the time from a packet's phase deadline to its sending.  The inline engine also runs with
`sys.setswitchinterval(0.0002)`, an alternative to a worker that the application can choose.  The
time that each engine takes to start is measured too.

Results go to bench/results/placement.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.python_build import measured_on
from softphone.media import (
    AnyEngine,
    MediaConfig,
    PortRange,
    SrtpKey,
    StreamSpec,
    ToneSource,
    make_engine,
)
from softphone.media.tick import LatenessHistogram
from softphone.security import CryptoSuite, KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parents[1] / "results" / "placement.json"
SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
BRIEF = 0.0002


@contextmanager
def busy_thread(busy: bool) -> Iterator[None]:
    """Run a thread that computes without a pause inside the context, if `busy`."""
    over = threading.Event()

    def compute() -> None:
        total = 0
        while not over.is_set():
            for number in range(10_000):
                total += number * number

    thread = threading.Thread(target=compute)
    if busy:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if busy:
            thread.join()


def connect(engine: AnyEngine, streams: int) -> None:
    """Open `streams` streams in pairs that send to each other."""
    tone = ToneSource(440.0)
    for _ in range(streams // 2):
        one, two = engine.allocate_stream(), engine.allocate_stream()
        keys = [SrtpKey(SUITE, KeyMaterial(os.urandom(30))) for _ in range(2)]
        for here, there, (send, receive) in ((one, two, keys), (two, one, keys[::-1])):
            far = (there.host, there.rtp_port)
            engine.open_stream(here.handle, StreamSpec(far, send_key=send, receive_key=receive))
            engine.play(here.handle, tone)


async def measure(placement: str, busy: bool, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one placement, with a computing thread if `busy`."""
    config = MediaConfig(ports=PortRange(20000, 29999), placement=placement)
    begun = time.perf_counter()
    async with make_engine(config) as engine:
        start = time.perf_counter() - begun
        connect(engine, options.streams)
        with busy_thread(busy):
            await asyncio.sleep(1.0)
            before = engine.lateness.counts.copy()
            await asyncio.sleep(options.seconds)
            late = LatenessHistogram(engine.lateness.counts - before)
    return {
        "packets": late.total,
        "p50_late_ms": late.quantile_ms(0.5),
        "p99_late_ms": late.quantile_ms(0.99),
        "share_over_5_ms": late.share_above(5.0),
        "start_ms": 1e3 * start,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    return parser.parse_args()


def main() -> None:
    """Measure, print and write the results."""
    options, usual = parse(), sys.getswitchinterval()
    runs = (
        ("inline, idle", "inline", False, usual),
        ("inline, a busy thread", "inline", True, usual),
        ("inline, a busy thread, brief switch interval", "inline", True, BRIEF),
        ("worker, idle", "worker", False, usual),
        ("worker, a busy thread", "worker", True, usual),
    )
    results = {}
    print(f"{'':46}p50/p99 late, ms  over 5 ms  start, ms")
    for name, placement, busy, interval in runs:
        sys.setswitchinterval(interval)
        one = results[name] = asyncio.run(measure(placement, busy, options))
        print(
            f"{name:46}{one['p50_late_ms']:6.1f} /{one['p99_late_ms']:6.1f}"
            f"{one['share_over_5_ms']:12.2%}{one['start_ms']:11.1f}"
        )
    document = {
        "bench": "placement",
        "streams": options.streams,
        "switch_interval_s": usual,
        "results": results,
        **measured_on(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
