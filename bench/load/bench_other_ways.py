"""Measures what other ways of running would save where a call costs more than its bound.

    python bench/load/bench_other_ways.py [--runs 3] [--seconds 5]

Two workloads of `equal_workloads`, by `softphone load` against the light echo on another core, over
TLS with SRTP AES_CM_128_HMAC_SHA1_80.  *set-up*: 200 calls a second, each with a second of *play*
over shared sockets, in microseconds a call.  *full*: 100 calls that are up, a socket each, in
milliseconds a call-second.

The ways: as it is; without garbage collection; with the heap on huge pages (Linux; glibc's
`hugetlb`, and Python's objects in its heap); waiting in a loop instead of asleep, whose time does
not count; with SRTP replay windows of 128 packets instead of 1,024; with SRTP sessions wherever
there is memory, not side by side; in uvloop's event loop, where that is installed; and for set-up
ten calls at once every 50 ms.  A way that saves much names the cost; none is meant to be used.

The ways take turns; a figure is the median and the range, by the processor time of all threads.  At
the end the way as it is runs once more for each workload under a sampler, which gives the shares of
its layers.  Results go to results/other_ways.json.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.call.layer_sampler import LayerSampler
from bench.load.bench_load_echo import RATE, EchoProcess
from bench.python_build import measured_on
from softphone.load import LoadPlan
from softphone.load.distribute import RunObserver, run_plan
from softphone.load.run import runner
from softphone.srtp import libsrtp_backend

HERE = Path(__file__).parent
WORKLOADS = HERE.parent / "peers" / "equal_workloads.py"
RESULTS = HERE.parent / "results" / "other_ways.json"
SET_UPS, HOLD, MOST = 200.0, 1.0, 600
"""Calls that begin in a second, how long they last in seconds, and how many may be up at once."""
TOGETHER = 10
"""Calls that begin at once in the way that has several."""
CALLS = 100
"""Calls of the workload *full*."""
SETTLE = 3.0
"""Seconds from the last call's start to what counts."""
SHORT_WINDOW = 128
"""Packets of the short replay window."""
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Way:
    """How a process is run: its environment, and what it changes in itself."""

    environment: dict[str, str] = field(default_factory=dict)
    change: str = ""


WAYS = {
    AS_IT_IS: Way(),
    "no garbage collection": Way(change="collect nothing"),
    "heap on huge pages": Way(
        {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    ),
    "waiting in a loop": Way(change="wait in a loop"),
    "replay windows of 128 packets": Way(change="short windows"),
    "SRTP sessions among all else": Way(change="sessions apart"),
}
if find_spec("uvloop") is not None:
    WAYS["event loop of uvloop"] = Way(change="uvloop")
TEN_AT_ONCE = "ten calls at once"


class WaitingLoop:
    """Replaces the wait of selectors by a loop, and counts the processor time that takes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._select = selectors.DefaultSelector.select

    def install(self) -> None:
        """Use it from now on."""
        waiting, select = self, self._select

        def wait(selector: Any, timeout: float | None = None) -> Any:
            begun = time.thread_time()
            end = None if timeout is None else time.monotonic() + timeout
            while not (ready := select(selector, 0)):
                if end is not None and time.monotonic() >= end:
                    break
            waiting.seconds += time.thread_time() - begun
            return ready

        selectors.DefaultSelector.select = wait  # type: ignore[method-assign, assignment]


async def child(plan: LoadPlan, change: str, settle: float, seconds: float, sample: bool) -> Any:
    """Run the plan in this process; return processor seconds a second, and those by layer."""
    waiting, sampler = WaitingLoop(), LayerSampler()
    found: dict[str, Any] = {}
    if change == "wait in a loop":
        waiting.install()
    elif change == "sessions apart":
        vars(runner)["sessions_side_by_side"] = nullcontext
    elif change == "short windows":
        libsrtp_backend.REPLAY_WINDOW = SHORT_WINDOW  # type: ignore[attr-defined]

    def used() -> float:
        return time.process_time() - waiting.seconds

    async def watch() -> None:
        await asyncio.sleep(settle)
        if change == "collect nothing":
            gc.disable()
        if sample:
            sampler.start()
        begun, before = time.monotonic(), used()
        await asyncio.sleep(seconds)
        elapsed = time.monotonic() - begun
        found["used"] = (used() - before) / elapsed
        if sample:
            layers = sampler.stop()
            total = sum(layers.values())
            found["layers"] = {name: round(share / total, 3) for name, share in layers.items()}

    watching = asyncio.ensure_future(watch())
    result = await run_plan(plan, watcher=RunObserver(lambda second: None))
    await watching
    return found | {"failed": dict(result.total.failed), "dropped": dict(result.total.dropped)}


class Bench:
    """Runs a way of a workload in a process of its own."""

    def __init__(self, echo: EchoProcess, folder: Path, seconds: float) -> None:
        self._echo, self._folder, self._seconds = echo, folder, seconds
        self._together = folder / "ten_at_once.txt"
        last = SETTLE + seconds + 3.0
        times = [(n + 1) * TOGETHER / SET_UPS for n in range(int(last * SET_UPS / TOGETHER))]
        self._together.write_text("".join(f"{at:g}\n" * TOGETHER for at in times))

    def _plan(self, workload: str, way: str) -> LoadPlan:
        if workload == "full":
            return replace(
                self._echo.plan(CALLS),
                scenario=f"{WORKLOADS}:full",
                sockets="per-call",
                duration=SETTLE + self._seconds + 1.0,
            )
        return replace(
            self._echo.plan(MOST),
            scenario=f"{WORKLOADS}:play",
            rate=SET_UPS,
            hold=f"{HOLD:g}",
            duration=SETTLE + self._seconds + 1.0,
            arrival=f"trace:{self._together}" if way == TEN_AT_ONCE else "constant",
        )

    def run(self, workload: str, way: str, *, sample: bool = False) -> dict[str, Any]:
        """Return the figure of one run, and the shares of the layers if they are sampled."""
        chosen = WAYS.get(way, Way())
        settle = SETTLE + (CALLS / RATE if workload == "full" else 0.0)
        said = {
            "plan": self._plan(workload, way).to_plain(), "change": chosen.change,
            "settle": settle, "seconds": self._seconds, "sample": sample,
        }  # fmt: skip
        file = self._folder / "plan.json"
        file.write_text(json.dumps(said))
        done = subprocess.run(
            [sys.executable, __file__, "--plan", str(file)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ | chosen.environment,
        )
        seen = json.loads(done.stdout.splitlines()[-1])
        if seen["failed"] or seen["dropped"]:
            raise SystemExit(f"calls were lost: {seen}")
        figure = (
            seen["used"] / SET_UPS * 1e6 if workload == "set-up" else seen["used"] / CALLS * 1e3
        )
        return {"figure": round(figure, 4), "layers": seen.get("layers")}


def measure(starter: Bench, runs: int) -> dict[str, Any]:
    """All ways of both workloads in turns, and their layers."""
    found: dict[str, Any] = {}
    for workload in ("set-up", "full"):
        names = [*WAYS, TEN_AT_ONCE] if workload == "set-up" else list(WAYS)
        seen: dict[str, list[float]] = {name: [] for name in names}
        for number in range(runs):
            for name in names:
                print(f"{workload}, round {number + 1}: {name:32}", end="\r", flush=True)
                seen[name].append(starter.run(workload, name)["figure"])
        middle = statistics.median(seen[AS_IT_IS])
        rows: dict[str, dict[str, Any]] = {}
        for name, figures in seen.items():
            ratios = [one / other for one, other in zip(figures, seen[AS_IT_IS], strict=True)]
            rows[name] = {
                "median": round(statistics.median(figures), 4),
                "range": [min(figures), max(figures)],
                "of_as_it_is": round(statistics.median(ratios), 3),
            }
        layers = starter.run(workload, AS_IT_IS, sample=True)["layers"]
        found[workload] = {"rows": rows, "layers": layers}
        unit = "us a call" if workload == "set-up" else "ms a call-second"
        print(f"{workload:32}{unit:>18}   range                 of as it is")
        for name, row in rows.items():
            low, high = row["range"]
            print(
                f"{name:32}{row['median']:18.4g}   {low:.4g} .. {high:<12.4g}"
                f"{row['of_as_it_is']:8.3f}"
            )
        for name, share in sorted(layers.items(), key=lambda item: -item[1]):
            print(f"{name:32}{share:18.1%}   {share * middle:.4g}")
    return found


def main() -> None:
    """Measure, print and write down; with `--plan` one run of one way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity") and options.plan:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    if options.plan:
        said = json.loads(options.plan.read_text())
        said["plan"] = LoadPlan.from_plain(said["plan"])
        factory = import_module("uvloop").new_event_loop if said["change"] == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as loop:
            print(json.dumps(loop.run(child(**said))))
        return
    with tempfile.TemporaryDirectory() as name:
        echo = EchoProcess(Path(name))
        try:
            found = measure(Bench(echo, Path(name), options.seconds), options.runs)
        finally:
            echo.close()
    document = {
        "bench": "other_ways",
        "unit": {"set-up": "microseconds a call", "full": "ms a call-second"},
        "runs": options.runs,
        "seconds": options.seconds,
        "results": found,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
