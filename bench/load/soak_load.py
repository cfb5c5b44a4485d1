"""Soak test of `softphone load`: half an hour of churn with injected faults; nothing may leak.

    python bench/load/soak_load.py [--calls 500] [--minutes 30] [--priority]

Encrypted calls to the lab (a separate process on another core) come and go, each for ten seconds on
average.  Some of the users have a wrong password or an expired certificate; every two seconds one
loses its connection.  In a second run beside it, a tenth as many calls have lost and delayed
packets.  Both are runs of the load tool in this process.  Every ten seconds it samples memory,
descriptors, tasks and timers, here and at the lab, and the calls that are up.

It fails in four cases.  Over the second half, something without a bound grows by more than GROWTH
(what the number of calls explains of tasks, timers and descriptors is subtracted).  Once all is
closed and the transactions' 32 s are over, descriptors, tasks or timers are left here, or legs or
descriptors at the lab.  A call that was attempted has neither an answer nor a cause of failure, or
one that was answered has no cause of its end.  A live object holds a key.

It also reports, as a run of the load tool does, whether the machine was too slow; leaks show on a
busy machine, too.  With `--priority` generator and lab take precedence over other work.

Results go to results/soak_load.json, plots to soak_load.html and, with a Chromium, soak_load.png.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.lab.lab_process import LabProcess, held
from bench.load.srtp_key_search import KeyWitness
from bench.python_build import measured_on
from softphone.load import BaseSpec, LoadPlan, UserSpec, users_of_template
from softphone.load.measure import NO_MEDIA, RunSecond, Tally
from softphone.load.plan import FaultSpec
from softphone.load.report.html import page_style
from softphone.load.report.svg_plot import PlotSeries, line_plot
from softphone.load.run import Runner, relaxed_garbage_collection, users_with_faults
from softphone.load.run.bottleneck import BottleneckDetector

RESULTS = Path(__file__).parents[1] / "results" / "soak_load.json"
USERS = 100
MEAN = 10.0
"""Seconds that a call lasts on the mean."""
GROWTH = 0.05
"""Growth over the second half that is put down to chance: churn is random."""
LINGER = 36.0
"""Seconds until the last transaction of a call is gone: 64*T1, and a little."""
EVERY = 10.0
KINDS = ("memory", "descriptors", "tasks", "timers")


class LoadSoak:
    """The samples and what was counted."""

    def __init__(self, lab: LabProcess, begun: float) -> None:
        self._lab = lab
        self._begun = begun
        self.samples: list[dict[str, Any]] = []
        self.total = Tally()
        self.up: dict[str, int] = {}
        self.watch = BottleneckDetector()

    def listener(self, name: str) -> Any:
        """Takes the seconds of one of the runs."""

        def take(second: RunSecond) -> None:
            self.total.merge(second.tally)
            self.up[name] = second.up
            if name == "main":
                self.watch.add_second(second)

        return take

    def sample(self) -> dict[str, Any]:
        """How things are now."""
        lab = self._lab.held()
        row = {"at": round(time.monotonic() - self._begun, 1), "up": sum(self.up.values())}
        row |= held() | {f"lab_{name}": value for name, value in lab.items()}
        row |= {"attempted": self.total.attempted, "processor": round(time.process_time(), 2)}
        return row

    async def sampling(self) -> None:
        """A sample every so often, and a line on the screen every minute."""
        while True:
            await asyncio.sleep(EVERY)
            self.samples.append(self.sample())
            if len(self.samples) % 6 == 0:
                print(row_of(self.samples[-1]), flush=True)


def row_of(sample: dict[str, Any]) -> str:
    """A sample as a line."""
    here = "  ".join(f"{name} {sample[name]:,}" for name in KINDS)
    return f"{sample['at']:7.0f} s  up {sample['up']:4}  {here}  lab {sample['lab_memory']:,}"


def plan_of(lab: LabProcess, options: argparse.Namespace) -> LoadPlan:
    """The main run."""
    pattern = UserSpec("load{n:05}", password_file=f"{lab.folder}/{{user}}.secret")
    faults = FaultSpec(
        cut_every=2.0,
        wrong_password=0.05,
        bad_certificate=0.02,
        certificate=str(lab.folder / "expired.crt"),
        key=str(lab.folder / "expired.key"),
    )
    return LoadPlan(
        "churn",
        "600",
        BaseSpec(account=lab.account("load00001"), srtp="required"),
        users_with_faults(users_of_template(pattern, USERS), faults),
        calls=options.calls,
        # More begin than end: at `calls` the next one waits for one that ends.
        rate=1.2 * options.calls / MEAN,
        hold=f"exponential:{MEAN:g}",
        duration=60.0 * options.minutes - MEAN,
        sockets="shared",
        ports=(20_000, 39_999),
        checks=2,
        faults=faults,
    )


def beside(plan: LoadPlan) -> LoadPlan:
    """The calls that lose packets: a tenth as many, by one of the users."""
    calls = max(2, plan.calls // 10)
    return replace(
        plan,
        users=plan.users[:1],
        calls=calls,
        rate=1.2 * calls / MEAN,
        ports=(40_000, 44_999),
        sockets="per-call",
        checks=0,
        seed=2,
        faults=FaultSpec(loss=0.02, delay=0.03),
    )


async def control(soak: LoadSoak, plan: LoadPlan, witness: KeyWitness) -> dict[str, Any]:
    """A few calls first: while they are up their keys must be found, or else the search is void."""
    few = replace(plan, calls=4, rate=20.0, duration=2.0, hold="run", faults=FaultSpec(), checks=0)
    seen: dict[str, Any] = {}
    async with Runner(few, on_second=soak.listener("control")) as runner:
        running = asyncio.ensure_future(runner.run_share())
        await asyncio.sleep(1.0)
        seen["in_memory_with_calls_up"] = witness.in_memory()
        seen["in_objects_with_calls_up"] = sum(witness.in_objects().values())
        await running
    return seen


async def run(soak: LoadSoak, plan: LoadPlan) -> None:
    """Both runs, side by side."""
    sampling = asyncio.ensure_future(soak.sampling())

    async def one(name: str, each: LoadPlan) -> None:
        async with Runner(each, on_second=soak.listener(name)) as runner:
            await runner.run_share()

    try:
        with relaxed_garbage_collection():
            await asyncio.gather(one("main", plan), one("lossy", beside(plan)))
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)


async def quiet(soak: LoadSoak) -> dict[str, Any]:
    """What is left once everything that ends has ended."""
    soak.up.clear()
    await asyncio.sleep(LINGER)
    gc.collect()
    return soak.sample()


def growth(samples: Sequence[dict[str, Any]], name: str) -> float:
    """By what share a figure has grown from the third quarter of the time to the fourth.

    What the number of calls explains, which goes up and down, is taken out by least squares.
    """
    half = samples[len(samples) // 2 :]
    if len(half) < 4:
        return 0.0
    values = np.array([row[name] for row in half], dtype=float)
    if not name.endswith("memory"):
        calls = np.array([row["up"] for row in half], dtype=float)
        a_call = float(np.polyfit(calls, values, 1)[0]) if np.ptp(calls) else 0.0
        values = values - max(0.0, a_call) * (calls - calls.mean())
    first, second = values[: len(values) // 2], values[len(values) // 2 :]
    return float(second.mean() / first.mean() - 1.0) if first.mean() else 0.0


def judge(document: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    samples, before, after = document["samples"], document["before"], document["after"]
    wrong = []
    for name, share in document["growth"].items():
        if share > GROWTH:
            wrong.append(f"{name} has grown by {share:.1%} over the last quarter")
    names = ("descriptors", "tasks", "timers", "lab_descriptors", "lab_legs")
    wrong += [
        f"{after[name] - before[name]} {name} are left"
        for name in names
        if after[name] > before[name] + 2
    ]
    calls, keys = document["calls_counted"], document["keys"]
    unanswered = sum(count for cause, count in calls["failed"].items() if NO_MEDIA not in cause)
    if calls["attempted"] != calls["answered"] + unanswered:
        wrong.append("a call that was attempted has neither an answer nor a cause of failure")
    if calls["answered"] != sum(calls["ended"].values()) or "" in calls["ended"]:
        wrong.append("a call that was answered has no cause of its end")
    if keys["objects_that_hold_one"]:
        wrong.append(f"keys are left: {keys['objects_that_hold_one']}")
    if not keys["in_memory_with_calls_up"] or not keys["in_objects_with_calls_up"]:
        wrong.append("the search for keys found none while calls were up: it proves nothing")
    return wrong if samples else ["nothing was sampled"]


def conclude(soak: LoadSoak, before: Any, after: Any, keys: Any, options: Any) -> dict[str, Any]:
    """The document."""
    total = soak.total
    rates = {
        name: round(growth(soak.samples, name), 4)
        for name in (*KINDS, *(f"lab_{kind}" for kind in KINDS))
    }
    return {
        "bench": "soak_load",
        "calls": options.calls,
        "minutes": options.minutes,
        "calls_counted": {
            "attempted": total.attempted,
            "answered": total.answered,
            "failed": dict(total.failed),
            "ended": dict(total.ended),
            "dropped": dict(total.dropped),
        },
        "registrations_failed": dict(total.registrations_failed),
        "injected": dict(total.injected),
        "packets": {"sent": total.sent, "received": total.received, "lost": total.lost},
        "share_over_5_ms": round(total.lateness_ms.share_above(5.0), 4),
        "our_ms_per_call_second": round(total.cpu_ms_per_call_second, 3),
        "generator": list(soak.watch.invalid_reasons()),
        "keys": keys,
        "growth": rates,
        "before": before,
        "after": after,
        "samples": soak.samples,
        **measured_on(),
    }


def draw(document: dict[str, Any]) -> None:
    """The plots, as a page and as a picture."""

    def over(name: str, title: str, scale: float = 1.0) -> PlotSeries:
        return PlotSeries(
            title, [(row["at"] / 60, row[name] * scale) for row in document["samples"]]
        )

    parts = [f"<h1>{document['calls']} calls in churn for {document['minutes']:g} minutes</h1>"]
    parts.append(
        f"<h2>Calls up</h2>{line_plot([over('up', 'calls')], label='calls', across='minutes')}"
    )
    for name in KINDS:
        unit, scale = ("MB", 1e-6) if name == "memory" else (name, 1.0)
        drawn = [over(name, "generator", scale), over(f"lab_{name}", "lab", scale)]
        plot = line_plot(drawn, label=unit, across="minutes")
        parts.append(f"<h2>{name.capitalize()}</h2>{plot}")
    page = RESULTS.with_suffix(".html")
    page.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Soak</title>"
        f"<style>{page_style()}</style><body>{''.join(parts)}\n"
    )
    from tests.support.browser import find, look

    if find() is None:
        print("Chromium: missing, so there is no picture")
        return
    with tempfile.TemporaryDirectory() as folder:
        picture = f"--screenshot={RESULTS.with_suffix('.png')}"
        look(page.resolve(), Path(folder), "--window-size=940,2080", picture)


async def soaked(lab: LabProcess, options: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    witness = KeyWitness()
    try:
        soak = LoadSoak(lab, time.monotonic())
        plan = plan_of(lab, options)
        before = soak.sample()
        keys = await control(soak, plan, witness)
        await run(soak, plan)
        after = await quiet(soak)
        keys |= {"seen": witness.seen, "in_memory": witness.in_memory()}
        keys["objects_that_hold_one"] = dict(witness.in_objects())
    finally:
        witness.close()
    return conclude(soak, before, after, keys, options)


def main() -> int:
    """Run, print, write down, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--priority", action="store_true")
    options = parser.parse_args()
    if options.priority:
        # The lab, which is started from here, has it from us.
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    with tempfile.TemporaryDirectory() as name:
        lab = LabProcess(Path(name) / "lab", USERS)
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {max(range(os.cpu_count() or 1))})
            document = asyncio.run(soaked(lab, options))
        finally:
            lab.close()
    document["wrong"] = wrong = judge(document)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    draw(document)
    for name in ("calls_counted", "registrations_failed", "injected", "keys", "growth"):
        print(f"{name}: {json.dumps(document[name])}")
    for name in ("before", "after"):
        print(f"{name:7}{row_of(document[name])}")
    kept_up = document["generator"] or ["it was equal to the load"]
    print("\n".join(f"generator: {reason}" for reason in kept_up))
    print("\n".join(wrong) or "nothing piles up, and every call has ended with a cause")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
