"""Floods live secure calls: `python bench/call/bench_hostile_load.py [--seconds 30]`.

A separate process sends 10,000 malformed SIP messages to the lab.  It then sends forged, replayed
and random RTP, RTCP, STUN and DTLS datagrams to every media address of the live calls, a million a
minute.  Phone and lab share the measured process, on a core of its own.  Reports its processor time
with and without the flood over equal periods, and the lateness of media.  Fails unless every call
stays up, its security state is unchanged and no latch has moved.

`tests/security/test_a_flood_at_live_calls_loses_none_of_them.py` is the short form and sends the
same data.  Results go to results/hostile_load.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.python_build import measured_on
from softphone.call import Call
from softphone.config import load_account
from softphone.events import CallState
from softphone.lab import LabConfig, LabServer
from softphone.media import MediaEvent, RemoteLatched
from softphone.phone import Phone
from softphone.sans_io import Transport
from tests.support.hostile import Eavesdropper, malformed, variations

RESULTS = Path(__file__).parents[1] / "results" / "hostile_load.json"
CALLS = 20
MESSAGES = 10_000
RATE = 1_000_000 / 60
"""Datagrams a second."""


def pin(core: int) -> None:
    """Stay on one core, where the system can do that and has it."""
    if hasattr(os, "sched_setaffinity"):
        # Child processes inherit the pinning until they set their own.
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})


def attack(options: argparse.Namespace) -> None:
    """The attacker's process: sends the messages, or the datagrams at the rate."""
    target = json.loads(sys.stdin.readline())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        if options.part == "messages":
            for number, data in enumerate(malformed(MESSAGES)):
                out.sendto(data[:60_000], tuple(target))
                if number % 100 == 99:
                    time.sleep(0.01)
            print(MESSAGES)
            return
        volley = [
            (data, (host, port ^ side))
            for host, port, packet in target
            for data in variations(bytes.fromhex(packet))
            for side in (0, 1)
        ]
        begun, count = time.monotonic(), 0
        while (now := time.monotonic() - begun) < options.seconds:
            while count < now * RATE:
                data, where = volley[count % len(volley)]
                out.sendto(data, where)
                count += 1
            time.sleep(0.001)
        print(count)


async def storm(part: str, target: Any, seconds: float) -> int:
    """Run the attacker; returns how many items it sent."""
    command = [sys.executable, __file__, "--part", part, "--seconds", str(seconds)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    said, _ = await process.communicate(json.dumps(target).encode() + b"\n")
    return int(said)


class ProcessorMeter:
    """Measures processor time and packets received, from its creation to `report`."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._used, self._at = time.process_time(), time.monotonic()
        self._received = self._count()

    def _count(self) -> int:
        return sum(call.audio.statistics.packets_received for call in self._calls)

    def report(self) -> dict[str, float]:
        """The figures."""
        elapsed = time.monotonic() - self._at
        return {
            "seconds": round(elapsed, 2),
            "core_share": round((time.process_time() - self._used) / elapsed, 3),
            "packets_heard_per_call_second": round(
                (self._count() - self._received) / elapsed / len(self._calls), 2
            ),
        }


def watch_moves(calls: Sequence[Call]) -> list[RemoteLatched]:
    """Collect the latches to new addresses from now on; the list fills as they occur."""
    moves: list[RemoteLatched] = []

    def watch(event: MediaEvent) -> None:
        if isinstance(event, RemoteLatched):
            moves.append(event)

    for call in calls:
        call._leg.media_listeners.append(watch)
    return moves


async def run(seconds: float) -> dict[str, Any]:
    """Measure with calls up: a quiet period, the messages, the datagrams; then check the calls."""
    heard = Eavesdropper()
    with tempfile.TemporaryDirectory() as name:
        async with LabServer(Path(name), LabConfig()) as lab, Phone(tap=heard) as phone:
            account = await phone.register(load_account(lab.accounts["alice"]).config)
            calls = [await account.dial("601").answered(timeout=20) for _ in range(CALLS)]
            security = [call.security for call in calls]
            moves = watch_moves(calls)
            await asyncio.sleep(1.0)
            quiet = ProcessorMeter(calls)
            await asyncio.sleep(seconds / 3)
            results: dict[str, Any] = {"quiet": quiet.report()}
            watch = ProcessorMeter(calls)
            messages = await storm("messages", list(lab.addresses[Transport.UDP]), seconds)
            results["malformed messages"] = {"thrown": messages} | watch.report()
            places = [[*where, packet.hex()] for where, packet in heard.packets.items()]
            watch = ProcessorMeter(calls)
            datagrams = await storm("datagrams", places, seconds)
            results["datagrams"] = {"thrown": datagrams} | watch.report()
            results["calls"] = CALLS
            results["calls_up"] = sum(call.state is CallState.CONFIRMED for call in calls)
            results["legs_up_at_the_lab"] = lab.calls
            results["security_changed"] = [call.security for call in calls] != security
            for call in calls:
                call.hangup()
            results["latches_moved"] = len(moves)
            return results


def main() -> int:
    """Measure, print, write down, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--part", choices=["messages", "datagrams"])
    options = parser.parse_args()
    if options.part:
        pin(0)
        attack(options)
        return 0
    pin(-1)
    results = asyncio.run(run(options.seconds))
    for name, value in results.items():
        print(f"{name:24}{value}")
    document = {
        "bench": "hostile_load",
        "results": results,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    spared = results["calls_up"] == results["legs_up_at_the_lab"] == CALLS
    return 0 if spared and not results["latches_moved"] and not results["security_changed"] else 1


if __name__ == "__main__":
    sys.exit(main())
