"""Measures how the calls that hold grow with cores: `python bench/load/bench_pairs_of_cores.py`.

A pair is one `softphone load` and the light echo that it calls, over TLS with SRTP, both pinned to
one core.  The most calls of one pair on the last core are searched, and the most of as many pairs
as there are cores, at the same time, all with as many calls.  Calls hold when under 1 % of the
packets leave more than 5 ms late, no call fails, and under 0.1 % of the packets are lost, in each
pair; a number that does not hold is tried once more.

`--steps` halvings between `--least` and `--most` calls a pair, `--seconds` a trial.  Results go to
results/pairs_of_cores.json: the ratio of all calls that hold to those of one pair.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.load.bench_load_echo import HOLDS, RATE, EchoProcess
from bench.load.run_echo_load import command_for
from bench.python_build import measured_on
from softphone.media.kernel import describe_path

RESULTS = Path(__file__).parents[1] / "results" / "pairs_of_cores.json"
LOST = 1e-3
TRIES = 2


class Pair:
    """A load generator and its far end on one core."""

    def __init__(self, folder: Path, core: int) -> None:
        self._folder = folder / str(core)
        self._core = core
        every = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # the echo inherits it
        try:
            self._folder.mkdir()
            self._echo = EchoProcess(self._folder)
        finally:
            os.sched_setaffinity(0, every)

    def begin(self, calls: int, seconds: float) -> subprocess.Popen[str]:
        """Start a run of so many calls, all up for `seconds`."""
        plan = replace(
            self._echo.plan(calls),
            duration=seconds,
            ports=(20_000 + 10_000 * self._core, 29_999 + 10_000 * self._core),
        )
        return subprocess.Popen(
            command_for(plan, self._folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),
        )

    def close(self) -> None:
        """End the far end."""
        self._echo.close()


def trial(pairs: list[Pair], calls: int, seconds: float) -> list[dict[str, Any]]:
    """Run all pairs at once with so many calls each; return a row of each."""
    running = [pair.begin(calls, seconds) for pair in pairs]
    said = [process.communicate(timeout=calls / RATE + seconds + 120)[0] for process in running]
    return [json.loads(each.splitlines()[-1]) for each in said]


def holds(row: dict[str, Any]) -> bool:
    """Whether the calls of a pair held."""
    packets = row["packets"]
    return bool(
        row["seconds"]
        and row["share_over_5_ms"] < HOLDS
        and not row["media_time_jumps"]
        and not row["failed"]
        and packets["lost"] < LOST * packets["sent"]
    )


def search(pairs: list[Pair], options: argparse.Namespace) -> dict[str, Any]:
    """Find the most calls a pair that hold in all pairs."""
    low, high, trials = 0, options.most, []
    calls = (options.least + options.most) // 2
    for _ in range(options.steps):
        for _ in range(TRIES):
            rows = trial(pairs, calls, options.seconds)
            held = all(map(holds, rows))
            late = [row["share_over_5_ms"] for row in rows]
            trials.append({"calls_a_pair": calls, "held": held, "late": late})
            shown = ", ".join(f"{each:.2%}" for each in late)
            print(f"{len(pairs)} pairs, {calls} calls each: {shown} late", file=sys.stderr)
            if held:
                break
        low, high = (calls, high) if held else (low, calls)
        calls = (max(low, options.least) + high) // 2
    return {"pairs": len(pairs), "held_a_pair": low, "held": low * len(pairs), "trials": trials}


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--least", type=int, default=100)
    parser.add_argument("--most", type=int, default=900)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        pairs = [Pair(Path(name), core) for core in cores]
        try:
            one = search(pairs[-1:], options)
            all_cores = search(pairs, options)
        finally:
            for pair in pairs:
                pair.close()
    ratio = round(all_cores["held"] / one["held"], 3) if one["held"] else None
    print(
        f"one pair holds {one['held']} calls, {len(pairs)} pairs hold {all_cores['held']}: {ratio}"
    )
    document = {
        "bench": "pairs_of_cores",
        "path": describe_path(),
        "one_pair": one,
        "all_cores": all_cores,
        "ratio": ratio,
    } | measured_on()
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
