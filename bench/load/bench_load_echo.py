"""Finds how many complete secure calls one core holds: `python bench/load/bench_load_echo.py`.

`softphone load` calls a light echo (`softphone.lab.echo_server`) on another core, over TLS and with
SRTP AES_CM_128_HMAC_SHA1_80: jitter buffers, RTCP, statistics and signaling as in any call.  The
number of calls grows by steps until 1 % of the packets leave more than 5 ms late, or packets are
lost, twice in a row; then the number between the last two is tried.

Harder cases start from the number that held and go down until they hold: a reader in every call, so
that each packet is decoded; and a churn of 100 calls a second, with media in the loop and in a
process of its own, which holds while the 99th percentile of lateness is under 5 ms.  Last, the
number that held is run with a media worker, with AES-GCM, and with a socket for each call.

Each row covers the seconds in which its calls were up.  The echo's processor time is separate; when
its core was full first, the row says `peer-bound`.  The cost of a call at each number is a curve in
results/load_echo.html.  Its memory is the slope over all rows without a reader, which excludes the
process's base memory.  Start-up is from the start of a row's process to its first call.

In the same run baresip answers our calls: its cost of a call-second, beside ours for as many calls.
pjsua is in no package of Debian and is named as missing.

Results go to results/load_echo.json.  `--steps 100,500` for other steps, `--priority` as in
bench_media_tick.  After a third of `--seconds` (450) no step is repeated.
`--part steps`, `readers`, `churn`, `others` or `peers` measures one part and keeps the earlier
results of the rest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bench.load.run_echo_load import command_for
from bench.peers.baresip_rival import baresip
from bench.python_build import measured_on
from softphone.load import BaseSpec, LoadPlan, UserSpec
from softphone.load.report.html import page_style
from softphone.load.report.svg_plot import PlotSeries, line_plot

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "load_echo.json"
STEPS = (100, 250, 500, 750, 1000, 1500, 2000, 2500, 3000, 4000)
RATE = 150.0
"""Calls a second while a row is filled."""
HOLDS = 0.01
"""The share of packets that may be more than 5 ms late."""
TRIES = 2
"""Attempts at a step, since other work on the machine may have caused a failure."""
P99_MS = 5.0
"""The 99th percentile of lateness that is allowed while calls come and go."""
CHURN = 100.0
"""Calls a second that come and go."""
FULL = 0.93
PLAIN, READ, CHURNED = "inline, no reader", "inline, a reader", "churn of 100 a second"
LOWER = (1.0, 0.75, 0.5, 0.25)
"""Of the number that held plainly: what is tried in other ways, until it holds."""
BESIDE = 100
"""Calls that baresip answers."""


Way: TypeAlias = tuple[str, Callable[[int], dict[str, Any]], bool]
"""What its rows are called, what its plans have, and whether calls come and go."""


class EchoProcess:
    """The far end in a process of its own."""

    def __init__(self, folder: Path, *program: str) -> None:
        program = program or ("-m", "softphone.lab.echo_server")
        self._process = subprocess.Popen(
            [sys.executable, *program, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port, self.ca = self._read()
        self.pid = self._process.pid

    def _read(self) -> list[Any]:
        if self._process.stdout is None:
            raise SystemExit("the echo has no output")
        answer: list[Any] = json.loads(self._process.stdout.readline())
        return answer

    def used(self) -> float:
        """Its processor seconds so far."""
        return float(self._ask()[0])

    def echoed(self) -> int:
        """The packets that it has sent back so far."""
        return int(self._ask()[1])

    def timed(self) -> tuple[int, int]:
        """The packets so far, and those that came late, of an echo that times them."""
        return tuple(map(int, self._ask()[2:]))  # type: ignore[return-value]

    def _ask(self) -> list[Any]:
        if self._process.stdin is None:
            raise SystemExit("the echo has no input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()
            self._process.wait(20)
            self._process.stdout.close()

    def plan(self, calls: int) -> LoadPlan:
        """So many calls to it that last to the end of the run."""
        return LoadPlan(
            "echo",
            "sip:echo@localhost",
            BaseSpec(
                server=f"sips:localhost:{self.port}",
                registers=False,
                ca=(self.ca,),
                srtp="required",
                suites=("AES_CM_128_HMAC_SHA1_80",),
            ),
            (UserSpec("sip:load@localhost"),),
            calls=calls,
            rate=RATE,
            duration=5.0,
            ports=(20_000, 49_999),
            sockets="shared",
            checks=0,
        )


def run(plan: LoadPlan, folder: Path, *, churns: bool = False, priority: bool = False) -> Any:
    """One row, by a process of its own."""
    done = subprocess.run(
        command_for(plan, folder, churns=churns, priority=priority),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{plan.calls} calls failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(
    echo: EchoProcess, plan: LoadPlan, folder: Path, options: Any, *, churns: bool = False
) -> Any:
    """One row, and what the echo took for it."""
    begun, before = time.monotonic(), echo.used()
    row = run(plan, folder, churns=churns, priority=options.priority)
    share = (echo.used() - before) / (time.monotonic() - begun)
    row["echo_core_share"] = round(share, 3)
    late = row["p99_late_ms"]
    punctual = late is not None and late < P99_MS if churns else row["share_over_5_ms"] < HOLDS
    row["holds"] = bool(
        row["seconds"]
        and punctual
        and not row["media_time_jumps"]
        and row["packets"]["lost"] < 1e-3 * row["packets"]["sent"]
        and not row["failed"]
    )
    row["peer_bound"] = share > FULL
    return row


def climb(echo: EchoProcess, folder: Path, options: Any) -> dict[str, Any]:
    """More and more calls until they do not hold, and the number between the last two."""
    rows: dict[str, Any] = {}
    held = 0
    for calls in options.steps:
        if not attempt(echo, folder, options, calls, rows):
            between = (held + calls) // 2
            if held and time.monotonic() < options.until:
                attempt(echo, folder, options, between, rows)
            break
        held = calls
    return rows


def attempt(
    echo: EchoProcess, folder: Path, options: Any, calls: int, rows: dict[str, Any]
) -> bool:
    """One number without a reader, again if it did not hold and there is time."""
    title = f"{calls:,} calls, {PLAIN}"
    for _ in range(TRIES):
        rows[title] = measured(echo, echo.plan(calls), folder, options)
        show(title, rows[title])
        if rows[title]["holds"] or time.monotonic() > options.until:
            break
    return bool(rows[title]["holds"])


def descend(echo: EchoProcess, folder: Path, options: Any, way: Way, top: int) -> dict[str, Any]:
    """The calls that hold plainly in another way, and fewer until it holds."""
    name, changes, churns = way
    rows: dict[str, Any] = {}
    numbers = [round(top * part) for part in LOWER]
    if not churns:
        numbers.insert(0, options.steps[0])
    for calls in dict.fromkeys(numbers):
        title = f"{calls:,} calls, {name}"
        plan = replace(echo.plan(calls), **changes(calls))
        rows[title] = measured(echo, plan, folder, options, churns=churns)
        show(title, rows[title])
        if rows[title]["holds"] and calls != options.steps[0]:
            break
    return rows


def churning(placement: str) -> Any:
    """What a plan with churn has: calls that last until, on the mean, CHURN begin a second."""

    def changes(calls: int) -> dict[str, Any]:
        hold = f"exponential:{calls / CHURN:g}"
        return {"scenario": "churn", "hold": hold, "duration": 10.0, "placement": placement}

    return changes


def others(echo: EchoProcess, calls: int, folder: Path, options: Any) -> dict[str, Any]:
    """The same number in other ways."""
    plan = echo.plan(calls)
    gcm = replace(plan.base, suites=("AEAD_AES_128_GCM",))
    ways = {
        "worker, no reader": replace(plan, placement="worker"),
        "inline, AEAD_AES_128_GCM": replace(plan, base=gcm),
        "inline, a socket a call": replace(plan, sockets="per-call"),
    }
    rows = {}
    for name, each in ways.items():
        title = f"{calls:,} calls, {name}"
        rows[title] = measured(echo, each, folder, options)
        show(title, rows[title])
    return rows


PARTS: dict[str, tuple[Way, ...]] = {
    "readers": (
        (READ, lambda calls: {"scenario": f"{HERE / 'reading_scenario.py'}:reader"}, False),
    ),
    "churn": tuple(
        (f"{placement}, {CHURNED}", churning(placement), True) for placement in ("inline", "worker")
    ),
}
"""By part: the ways that go down from the number that holds plainly."""


def most_of(rows: dict[str, Any], name: str) -> int:
    """The largest number that holds among the rows of a name."""
    held = [row["calls"] for title, row in rows.items() if title.endswith(name) and row["holds"]]
    return max(held, default=0)


def curve(rows: dict[str, Any], name: str) -> list[tuple[float, float]]:
    """What a call-second costs, in ms, by the number of calls that held."""
    return sorted(
        (float(row["calls"]), float(row["ms_per_call_second"]))
        for title, row in rows.items()
        if title.endswith(name) and row["holds"]
    )


def draw(rows: dict[str, Any]) -> None:
    """The curves."""
    names = (PLAIN, READ, f"inline, {CHURNED}", f"worker, {CHURNED}")
    plot = line_plot(
        [PlotSeries(name, curve(rows, name), marks=True) for name in names if curve(rows, name)],
        label="ms a call-second",
        across="calls",
    )
    RESULTS.with_suffix(".html").write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>What a call costs</title>"
        f"<style>{page_style()}</style><body><h1>Our processor time for a call-second</h1>{plot}\n"
    )


def show(name: str, row: dict[str, Any]) -> None:
    """Print a row."""
    late = row["p99_late_ms"]
    print(
        f"{name:46}{row['core_share']:7.0%}{row['ms_per_call_second']:10.3f}"
        f"{'-' if late is None else f'{late:.1f}':>9}{row['share_over_5_ms']:9.2%}"
        f"{row['packets']['lost']:8,}{row['kilobytes_a_call']:9.1f}{row['echo_core_share']:8.0%}"
        f"  {'holds' if row['holds'] else 'does not hold'}"
        f"{', peer-bound' if row['peer_bound'] else ''}",
        flush=True,
    )


def memory_of(rows: dict[str, Any]) -> float | None:
    """Kilobytes a call: the slope of memory over the number of calls, without a reader."""
    plain = [r for title, r in rows.items() if title.endswith(PLAIN) and "megabytes" in r]
    if len({row["calls"] for row in plain}) < 2:
        return None
    calls, resident = ([float(row[name]) for row in plain] for name in ("calls", "megabytes"))
    return round(float(np.polyfit(calls, resident, 1)[0]) * 1024, 1)


def start_up_of(rows: dict[str, Any]) -> float | None:
    """Seconds from the start of a process to its first call: the median, so with a warm cache."""
    found = [row["start_up_s"] for row in rows.values() if "start_up_s" in row]
    return statistics.median(found) if found else None


def record(rows: dict[str, Any], most: int, rivals: dict[str, Any]) -> None:
    """Write the results down with what they were measured on."""
    document = {
        "bench": "load_echo",
        "most_calls_that_hold": most,
        "most_that_hold": {
            name: most_of(rows, name)
            for name in (PLAIN, READ, f"inline, {CHURNED}", f"worker, {CHURNED}")
        },
        "kilobytes_a_call": memory_of(rows),
        "start_up_s": start_up_of(rows),
        "results": rows,
        "peers": rivals,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--steps", type=lambda text: [int(part) for part in text.split(",")], default=STEPS
    )
    parser.add_argument("--priority", action="store_true")
    parser.add_argument("--seconds", type=float, default=450.0)
    parser.add_argument("--part", choices=["steps", *PARTS, "others", "peers"])
    options = parser.parse_args(arguments)
    # What goes down from the number that holds takes about as long as what led up to it.
    options.until = time.monotonic() + options.seconds / 3
    return options


def without(rows: dict[str, Any], name: str) -> dict[str, Any]:
    """The rows of other names."""
    return {title: row for title, row in rows.items() if not title.endswith(name)}


def main() -> None:
    """Measure, print and write down."""
    options = parse()
    print(f"{'':46}{'CPU':>7}{'ms/call-s':>10}{'p99 late':>9}{'> 5 ms':>9}{'lost':>8}", end="")
    print(f"{'kB/call':>9}{'echo':>8}")
    known = json.loads(RESULTS.read_text()) if options.part and RESULTS.exists() else {}
    rows, most = known.get("results", {}), known.get("most_calls_that_hold", 0)
    rivals = known.get("peers", {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        echo = EchoProcess(folder / "echo")
        try:
            if options.part in (None, "steps"):
                rows = without(rows, PLAIN) | climb(echo, folder, options)
                most = most_of(rows, PLAIN)
            for part in [options.part] if options.part else PARTS:
                for way in PARTS.get(part, ()):
                    top = most or options.steps[0]
                    rows = without(rows, way[0]) | descend(echo, folder, options, way, top)
            if most and options.part in (None, "others"):
                rows |= others(echo, most, folder, options)
        finally:
            echo.close()
        if options.part in (None, "peers"):
            rivals = {"baresip": baresip(folder, BESIDE)}
    for name in (PLAIN, READ, f"inline, {CHURNED}", f"worker, {CHURNED}"):
        costs = ", ".join(f"{calls:,.0f}: {cost:.2f}" for calls, cost in curve(rows, name))
        print(f"most calls that hold, {name}: {most_of(rows, name):,}; ms a call-second: {costs}")
    print(f"memory a call: {memory_of(rows)} kB; start-up, warm: {start_up_of(rows)} s")
    for peer, found in rivals.items():
        print(f"{peer}: {found if isinstance(found, str) else json.dumps(found)}")
    record(rows, most, rivals)
    draw(rows)


if __name__ == "__main__":
    main()
