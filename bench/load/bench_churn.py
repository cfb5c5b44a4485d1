"""Measures media beside calls that come and go, for half an hour: lateness, memory, descriptors.

    python bench/load/bench_churn.py [--calls 600] [--rate 100] [--minutes 30] [--placement inline]

`softphone load` calls the light echo of bench_load_echo, which runs on another core, over TLS with
SRTP AES_CM_128_HMAC_SHA1_80 and shared sockets; `--rate` calls a second begin, and last so long
that `--calls` are up on the mean.  With `--placement worker` media has a process of its own on the
last core, and the signaling is on the first one, beside the echo.

Every ten seconds the memory and the descriptors of all processes of the generator and of the echo
are sampled.  Growth is how much more the last quarter of the time has than the quarter before it:
before that, memory fills with what timer M keeps for 32 s, and with the collector's thresholds.
Lateness is of the seconds in which at least 94 % of `--calls` were up.

Prints a line a minute, and writes a row to results/churn.json: one for each placement, and for each
other number of `--calls`.  Ends with 1
when a call failed or was dropped, or memory or descriptors grew by more than GROWTH.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.load.bench_load_echo import EchoProcess
from bench.load.run_echo_load import command_for
from bench.python_build import measured_on

RESULTS = Path(__file__).parents[1] / "results" / "churn.json"
USUAL_CALLS = 600
EVERY = 10.0
"""Seconds between two samples."""
MARGIN = 1.25
"""How many times `--calls` may be up; of that run_echo_load counts seconds with three quarters."""
GROWTH = 0.02
"""The share by which the last quarter may have more than the quarter before it."""
FIGURES = (
    "seconds", "core_share", "p50_late_ms", "p99_late_ms", "share_over_5_ms", "packets",
    "media_time_jumps", "set_ups_per_second", "answered", "failed", "dropped", "setup_p99_ms",
)  # fmt: skip
"""What a row takes from run_echo_load."""


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def held(pid: int) -> tuple[float, int]:
    """The megabytes and the descriptors that a process and its children hold."""
    pages = descriptors = 0
    for each in family(pid):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
            descriptors += len(os.listdir(f"/proc/{each}/fd"))
        except OSError:
            continue  # it has ended since
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1024**2, 1), descriptors


def growth(values: list[float]) -> float:
    """By what share the mean of the last quarter is above that of the quarter before."""
    quarter = len(values) // 4
    if not quarter:
        return 0.0
    before, last = values[-2 * quarter : -quarter], values[-quarter:]
    return round(statistics.fmean(last) / statistics.fmean(before) - 1.0, 4)


def sampled(process: subprocess.Popen[str], echo: int, end: float) -> list[dict[str, float]]:
    """Samples until `end`, by the monotonic clock, or the end of the process."""
    samples: list[dict[str, float]] = []
    begun = time.monotonic()
    while time.monotonic() < end:
        try:
            process.wait(min(EVERY, end - time.monotonic()))
            break
        except subprocess.TimeoutExpired:
            at = round(time.monotonic() - begun, 1)
        (mine, files), (theirs, _) = held(process.pid), held(echo)
        samples.append(
            {"at": at, "megabytes": mine, "descriptors": files, "echo_megabytes": theirs}
        )
        if len(samples) % 6 == 0:
            print(f"{at:6.0f} s  {mine:7.1f} MB  {files:5} descriptors  echo {theirs:7.1f} MB")
    return samples


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run it, and return the row."""
    seconds = 60.0 * options.minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        echo = EchoProcess(folder)
        plan = replace(
            echo.plan(round(options.calls * MARGIN)),
            scenario="churn",
            rate=options.rate,
            hold=f"exponential:{options.calls / options.rate:g}",
            duration=seconds,
            placement=options.placement,
        )
        process = subprocess.Popen(
            command_for(plan, folder, churns=True),
            stdout=subprocess.PIPE,
            text=True,
        )
        samples = sampled(process, echo.pid, time.monotonic() + seconds)
        said, _ = process.communicate(timeout=120)
        echo.close()
    row = json.loads(said.splitlines()[-1])
    return {
        "calls": options.calls,
        "rate": options.rate,
        "minutes": options.minutes,
        **{figure: row[figure] for figure in FIGURES},
        "growth": {
            kind: growth([each[kind] for each in samples])
            for kind in ("megabytes", "descriptors", "echo_megabytes")
        },
        "samples": samples,
        **measured_on(),
    }


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=USUAL_CALLS)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--placement", choices=["inline", "worker"], default="inline")
    options = parser.parse_args()
    row = measure(options)
    known: dict[str, Any] = {"bench": "churn", "rows": {}}
    if RESULTS.exists():
        known = json.loads(RESULTS.read_text())
    calls = "" if options.calls == USUAL_CALLS else f", {options.calls} calls"
    known["rows"][options.placement + calls] = row
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    print(
        f"{row['answered']:,} calls, p99 {row['p99_late_ms']:.1f} ms late, "
        f"{row['share_over_5_ms']:.2%} over 5 ms, failed {row['failed']}, "
        f"dropped {row['dropped']}, growth {row['growth']}"
    )
    grown = any(each > GROWTH for each in row["growth"].values())
    return int(bool(row["failed"] or row["dropped"] or grown))


if __name__ == "__main__":
    sys.exit(main())
