"""Measures a call's set-up beside aiosipua's and pjsua's: alternating runs, each caller pinned.

    AIOSIPUA=FOLDER PJSUA=PATH python bench/peers/bench_set_up_beside_peers.py [--runs 5]

Saturated: as many calls as the caller's core carries, 32 at a time, dialed, answered, hung up and
ended, to a callee that costs next to nothing (`light_callee`).  Ours goes over TLS with SDES keys,
its SRTP contexts, sockets and media rows made and closed as in any call; aiosipua over UDP in clear
and without media.  The callers' work is not the same, and ours is the greater one.

Paced: 200 calls a second at even intervals, each with a second of media (*play*: a source of its
own, encoded for it), over TLS and with SRTP, to the same light echo: our load, and pjsua.  What
counts is the processor time of some seconds, all threads, user and system, by the calls that begin
in them; a run is void unless the echo sent back the packets of as many calls.

A round runs every row once; a figure is the median and the range of `--runs` rounds, and ratios are
those of the same round.  AIOSIPUA names the folder that has aiosipua where it is not installed.
Results go to results/set_up_beside_peers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.load.bench_load_echo import EchoProcess
from bench.load.run_echo_load import command_for
from bench.peers.pjsua_rival import Pjsua, find_pjsua, processor_seconds
from bench.python_build import measured_on

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "set_up_beside_peers.json"
HOLD = 1.0
"""Seconds of media."""
SETTLE = 2.5
"""Seconds until as many calls are up as ever."""
MOST_CALLS = 600
"""Calls at once that are allowed; as many as RATE or a little more are up."""
UP = 0.9
"""The share of the packets of as many calls that the echo must have sent back."""
RATIOS = (
    ("ours, saturated", "aiosipua, saturated"),
    ("ours, paced, shared", "pjsua, paced"),
    ("ours, paced, per-call", "pjsua, paced"),
)

Row = Callable[[], dict[str, Any] | None]


class Bench:
    """The rows."""

    def __init__(self, echo: EchoProcess, folder: Path, options: argparse.Namespace) -> None:
        self._echo = echo
        self._folder = folder
        self._seconds: float = options.seconds
        self._rate: int = options.rate

    def rows(self, pjsua: str | None, aiosipua: str | None) -> dict[str, Row]:
        """What is measured, by name."""
        found: dict[str, Row] = {
            "ours, saturated": partial(self._saturated, "ours", "tls", str(self._folder))
        }
        if aiosipua:
            found["aiosipua, saturated"] = partial(self._saturated, "aiosipua", "udp")
        for sockets in ("shared", "per-call"):
            found[f"ours, paced, {sockets}"] = partial(self._ours_paced, sockets)
        if pjsua:
            found["pjsua, paced"] = partial(self._pjsua_paced, pjsua)
        return found

    def _saturated(self, caller: str, *callee_of: str) -> dict[str, Any]:
        callee = subprocess.Popen(
            [sys.executable, str(HERE / "light_callee.py"), *callee_of],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            said = json.loads(callee.stdout.readline()) if callee.stdout is not None else []
            command = [sys.executable, str(HERE / "run_set_ups.py"), caller, str(self._seconds)]
            command += map(str, said)
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        finally:
            callee.communicate()
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return {"us": figures.pop("us_a_call"), **figures}

    def _ours_paced(self, sockets: str) -> dict[str, Any] | None:
        plan = replace(
            self._echo.plan(MOST_CALLS),
            scenario=f"{HERE / 'equal_workloads.py'}:play",
            sockets=sockets,
            rate=float(self._rate),
            hold=f"{HOLD:g}",
            duration=SETTLE + self._seconds + 3.0,
        )
        process = subprocess.Popen(
            command_for(plan, self._folder, churns=True), stdout=subprocess.DEVNULL
        )
        try:
            # Its start takes about a second.
            time.sleep(1.0 + SETTLE)
            return self._watch(process.pid)
        finally:
            process.wait(60)

    def _pjsua_paced(self, program: str) -> dict[str, Any] | None:
        peer = Pjsua(
            program, self._folder, self._echo.ca, self._echo.port, MOST_CALLS,
            full=False, fills=False, options=(f"--duration={HOLD:g}",),
        )  # fmt: skip
        every = 1.0 / self._rate  # one at a time, as ours: several at once cost less
        try:
            begun, placed = time.monotonic(), 0
            before: tuple[float, float, int] | None = None
            while (elapsed := time.monotonic() - begun) < SETTLE + self._seconds:
                if before is None and elapsed > SETTLE:
                    before = self._read(peer.pid)
                peer.call(1)
                placed += 1
                time.sleep(max(0.0, begun + placed * every - time.monotonic()))
            return self._figure(before or (0.0, 0.0, 0), self._read(peer.pid))
        finally:
            peer.close()

    def _read(self, pid: int) -> tuple[float, float, int]:
        return time.monotonic(), processor_seconds(pid), self._echo.echoed()

    def _watch(self, pid: int) -> dict[str, Any] | None:
        before = self._read(pid)
        time.sleep(self._seconds)
        return self._figure(before, self._read(pid))

    def _figure(
        self, before: tuple[float, float, int], after: tuple[float, float, int]
    ) -> dict[str, Any] | None:
        seconds, used, packets = (new - old for old, new in zip(before, after, strict=True))
        share = packets / (50 * self._rate * HOLD * seconds)
        if share < UP:
            print(f" void: {share:.0%} of the packets", file=sys.stderr)
            return None
        return {"us": round(used / seconds / self._rate * 1e6, 1), "packets": round(share, 3)}


def summary(runs: list[dict[str, Any] | None]) -> dict[str, Any]:
    """The median and range of the runs that count."""
    costs = sorted(each["us"] for each in runs if each is not None)
    return {
        "us_a_call": round(statistics.median(costs), 1) if costs else None,
        "range": [costs[0], costs[-1]] if costs else None,
        "void": sum(each is None for each in runs),
        "runs": runs,
    }


def ratios_of(runs: dict[str, list[Any]]) -> dict[str, Any]:
    """The ratios of the rounds in which both count: median and range."""
    found = {}
    for ours, theirs in RATIOS:
        pairs = zip(runs.get(ours, []), runs.get(theirs, []), strict=False)
        values = sorted(one["us"] / other["us"] for one, other in pairs if one and other)
        if values:
            found[f"{ours} / {theirs}"] = {
                "median": round(statistics.median(values), 3),
                "range": [round(values[0], 3), round(values[-1], 3)],
            }
    return found


def show(rows: dict[str, Any], ratios: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{'':28}microseconds a call   range              void")
    for name, row in rows.items():
        if row["range"] is None:
            print(f"{name:28}{'void':>19}")
            continue
        low, high = row["range"]
        print(f"{name:28}{row['us_a_call']:19.0f}   {low:.0f} .. {high:.0f}{row['void']:10}")
    for name, each in ratios.items():
        low, high = each["range"]
        print(f"{name:46}{each['median']:7.2f}   {low:.2f} .. {high:.2f}")


def record(document: dict[str, Any]) -> None:
    """Write the results with what they were measured on."""
    document |= measured_on()
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def find_aiosipua() -> str | None:
    """The version that is installed or that AIOSIPUA names; None without one."""
    sys.path[1:1] = [path for path in (os.environ.get("AIOSIPUA"),) if path]
    try:
        return metadata.version("aiosipua")
    except metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=int, default=200)
    options = parser.parse_args()
    pjsua, aiosipua, load = find_pjsua(), find_aiosipua(), [os.getloadavg()]
    with tempfile.TemporaryDirectory() as name:
        echo = EchoProcess(Path(name) / "echo")
        try:
            rows = Bench(echo, Path(name), options).rows(pjsua, aiosipua)
            runs: dict[str, list[Any]] = {row: [] for row in rows}
            for number in range(options.runs):
                for row, measure in rows.items():
                    print(f"\rround {number + 1}: {row:24}", end="", file=sys.stderr, flush=True)
                    runs[row].append(measure())
                load.append(os.getloadavg())
                table = {row: summary(each) for row, each in runs.items()}
                ratios = ratios_of(runs)
                # After each round: what ends the run loses the last one only.
                record({
                    "bench": "set_up_beside_peers",
                    "unit": "microseconds of processor time a call",
                    "rate": options.rate,
                    "aiosipua": aiosipua or "missing: AIOSIPUA=FOLDER names it",
                    "pjsua": "measured" if pjsua else "missing: PJSUA=PATH names it",
                    "rows": table,
                    "ratios": ratios,
                    "load": [[round(one, 2) for one in each] for each in load],
                })  # fmt: skip
        finally:
            echo.close()
    print("\r" + " " * 50, end="\r", file=sys.stderr)
    show(table, ratios)


if __name__ == "__main__":
    main()
