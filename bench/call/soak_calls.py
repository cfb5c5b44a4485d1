"""Soak test: short encrypted calls one after the other, phone and lab in one process.

Compares quiet moments, each after the 32 s for which RFC 6026 keeps transactions, by Python memory
(tracemalloc), tasks, timers, file descriptors and calls.  There are three such moments: after a
warm-up, after half of the calls, and after all.  Objects made once on first use show in the first
half only; leaks also show in the second, which is judged.
Prints a table, writes results/soak_calls.json, and fails when more than noise is left.

    python bench/call/soak_calls.py [CALLS]
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from softphone.account import Account
from softphone.config import load_account
from softphone.lab import LabServer
from softphone.phone import Phone

CALLS = 1000
BATCH = 10
"""Calls at once: the lab's timers, not the machine, are what a call waits for."""
GROWTH = 4096.0
"""Bytes a call that may be left.  About 1,100 are the addresses of its far ends, which
`softphone.net.datagrams.batched_udp` keeps decoded up to MOST_DECODED; what grows without bound is
a leak."""
LINGER = 34.0
"""Seconds until the last transaction of a call is gone: 64*T1 and a little."""
RESULT = Path(__file__).parents[1] / "results" / "soak_calls.json"


async def one_call(account: Account) -> None:
    """Dial the echo, wait for the answer, hang up."""
    async with account.dial("600") as outgoing:
        await outgoing.answered(timeout=20)


async def quiet(account: Account) -> dict[str, int]:
    """What is held once everything that ends with a call has ended."""
    await asyncio.sleep(LINGER)
    gc.collect()
    loop = asyncio.get_running_loop()
    return {
        "bytes": tracemalloc.get_traced_memory()[0],
        "tasks": len(asyncio.all_tasks()),
        "timers": len(getattr(loop, "_scheduled", ())),
        "descriptors": len(os.listdir("/dev/fd")),
        "calls": len(account.calls),
    }


async def soak(calls: int) -> list[dict[str, int]]:
    """The counts after a warm-up, after half of the calls and after all."""
    with tempfile.TemporaryDirectory() as folder:
        async with LabServer(Path(folder) / "lab") as lab, Phone() as phone:
            account = await phone.register(load_account(lab.accounts["alice"]).config)
            counts = []
            half = calls // BATCH // 2
            for rounds in (20, half, half):
                for _ in range(rounds):
                    await asyncio.gather(*(one_call(account) for _ in range(BATCH)))
                counts.append(await quiet(account))
            return counts


def main() -> int:
    """Run, print, write, judge."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    tracemalloc.start()
    begun = time.monotonic()
    counts = asyncio.run(soak(calls))
    seconds = time.monotonic() - begun
    print("".join(f"{name:>14}" for name in counts[0]))
    for row in counts:
        print("".join(f"{value:>14,}" for value in row.values()))
    before, middle, after = counts
    first, growth = (
        (later["bytes"] - sooner["bytes"]) / (calls / 2)
        for sooner, later in ((before, middle), (middle, after))
    )
    left = {name: after[name] - before[name] for name in after if name != "bytes"}
    print(f"{calls} calls in {seconds:.1f} s; bytes a call are left, in each half: ", end="")
    print(f"{first:.0f}, {growth:.0f}; {left}")
    result = {"calls": calls, "seconds": round(seconds, 1), "bytes_a_call": round(growth, 1)}
    RESULT.write_text(json.dumps({**result, "counts": counts}, indent=2) + "\n")
    return 1 if growth > GROWTH or any(value > 2 for value in left.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
