"""Finds the most calls that one core holds, ours and pjsua's, timed by the same far end.

    PJSUA=PATH python bench/peers/bench_held_calls.py [--seconds 60] [--minutes 60]

The workloads are those of `equal_workloads`.  A number of calls is held when under 1 % of their
packets leave more than 5 ms late and 99.5 % of all packets come, over `--seconds`; the far end
times and counts them (`timed_echo`), so that both phones are judged alike.  A number that is not
held is tried once more, since other work on the machine may be the cause.

Each row is searched by halving below `--highest`, in steps of `--step` calls; the rows take their
turns, one number each, so that a drift of the machine meets all of them.  When `--minutes` are over
the search ends: a row then has the most that was held and the least that was not, so far.  pjsua
has no shared sockets and no workload *load*: ours is compared with its *play*.

Prints each trial, and writes results/held_calls.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.load.bench_load_echo import RATE, EchoProcess
from bench.load.run_echo_load import command_for
from bench.peers.pjsua_rival import Pjsua, find_pjsua, processor_seconds
from bench.python_build import measured_on

HERE = Path(__file__).parent
TIMED_ECHO = HERE.parent / "load" / "timed_echo.py"
RESULTS = HERE.parent / "results" / "held_calls.json"
SUITE = "AES_CM_128_HMAC_SHA1_80"
HOLDS = 0.01
"""The share of packets that may be late."""
ALL_CAME = 0.995
"""The share of the packets of all calls that must come."""
SETTLE = 3.0
"""Seconds from the last call's start to the first packet that counts."""
TRIES = 2
LOWEST, HIGHEST = 100, 1900
MOST_OF_PJSUA = 1000
"""What a pjsua is commonly built for (PJSUA_MAX_CALLS)."""
RIVALS = {
    "load, shared": "play, pjsua",
    "load, per-call": "play, pjsua",
    "play, per-call": "play, pjsua",
    "full, shared": "full, pjsua",
    "full, per-call": "full, pjsua",
}


@dataclass
class Search:
    """A row's bounds: `held` calls were held, or none were tried; `missed` were not."""

    start: Callable[[int], Any]
    """Gives a context in which so many calls are up: it yields a process's number."""
    held: int
    missed: int
    trials: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0

    def next(self, step: int) -> int | None:
        """The number to try; None when the bounds are a step apart."""
        if self.missed - self.held <= step:
            return None
        if not self.trials:
            return (self.held + self.missed) // 2 // step * step
        if self.failures:
            return int(self.trials[-1]["calls"])
        return (self.held + self.missed) // 2 // step * step

    def note(self, trial: dict[str, Any]) -> None:
        """Take a trial's outcome."""
        self.trials.append(trial)
        if trial["holds"]:
            self.held, self.failures = trial["calls"], 0
            return
        self.failures += 1
        if self.failures == TRIES:
            self.missed, self.failures = trial["calls"], 0


class Bench:
    """What starts the calls of each row."""

    def __init__(self, echo: EchoProcess, folder: Path, seconds: float) -> None:
        self._echo = echo
        self._folder = folder
        self._seconds = seconds

    @contextmanager
    def ours(self, scenario: str, sockets: str, calls: int) -> Iterator[int]:
        """Our load."""
        plan = replace(
            self._echo.plan(calls),
            scenario=scenario,
            sockets=sockets,
            duration=self._seconds + SETTLE + 2.0,
        )
        process = subprocess.Popen(command_for(plan, self._folder), stdout=subprocess.DEVNULL)
        try:
            time.sleep(1.0 + calls / RATE)
            yield process.pid
        finally:
            process.wait(60)

    @contextmanager
    def pjsua(self, program: str, full: bool, calls: int) -> Iterator[int]:
        """pjsua's calls."""
        peer = Pjsua(program, self._folder, self._echo.ca, self._echo.port, calls, full=full)
        try:
            yield peer.pid
        finally:
            peer.close()

    def try_calls(self, start: Callable[[int], Any], calls: int) -> dict[str, Any]:
        """Whether so many are held."""
        with start(calls) as pid:
            time.sleep(SETTLE)
            begun, used, spent = time.monotonic(), processor_seconds(pid), self._echo.used()
            first = self._echo.timed()
            time.sleep(self._seconds)
            last = self._echo.timed()
            elapsed = time.monotonic() - begun
            used, spent = processor_seconds(pid) - used, self._echo.used() - spent
        packets, late = last[0] - first[0], last[1] - first[1]
        came, share = packets / (50 * calls * elapsed), late / max(1, packets)
        return {
            "calls": calls,
            "late": round(share, 5),
            "came": round(came, 4),
            "core_share": round(used / elapsed, 3),
            "echo_core_share": round(spent / elapsed, 3),
            "holds": share < HOLDS and came > ALL_CAME,
        }


def rows_of(starter: Bench, pjsua: str | None, names: list[str], highest: int) -> dict[str, Search]:
    """What is searched, by name, below `highest` calls."""
    found: dict[str, Search] = {}
    for name in names:
        workload, _, sockets = name.partition(", ")
        if sockets == "pjsua":
            if pjsua:
                start = partial(starter.pjsua, pjsua, workload == "full")
                found[name] = Search(start, LOWEST, min(MOST_OF_PJSUA + LOWEST, highest))
            continue
        scenario = "echo" if workload == "load" else f"{HERE / 'equal_workloads.py'}:{workload}"
        found[name] = Search(partial(starter.ours, scenario, sockets), LOWEST, highest)
    return found


def search(starter: Bench, rows: dict[str, Search], step: int, until: float) -> None:
    """Halve the bounds of each in turn until all are a step apart, or time is over."""
    left = dict(rows)
    while left and time.monotonic() < until:
        for name, row in list(left.items()):
            calls = row.next(step)
            if calls is None or time.monotonic() > until:
                left.pop(name)
                continue
            trial = starter.try_calls(row.start, calls)
            row.note(trial)
            print(
                f"{name:16}{calls:6}{trial['late']:9.2%}{trial['came']:9.2%}"
                f"{trial['core_share']:7.0%}{trial['echo_core_share']:7.0%}"
                f"  {'holds' if trial['holds'] else 'does not hold'}",
                flush=True,
            )


def result_of(rows: dict[str, Search], step: int) -> dict[str, Any]:
    """What is written down: the bounds that trials gave, and the ratios of those."""
    found: dict[str, dict[str, Any]] = {}
    for name, row in rows.items():
        tried: dict[bool, list[int]] = {True: [0], False: []}
        for trial in row.trials:
            tried[trial["holds"]].append(trial["calls"])
        found[name] = {
            "held": max(tried[True]) or None,
            "not_held": row.missed if row.missed in tried[False] else None,
            "ended": row.next(step) is None,
            "trials": row.trials,
        }
    ratios = {}
    for name, rival in RIVALS.items():
        ours, theirs = (int(found.get(each, {}).get("held") or 0) for each in (name, rival))
        if ours and theirs:
            ratios[f"{name} / {rival}"] = round(ours / theirs, 3)
    return {"rows": found, "ratios": ratios}


def record(document: dict[str, Any]) -> None:
    """Write the results with what they were measured on."""
    document |= measured_on()
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    """Search, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--step", type=int, default=100)
    parser.add_argument("--highest", type=int, default=HIGHEST, help="calls that are too many")
    parser.add_argument(
        "--rows", default="load, shared;play, pjsua;load, per-call;full, per-call;full, pjsua"
    )
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    pjsua, load = find_pjsua(), [os.getloadavg()]
    print(f"{'':16}{'calls':>6}{'late':>9}{'came':>9}{'CPU':>7}{'echo':>7}")
    with tempfile.TemporaryDirectory() as name:
        echo = EchoProcess(Path(name) / "echo", str(TIMED_ECHO))
        try:
            starter = Bench(echo, Path(name), options.seconds)
            rows = rows_of(starter, pjsua, options.rows.split(";"), options.highest)
            search(starter, rows, options.step, until)
        finally:
            echo.close()
    load.append(os.getloadavg())
    found = result_of(rows, options.step)
    for title, ratio in found["ratios"].items():
        print(f"{title:34}{ratio:6.2f}")
    record({
        "bench": "held_calls",
        "suite": SUITE,
        "seconds": options.seconds,
        "step": options.step,
        "pjsua": "measured" if pjsua else "missing: PJSUA=PATH names it",
        **found,
        "load_before_and_after": [[round(one, 2) for one in each] for each in load],
    })  # fmt: skip


if __name__ == "__main__":
    main()
