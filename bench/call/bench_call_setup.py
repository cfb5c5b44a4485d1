"""Measures the signaling cost of a call: `python bench/call/bench_call_setup.py [--rate 200]`.

Our phone calls our lab over persistent TLS connections: INVITE with SDP and keys, 200, ACK, BYE,
200 (and 100 or 180 where the far end sends them).  The call is hung up as soon as it is up; SRTP
contexts, media rows and sockets are made and closed as in any call.  Caller and lab are separate
processes, each pinned to a core of its own.

Prints and writes to results/call_setup.json: processor microseconds for each call, by layer
(`call_layers`), of both ends at a steady rate; calls per second at full load; and, measured in the
same run, what SIPp's built-in caller and callee need over one TLS connection at 800 calls a second.
Peers that are missing are named.

Garbage collection is set as in `softphone load`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.call import sipp_peers
from bench.call.layer_sampler import LayerSampler
from bench.python_build import measured_on
from softphone.account import Account
from softphone.config import load_account
from softphone.errors import SoftphoneError
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.load.run import relaxed_garbage_collection
from softphone.phone import Phone
from softphone.sans_io import Transport

RESULTS = Path(__file__).parents[1] / "results" / "call_setup.json"
CONNECTIONS = 8
SATURATED = 16
"""Concurrent calls at full load."""
MOST = 4000
"""Calls of one part: the burst that the lab admits."""
USERS = tuple(
    LabUser(f"user{number}", Login(Transport.TLS, certificate=True))
    for number in range(CONNECTIONS)
)


def pin(core: int) -> None:
    """Pin this process to one core, where the system supports that and has the core."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


# The far end -------------------------------------------------------------------------------------


async def serve(folder: Path) -> None:
    """Run the lab; `start` and `stop` on standard input begin and end a measurement."""
    pin(0)
    loop, clock = asyncio.get_running_loop(), LayerSampler()
    async with LabServer(folder, LabConfig(users=USERS)):
        with relaxed_garbage_collection():
            print(json.dumps({}), flush=True)
            while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
                layers: dict[str, float] = {}
                if word == "start":
                    clock.start()
                else:
                    layers = clock.stop()
                print(json.dumps(layers), flush=True)


class MeasuredLabProcess:
    """The lab in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--part", "lab", "--folder", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def send_command(self, word: str) -> dict[str, float]:
        """Begin or end a measurement; returns its figures."""
        if self._process.stdin is None:
            raise SystemExit("the lab has no input")
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, float]:
        if self._process.stdout is None:
            raise SystemExit("the lab has no output")
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()
            self._process.wait(20)
            self._process.stdout.close()


# The caller --------------------------------------------------------------------------------------


class CallGenerator:
    """Places calls from all accounts in turn; `done` and `failed` count."""

    def __init__(self, accounts: list[Account]) -> None:
        self._accounts = accounts
        self._tasks: set[asyncio.Task[None]] = set()
        self._next = 0
        self.done = 0
        self.failed: list[str] = []

    async def call(self) -> None:
        """One call: dialed, answered, hung up, ended."""
        account = self._accounts[self._next % len(self._accounts)]
        self._next += 1
        try:
            async with account.dial("600") as outgoing:
                call = await outgoing.answered(timeout=20)
            await call.ended()
            self.done += 1
        except SoftphoneError as error:
            self.failed.append(str(error))

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Place `rate` calls a second at even intervals."""
        loop = asyncio.get_running_loop()
        begun, placed = loop.time(), 0
        while placed < rate * seconds:
            task = asyncio.ensure_future(self.call())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            placed += 1
            await asyncio.sleep(max(0.0, begun + placed / rate - loop.time()))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=20)

    async def as_many_as_go(self, seconds: float) -> None:
        """Place calls back to back, `SATURATED` at once."""
        begun = time.monotonic()

        async def again() -> None:
            while time.monotonic() - begun < seconds and self.done < MOST:
                await self.call()

        await asyncio.gather(*(again() for _ in range(SATURATED)))


async def measure(
    folder: Path, far_end: MeasuredLabProcess, options: argparse.Namespace
) -> dict[str, Any]:
    """Both parts, after some calls that warm everything up."""
    pin(-1)
    async with Phone() as phone:
        accounts = [
            await phone.register(load_account(folder / f"{user.name}.toml").config)
            for user in USERS
        ]
        await CallGenerator(accounts).as_many_as_go(1.0)
        with relaxed_garbage_collection():
            steady = await count(CallGenerator(accounts), far_end, options.rate, options.seconds)
            # The lab admits so many requests in a burst, and fills the burst up again.
            await asyncio.sleep(4.0)
            return {
                "steady": steady,
                "saturated": await count(CallGenerator(accounts), far_end, 0.0, 4.0),
            }


async def count(
    caller: CallGenerator, far_end: MeasuredLabProcess, rate: float, seconds: float
) -> dict[str, Any]:
    """Processor time by layer of both ends, for one call."""
    clock = LayerSampler()
    far_end.send_command("start")
    clock.start()
    begun = time.monotonic()
    if rate:
        await caller.at_rate(rate, seconds)
    else:
        await caller.as_many_as_go(seconds)
    elapsed = time.monotonic() - begun
    ends = {"caller": clock.stop(), "lab": far_end.send_command("stop")}
    calls = max(1, caller.done)
    return {
        "calls": caller.done,
        "failed": len(caller.failed),
        "causes": sorted(set(caller.failed)),
        "calls_per_second": round(caller.done / elapsed, 1),
        "us_a_call": {
            end: {name: round(value / calls, 1) for name, value in layers.items()}
            for end, layers in ends.items()
        },
        "core_share": {
            end: round(sum(layers.values()) / 1e6 / elapsed, 3) for end, layers in ends.items()
        },
    }


# The table ---------------------------------------------------------------------------------------


def show(results: dict[str, Any]) -> None:
    """Print what was measured."""
    for name in ("steady", "saturated"):
        part = results[name]
        ends = part["us_a_call"]
        print(f"\n{name}: {part['calls_per_second']:,.0f} calls/s, {part['failed']} failed")
        print(f"{'µs a call':24}{'caller':>9}{'lab':>9}")
        for layer in ends["caller"]:
            print(f"{layer:24}{ends['caller'][layer]:9.0f}{ends['lab'][layer]:9.0f}")
        sums = {end: sum(layers.values()) for end, layers in ends.items()}
        shares = part["core_share"]
        print(f"{'sum':24}{sums['caller']:9.0f}{sums['lab']:9.0f}")
        print(f"{'share of a core':24}{shares['caller']:9.0%}{shares['lab']:9.0%}")
    print()
    for name, peer in results["peers"].items():
        print(f"{name}: {peer if isinstance(peer, str) else json.dumps(peer)}")


def record(results: dict[str, Any]) -> None:
    """Write the results down with what they were measured on."""
    document = {
        "bench": "call_setup",
        **results,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--part", choices=["lab"])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.part == "lab":
        asyncio.run(serve(options.folder))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        far_end = MeasuredLabProcess(folder)
        try:
            results = asyncio.run(measure(folder, far_end, options))
        finally:
            with suppress(OSError):
                far_end.close()
        results["peers"] = sipp_peers.signaling(folder / "peers")
    show(results)
    record(results)


if __name__ == "__main__":
    main()
