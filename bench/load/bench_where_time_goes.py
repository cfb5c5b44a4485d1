"""Measures where a call's processor time goes, live: `python bench/load/bench_where_time_goes.py`.

Our load calls the light echo, as in bench_beside_peers, in this process; the thread's processor
time within the functions of STEPS is counted, each without that of the others that it calls.  What
is in none of them is the event loop, the scenario's tasks and signaling.  The counting itself is
a part of the figures: some microseconds a frame and function.

`--workload load|play|full`, `--sockets shared|per-call`, `--calls 100`, `--seconds 10`.  Prints a
table, and writes results/where_time_goes.json: microseconds of processor time a call-second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.load.bench_load_echo import RATE, EchoProcess
from bench.load.run_echo_load import run
from bench.python_build import measured_on
from softphone.load.run.call_tracker import CallTracker
from softphone.media.engine.engine import MediaEngine
from softphone.media.kernel import BankKernel
from softphone.media.tick import tick

HERE = Path(__file__).parent
WORKLOADS = HERE.parent / "peers" / "equal_workloads.py"
RESULTS = HERE.parent / "results" / "where_time_goes.json"
SETTLE = 3.0
STEPS: tuple[tuple[Any, str, str], ...] = (
    (BankKernel, "receive_datagrams", "receiving from sockets"),
    (BankKernel, "send_datagrams", "sending to sockets"),
    (BankKernel, "receive", "demultiplexing, SRTP, statistics and jitter buffers"),
    (BankKernel, "_send", "encoding, headers and SRTP"),
    (BankKernel, "next_frames", "playing out"),
    (BankKernel, "decode", "decoding"),
    (BankKernel, "advance", "reading sources"),
    (tick, "deliver_frames", "giving blocks to readers"),
    (tick, "send_rtcp", "RTCP that is sent"),
    (tick, "receive_rtcp", "RTCP that comes"),
    (CallTracker, "poll_some_calls", "watching the calls of a load"),
    (MediaEngine, "_run", "the rest of a tick"),
)


class StepTimer:
    """Counts the thread's nanoseconds by step, while `counting`."""

    def __init__(self) -> None:
        self.counting = False
        self.spent: Counter[str] = Counter()
        self._within: list[str] = []
        self._since = 0

    def _switch(self) -> None:
        now = time.thread_time_ns()
        if self.counting and self._within:
            self.spent[self._within[-1]] += now - self._since
        self._since = now

    def wrap(self, owner: Any, name: str, title: str) -> None:
        """Count the time in a function of `owner`, a class or a module."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*given: Any, **named: Any) -> Any:
            self._switch()
            self._within.append(title)
            try:
                return inner(*given, **named)
            finally:
                self._switch()
                self._within.pop()

        setattr(owner, name, timed)


async def measure(plan: Any, timer: StepTimer, seconds: float) -> int:
    """Run the load; return the thread's nanoseconds in `seconds`, all calls being up."""
    running = asyncio.ensure_future(run(plan, False))
    await asyncio.sleep(plan.calls / RATE + SETTLE)
    begun = time.thread_time_ns()
    timer.counting = True
    await asyncio.sleep(seconds)
    timer.counting = False
    used = time.thread_time_ns() - begun
    row = await running
    if row["answered"] < plan.calls or row["dropped"]:
        raise SystemExit(f"of {plan.calls} calls {row['answered']} were answered")
    return used


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", choices=["load", "play", "full"], default="full")
    parser.add_argument("--sockets", choices=["shared", "per-call"], default="per-call")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    timer = StepTimer()
    for owner, name, title in STEPS:
        timer.wrap(owner, name, title)
    workload = f"{WORKLOADS}:{options.workload}"
    with tempfile.TemporaryDirectory() as name:
        echo = EchoProcess(Path(name))
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        plan = replace(
            echo.plan(options.calls),
            scenario="echo" if options.workload == "load" else workload,
            sockets=options.sockets,
            duration=options.seconds + SETTLE + 2.0,
        )
        used = asyncio.run(measure(plan, timer, options.seconds))
        echo.close()
    call_seconds = options.calls * options.seconds
    rows = {
        title: round(spent / 1e3 / call_seconds, 1) for title, spent in timer.spent.most_common()
    }
    rows["event loop, tasks and signaling"] = round(
        (used - sum(timer.spent.values())) / 1e3 / call_seconds, 1
    )
    total = round(used / 1e3 / call_seconds, 1)
    for title, microseconds in {**rows, "all": total}.items():
        print(f"{title:54}{microseconds:8.1f} us a call-second {microseconds / total:6.0%}")
    document = {
        "bench": "where_time_goes",
        "unit": "microseconds of processor time a call-second",
        **vars(options),
        "rows": rows,
        "all": total,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
