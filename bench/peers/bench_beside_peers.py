"""Measures a call's processor time beside pjsua's and a C floor: equal work, one alternating run.

    PJSUA=PATH python bench/peers/bench_beside_peers.py [--calls 100,300,600] [--runs 5]

Three workloads (`equal_workloads`): *load*, *play* and *full*, ours with shared sockets and with a
socket a call, on each path of the media that is there.  pjsua has *play* and *full*, as
`pjsua_rival` says.  The floor is the C program of bench_media_tick, SRTP and UDP alone, both ways.
All of them do SRTP AES_CM_128_HMAC_SHA1_80 and G.711 at 20 ms, and the phones call the same light
echo on another core.

A round runs every row once, and the rounds are repeated; a figure is the processor time of all
threads, user and system, in ms a call-second, as median and range.  Ratios are those of the same
round.  A row whose calls were not all up, by the packets that the echo sent back, is void.

baresip, from the tests' peers, answers 100 of our calls in *full*, as `baresip_rival` says.

Prints a table, and writes results/beside_peers.json, in which the results of other numbers of calls
are kept.  Without PJSUA its rows are left out and named as missing; so is baresip.
`--rows "load, shared, kernel;full, pjsua"` measures only those.
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.call.sipp_peers import spare_root
from bench.load.bench_load_echo import RATE, EchoProcess
from bench.load.run_echo_load import command_for
from bench.peers.baresip_rival import baresip
from bench.peers.pjsua_rival import Pjsua, find_pjsua, processor_seconds
from bench.python_build import measured_on, watch_machine
from softphone.media.kernel import describe_path

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "beside_peers.json"
FLOOR = HERE.parent / "media" / "bench_media_tick.py"
RIVALS = ("pjsua", "baresip")
SUITE = "AES_CM_128_HMAC_SHA1_80"
MOST_OF_BARESIP = 100
SETTLE = 3.0
"""Seconds from the last call's start to the first packet that counts."""
UP = 0.97
"""The share of the packets of all calls that the echo must have sent back."""

Row = Callable[[], dict[str, Any] | None]
"""Measures once: {"ms": ..., "late": ...}, or None where the run is void."""


class Bench:
    """The rows of one number of calls."""

    def __init__(self, echo: EchoProcess, folder: Path, calls: int, seconds: float) -> None:
        self._echo = echo
        self._folder = folder
        self._calls = calls
        self._seconds = seconds

    def rows(self, paths: list[str], pjsua: str | None) -> dict[str, Row]:
        """What is measured, by name."""
        found: dict[str, Row] = {}
        scenarios = {"load": "echo"} | {
            name: f"{HERE / 'equal_workloads.py'}:{name}" for name in ("play", "full")
        }
        for workload, scenario in scenarios.items():
            for sockets in ("shared", "per-call"):
                for path in paths:
                    name = f"{workload}, {sockets}, {'kernel' if path == 'auto' else 'NumPy'}"
                    found[name] = partial(self._ours, scenario, sockets, path)
            if pjsua and workload != "load":
                found[f"{workload}, pjsua"] = partial(self._pjsua, pjsua, workload == "full")
        if self._calls <= MOST_OF_BARESIP and not isinstance(spare_root("baresip-core"), str):
            found["full, baresip"] = self._baresip
        found["floor, shared"] = partial(self._floor, "shared")
        found["floor, per-call"] = partial(self._floor, "c")
        return found

    def _ours(self, scenario: str, sockets: str, path: str) -> dict[str, Any] | None:
        plan = replace(
            self._echo.plan(self._calls),
            scenario=scenario,
            sockets=sockets,
            duration=self._seconds + SETTLE + 2.0,
        )
        process = subprocess.Popen(
            command_for(plan, self._folder),
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"SOFTPHONE_KERNEL": path},
        )
        try:
            # Its start takes about a second.
            time.sleep(1.0 + self._calls / RATE + SETTLE)
            figure = self._watched(process.pid)
        finally:
            said, _ = process.communicate(timeout=60)
        row = json.loads(said.splitlines()[-1])
        if figure is None or row["failed"] or row["dropped"]:
            return None
        return figure | {"late": row["share_over_5_ms"]}

    def _pjsua(self, program: str, full: bool) -> dict[str, Any] | None:
        peer = Pjsua(program, self._folder, self._echo.ca, self._echo.port, self._calls, full=full)
        try:
            time.sleep(SETTLE)
            return self._watched(peer.pid)
        finally:
            peer.close()

    def _watched(self, pid: int) -> dict[str, Any] | None:
        """A phone's processor time while all of its calls are up, as the echo counts them."""
        before, begun = processor_seconds(pid), time.monotonic()
        echoed = self._echo.echoed()
        time.sleep(self._seconds)
        used = processor_seconds(pid) - before
        packets, elapsed = self._echo.echoed() - echoed, time.monotonic() - begun
        if packets < UP * 50 * self._calls * elapsed:
            return None
        return {"ms": round(1e3 * used / elapsed / self._calls, 4), "late": None}

    def _baresip(self) -> dict[str, Any] | None:
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            row = baresip(Path(own), self._calls)
        if isinstance(row, str):
            raise SystemExit(row)
        if row["answered"] < self._calls:
            return None
        return {"ms": row["ms_per_call_second"], "late": None}

    def _floor(self, part: str) -> dict[str, Any] | None:
        command = [sys.executable, str(FLOOR), "--part", part, "--suite", SUITE]
        # Its streams are pairs that send to each other: an end costs what a call of ours does.
        command += ["--streams", str(self._calls), "--seconds", "4"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        if not figures:
            return None
        return {"ms": figures["ms_per_call_second"], "late": figures["share_over_5_ms"]}


def summary(runs: list[dict[str, Any] | None]) -> dict[str, Any]:
    """The median and range of the runs that count."""
    costs = sorted(each["ms"] for each in runs if each is not None)
    late = [each["late"] for each in runs if each is not None and each["late"] is not None]
    return {
        "ms_a_call_second": round(statistics.median(costs), 4) if costs else None,
        "range": [costs[0], costs[-1]] if costs else None,
        "late": round(statistics.median(late), 5) if late else None,
        "void": sum(each is None for each in runs),
        "runs": runs,
    }


def ratio(ours: list[Any], theirs: list[Any]) -> dict[str, Any] | None:
    """The ratios of the rounds in which both count: median and range."""
    found = sorted(
        one["ms"] / other["ms"] for one, other in zip(ours, theirs, strict=True) if one and other
    )
    if not found:
        return None
    return {
        "median": round(statistics.median(found), 3),
        "range": [round(found[0], 3), round(found[-1], 3)],
    }


def ratios_of(runs: dict[str, list[Any]]) -> dict[str, Any]:
    """Our rows against the peers' of the same workload, and those of load against the floor's."""
    found = {}
    for name, ours in runs.items():
        workload, _, rest = name.partition(", ")
        if rest in RIVALS or workload == "floor":
            continue
        rivals = [f"{workload}, {rival}" for rival in RIVALS]
        if workload == "load":
            rivals = [f"floor, {rest.partition(', ')[0]}"]
        for rival in rivals:
            if rival in runs:
                found[f"{name} / {rival}"] = ratio(ours, runs[rival])
    return found


def show(calls: int, rows: dict[str, Any], ratios: dict[str, Any]) -> None:
    """Print the tables of one number of calls."""
    print(f"\n{calls:,} calls{'':21}ms a call-second   range            over 5 ms   void")
    for name, row in rows.items():
        if row["range"] is None:
            print(f"{name:32}{'void':>14}")
            continue
        low, high = row["range"]
        late = "-" if row["late"] is None else f"{row['late']:.2%}"
        middle = row["ms_a_call_second"]
        print(f"{name:32}{middle:14.3f}   {low:.3f} .. {high:.3f}{late:>14}{row['void']:7}")
    for name, each in ratios.items():
        if each is not None:
            low, high = each["range"]
            print(f"{name:52}{each['median']:7.2f}   {low:.2f} .. {high:.2f}")


def record(calls: int, result: dict[str, Any]) -> None:
    """Write the result of a number of calls beside those of others."""
    known = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else {}
    known[str(calls)] = result
    document = {
        "bench": "beside_peers",
        "unit": "ms of processor time a call-second",
        "suite": SUITE,
        "results": {number: known[number] for number in sorted(known, key=int)},
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", default="100,300,600")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rows", help="names of rows, with ; between them")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write down."""
    options = parse()
    pjsua = find_pjsua()
    paths = ["auto", "off"] if describe_path().startswith("compiled") else ["off"]
    for calls in map(int, options.calls.split(",")):
        watched = watch_machine()
        with tempfile.TemporaryDirectory() as name:
            echo = EchoProcess(Path(name))
            try:
                rows = Bench(echo, Path(name), calls, options.seconds).rows(paths, pjsua)
                if options.rows:
                    rows = {row: rows[row] for row in options.rows.split(";") if row in rows}
                runs: dict[str, list[Any]] = {row: [] for row in rows}
                for number in range(options.runs):
                    for row, measure in rows.items():
                        print(f"\r{calls} calls, round {number + 1}: {row:32}", end="",
                              file=sys.stderr, flush=True)  # fmt: skip
                        runs[row].append(measure())
            finally:
                echo.close()
        table = {row: summary(each) for row, each in runs.items()}
        ratios = ratios_of(runs)
        print("\r" + " " * 70, end="\r", file=sys.stderr)
        show(calls, table, ratios)
        # After each number of calls: what ends the run loses the last one only.
        record(calls, {
            "rows": table,
            "ratios": ratios,
            "pjsua": "measured" if pjsua else "missing: PJSUA=PATH names it",
            "baresip": root if isinstance(root := spare_root("baresip-core"), str) else "measured",
            **measured_on(watched),
        })  # fmt: skip


if __name__ == "__main__":
    main()
