"""Measures the memory of one more secure call: `python bench/load/bench_call_memory.py`.

`softphone load` calls the light echo of bench_load_echo, each number of calls in a process of its
own, and its resident memory is read while all of them are up.  The slope of a straight line through
the numbers is the memory of one more call.  It excludes the process's base memory and the kernel's.
A busy machine makes calls late, not larger.  In the same run baresip answers our calls, and pjsua
(PJSUA=PATH) calls the echo, decoding what it receives; their memory is measured by two numbers of
calls each.

Results go to results/call_memory.json.  `--calls 100,250,500,750` for other numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bench.load.bench_load_echo import HERE, EchoProcess, run
from bench.peers.baresip_rival import baresip, resident_bytes
from bench.peers.pjsua_rival import Pjsua, find_pjsua
from bench.python_build import measured_on
from softphone.load import LoadPlan

RESULTS = HERE.parent / "results" / "call_memory.json"
CALLS = (100, 250, 500, 750)
BESIDE = (20, 100)
"""Calls that baresip answers."""
OF_PJSUA = (100, 400)
BOUND = 61.0
"""Kilobytes that a call may take, with shared sockets and no reader."""
PLAIN = "shared sockets, no reader"

Change: TypeAlias = Callable[[LoadPlan], LoadPlan]

WAYS: dict[str, Change] = {
    PLAIN: lambda plan: plan,
    "shared sockets, a reader": lambda plan: replace(
        plan, scenario=f"{HERE / 'reading_scenario.py'}:reader"
    ),
    "shared sockets, AEAD_AES_256_GCM": lambda plan: replace(
        plan, base=replace(plan.base, suites=("AEAD_AES_256_GCM",))
    ),
    "a socket a call": lambda plan: replace(plan, sockets="per-call"),
}


def slope(megabytes: dict[int, float]) -> float:
    """Kilobytes that one more call takes."""
    calls, held = zip(*sorted(megabytes.items()), strict=True)
    return round(float(np.polyfit(calls, held, 1)[0]) * 1024, 1)


def ours(echo: EchoProcess, folder: Path, change: Change, numbers: list[int]) -> dict[int, float]:
    """Megabytes that our process holds, by the number of its calls."""
    megabytes = {}
    for calls in numbers:
        row = run(change(echo.plan(calls)), folder)
        if row["answered"] < calls or not row["seconds"]:
            raise SystemExit(f"of {calls} calls {row['answered']} were answered: {row['failed']}")
        megabytes[calls] = float(row["megabytes"])
    return megabytes


def of_baresip(folder: Path) -> dict[int, float] | str:
    """What is missing of baresip, or megabytes that it holds by the number of its calls."""
    megabytes = {}
    for calls in BESIDE:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            found = baresip(Path(own), calls, tone=True)
        if isinstance(found, str):
            return found
        megabytes[calls] = float(found["megabytes"])
    return megabytes


def of_pjsua(echo: EchoProcess, folder: Path) -> dict[int, float] | str:
    """What is missing of pjsua, or megabytes that it holds by the number of its calls.

    Each pjsua is allowed as many calls as the greatest number: what it allocates for calls that it
    might have is no part of one more.
    """
    program = find_pjsua()
    if program is None:
        return "missing: PJSUA=PATH names it"
    megabytes = {}
    for calls in OF_PJSUA:
        before = echo.echoed()
        options = [f"--max-calls={max(OF_PJSUA)}"]
        peer = Pjsua(program, folder, echo.ca, echo.port, calls, full=True, options=options)
        try:
            time.sleep(3.0)
            if echo.echoed() - before < 50 * calls:
                return f"of {calls} calls not all were up"
            megabytes[calls] = resident_bytes([peer.pid]) / 1024**2
        finally:
            peer.close()
    return megabytes


def show(name: str, megabytes: dict[int, float]) -> dict[str, Any]:
    """Print a row, and give what is written down of it."""
    kilobytes = slope(megabytes)
    held = ", ".join(f"{calls:,}: {size:.1f} MB" for calls, size in sorted(megabytes.items()))
    print(f"{name:36}{kilobytes:7.1f} kB a call   {held}", flush=True)
    return {"kilobytes_a_call": kilobytes, "megabytes": megabytes}


def main() -> int:
    """Measure, print and write down; 1 when the bound is not met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--calls", type=lambda text: [int(part) for part in text.split(",")], default=list(CALLS)
    )
    options = parser.parse_args()
    if len(set(options.calls)) < 2:
        parser.error("--calls needs two numbers at least: a slope is measured")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        echo = EchoProcess(folder / "echo")
        try:
            rows = {
                way: show(way, ours(echo, folder, change, options.calls))
                for way, change in WAYS.items()
            }
            found = {"pjsua": of_pjsua(echo, folder)}
        finally:
            echo.close()
        found["baresip"] = of_baresip(folder)
    peers = {
        peer: each if isinstance(each, str) else show(peer, each) for peer, each in found.items()
    }
    held = rows[PLAIN]["kilobytes_a_call"] <= BOUND
    print(f"bound {BOUND:g} kB ({PLAIN}): {'met' if held else 'not met'}")
    for peer, each in found.items():
        if isinstance(each, str):
            print(f"{peer}: {each}")
    document = {
        "bench": "call_memory",
        "bound_kilobytes": BOUND,
        "results": rows,
        "peers": peers,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
