"""Opens thousands of idle TLS connections: `python bench/lab/bench_idle_connections.py`.

A separate process opens `--connections` (10,000) TLS connections to a lab, as fast as the lab
accepts them, sends a ping over each (RFC 5626 section 4.4.1), and then nothing.  The lab accepts
`--room` (10,000) beside those of the bench.  Calls that began before are up meanwhile.  Reports how
many connections were accepted, the lab's memory and processor time for each, and the state of the
calls.  Also checks that all connections, with their descriptors and tasks, are gone once the
process has vanished.  With `--silent` it sends nothing at all: then they have to be gone after the
time that the lab allows until the first message (60 s).

Fails when more than the room are accepted, a call is lost, or something is left.  Results go to
results/idle_connections.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.lab.lab_process import LabProcess
from bench.python_build import measured_on
from softphone.config import load_account
from softphone.events import CallState
from softphone.net import TransportLimits
from softphone.phone import Phone

RESULTS = Path(__file__).parents[1] / "results" / "idle_connections.json"
CALLS = 10
OWN = 2
"""Connections of the bench itself."""
PING, PONG = b"\r\n\r\n", b"\r\n"
AT_ONCE = 8
PATIENCE = 20.0
"""Seconds that a client waits for its connection."""


async def crowd(address: tuple[str, int], count: int, *, silent: bool) -> None:
    """Connect `count` times, ping unless `silent`, and stay until standard input closes.

    Prints a JSON list of the connections accepted and the seconds taken.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    gate = asyncio.Semaphore(AT_ONCE)
    inside: list[Any] = []

    async def one() -> None:
        async with gate:
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection(*address, ssl=context)
                    if not silent:
                        writer.write(PING)
                        await reader.readexactly(len(PONG))
                    inside.append((reader, writer))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                return

    begun = time.monotonic()
    await asyncio.gather(*(one() for _ in range(count)))
    print(json.dumps([len(inside), round(time.monotonic() - begun, 1)]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    os._exit(0)  # no orderly TLS close: peers that vanish are the harder case


async def run(lab: LabProcess, options: argparse.Namespace) -> dict[str, Any]:
    """Open the idle connections while calls are up, wait for their end, and return the figures."""
    found: dict[str, Any] = {"asked": options.connections, "room": options.room}
    async with Phone() as phone:
        account = await phone.register(load_account(lab.account("load00001")).config)
        calls = [await account.dial("600").answered(timeout=20) for _ in range(CALLS)]
        before = lab.held()
        command = [sys.executable, __file__, "--crowd", json.dumps(lab.address)]
        process = await asyncio.create_subprocess_exec(
            *command,
            *("--connections", str(options.connections)),
            *(["--silent"] if options.silent else []),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the crowd has no pipes")
        most = before
        said = asyncio.ensure_future(process.stdout.readline())
        while not said.done():
            await asyncio.sleep(0.5)
            most = max(most, lab.held(), key=lambda held: int(held["descriptors"]))
        found["in_by_their_count"], found["seconds"] = json.loads(await said)
        inside = int(most["descriptors"]) - int(before["descriptors"])
        found["inside_at_most"] = inside
        found["kilobytes_each"] = round((most["memory"] - before["memory"]) / 1024 / inside, 1)
        used = lab.held()["processor"] - before["processor"]
        found["lab_ms_each_to_let_in"] = round(1e3 * used / found["in_by_their_count"], 2)
        deadline = time.monotonic() + TransportLimits().first_byte_timeout + 30.0
        if not options.silent:
            process.stdin.close()
        while lab.held()["descriptors"] > before["descriptors"] + 2:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(1.0)
        after = lab.held()
        process.stdin.close()  # again changes nothing
        await process.wait()
        found["left"] = {
            name: after[name] - before[name] for name in ("descriptors", "tasks", "legs")
        }
        found["calls_up"] = sum(call.state is CallState.CONFIRMED for call in calls)
        found["packets_lost"] = sum(call.audio.statistics.cumulative_lost for call in calls)
    return found


def main() -> int:
    """Measure, print and write the results; return 1 if a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--room", type=int, default=10_000)
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.crowd:
        host, port = json.loads(options.crowd)
        asyncio.run(crowd((host, port), options.connections, silent=options.silent))
        return 0
    with tempfile.TemporaryDirectory() as name:
        lab = LabProcess(Path(name) / "lab", 1, options.room + OWN)
        try:
            found = asyncio.run(run(lab, options))
        finally:
            lab.close()
    for title, value in found.items():
        print(f"{title:28}{value}")
    document = {
        "bench": "idle_connections",
        "results": found,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    spared = found["calls_up"] == CALLS and found["inside_at_most"] <= found["room"] + OWN
    return 0 if spared and max(found["left"].values()) <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
