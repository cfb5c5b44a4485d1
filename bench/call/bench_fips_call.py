"""Compares the cost of a call in FIPS mode and normal mode: `python bench/call/bench_fips_call.py`.

Runs the same program in both modes alternately, each time in a process of its own, and takes the
best round.  "call" is a phone's call to the lab's echo over TLS, both ends in one process
(processor time of the set-up, and of one second of the call).  "srtp" is the work of the media loop
for a 172-byte packet, in a batch of 512 streams: by libsrtp in place, in FIPS mode by
`cryptography`.  Needs the FIPS provider (Debian: openssl-provider-fips).
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.python_build import measured_on
from softphone import AccountConfig, Phone, ToneSource, load_account, openssl_provider
from softphone.lab import LabServer
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import ReceiveContext, SendContext, SrtpBatch
from softphone.trust.fips import FipsMode, FipsModeOrigin, process_environment
from softphone.trust.fips.setup import make_setup

RESULTS = Path(__file__).parents[1] / "results" / "fips_call.json"
ROUNDS, CALLS, SECONDS = 3, 20, 3.0
STREAMS, TICKS, SIZE, STRIDE = 512, 30, 172, 1500
MODES = ("usual", "fips")


def srtp(suite: CryptoSuite) -> tuple[float, float]:
    """Microseconds a packet, protected and unprotected, by what this process's mode has."""
    data, lengths = np.zeros((STREAMS, STRIDE), np.uint8), np.zeros(STREAMS, np.int32)
    block, rows = SrtpBatch(data.ctypes.data, STRIDE, STREAMS), list(range(STREAMS))
    key = bytes(range(suite.material_length))
    senders = [SendContext(suite, KeyMaterial(key)) for _ in rows]
    receivers = [ReceiveContext(suite, KeyMaterial(key)) for _ in rows]
    best = [float("inf"), float("inf")]
    for sequence in range(TICKS):
        clear = b"".join(
            struct.pack(">BBHII", 0x80, 0, sequence, sequence * 160, ssrc) + bytes(SIZE - 12)
            for ssrc in range(STREAMS)
        )
        data[:, :SIZE] = np.frombuffer(clear, np.uint8).reshape(-1, SIZE)
        lengths[:] = SIZE
        started = time.process_time()
        failed = any(block.protect(rows, senders, lengths))
        between = time.process_time()
        failed |= any(block.unprotect(rows, receivers, lengths))
        ended = time.process_time()
        if failed or data[:, :SIZE].tobytes() != clear:
            raise SystemExit("a packet was refused")
        if sequence:  # the first packet of a stream takes another path
            best = [min(best[0], between - started), min(best[1], ended - between)]
    return best[0] / STREAMS * 1e6, best[1] / STREAMS * 1e6


async def calls(config: AccountConfig) -> tuple[float, float]:
    """Milliseconds of processor time: a call's set-up, and a second of a call that is up."""
    async with Phone() as phone:
        account = await phone.register(config)
        up, over = asyncio.Barrier(CALLS + 1), asyncio.Event()

        async def one() -> None:
            async with account.dial("600") as outgoing:
                call = await outgoing.answered(timeout=30)
                call.audio.play(ToneSource(440.0))
                await up.wait()
                await over.wait()
                if not call.audio.statistics.packets_received:
                    raise SystemExit("a call without sound")

        started = time.process_time()
        running = asyncio.gather(*(one() for _ in range(CALLS)))
        await up.wait()
        there = time.process_time()
        await asyncio.sleep(SECONDS)
        ended = time.process_time()
        over.set()
        await running
    return (there - started) / CALLS * 1e3, (ended - there) / CALLS / SECONDS * 1e3


async def lab() -> tuple[float, float]:
    """The same against the lab, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        async with LabServer(Path(folder)) as server:
            return await calls(load_account(server.accounts["alice"]).config)


def measure() -> dict[str, Any]:
    """All figures of this process's mode."""
    set_up, second = asyncio.run(lab())
    packets = {suite.value: srtp(suite) for suite in CryptoSuite}
    return {"set_up_ms": set_up, "second_ms": second, "srtp_us": packets}


def run(child_environment: dict[str, str]) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--measure"]
    ended = subprocess.run(
        command, env=child_environment, capture_output=True, text=True, check=True
    )
    measured: dict[str, Any] = json.loads(ended.stdout)
    return measured


def best(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The least of each figure."""
    return {
        "set_up_ms": round(min(each["set_up_ms"] for each in rounds), 2),
        "second_ms": round(min(each["second_ms"] for each in rounds), 2),
        "srtp_us": {
            suite.value: [
                round(min(each["srtp_us"][suite.value][way] for each in rounds), 2)
                for way in (0, 1)
            ]
            for suite in CryptoSuite
        },
    }


def ratios(found: dict[str, Any]) -> dict[str, Any]:
    """FIPS mode over the usual one."""
    usual, fips = (found[mode] for mode in MODES)
    return {
        "set_up": round(fips["set_up_ms"] / usual["set_up_ms"], 2),
        "second": round(fips["second_ms"] / usual["second_ms"], 2),
        "srtp": {
            name: round(sum(fips["srtp_us"][name]) / sum(usual["srtp_us"][name]), 2)
            for name in usual["srtp_us"]
        },
    }


def main() -> int:
    """Measure in both modes, print the table, write the results."""
    if "--measure" in sys.argv:
        print(json.dumps(measure()))
        return 0
    if openssl_provider.fips_in_force():
        raise SystemExit("start this outside FIPS mode: it starts both itself")
    rounds: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as folder:
        setup = make_setup(Path(folder))
        on = process_environment(
            FipsMode(True, FipsModeOrigin.BOOTSTRAP, "a benchmark"), setup.folder
        )
        for _ in range(ROUNDS):
            rounds["usual"].append(run(dict(os.environ)))
            rounds["fips"].append(run(on))
    found: dict[str, Any] = {mode: best(rounds[mode]) for mode in MODES}
    found["ratio"] = ratios(found)
    print(f"{'':26}{'usual':>16}{'FIPS mode':>16}{'ratio':>8}")
    for name, unit in (("set_up", "ms"), ("second", "ms")):
        cells = [f"{found[mode][f'{name}_{unit}']:.2f} {unit}" for mode in MODES]
        print(f"{name:26}{cells[0]:>16}{cells[1]:>16}{found['ratio'][name]:>8.2f}")
    for suite in CryptoSuite:
        pairs = [found[mode]["srtp_us"][suite.value] for mode in MODES]
        cells = [f"{pair[0]:.2f} / {pair[1]:.2f} µs" for pair in pairs]
        ratio = found["ratio"]["srtp"][suite.value]
        print(f"{suite.value:26}{cells[0]:>16}{cells[1]:>16}{ratio:>8.2f}")
    units = "milliseconds of processor time, both ends; microseconds a packet: protect, unprotect"
    RESULTS.write_text(json.dumps({**measured_on(), "units": units, **found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
