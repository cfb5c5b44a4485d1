"""One run of `softphone load` against the echo, in a process of its own, for bench_load_echo.

    python bench/load/run_echo_load.py PLAN.json

Pinned to the last core; with `placement: worker` the media process has the last core for itself,
and the signaling is on the first one, beside the echo.  Prints one JSON object: figures of the
seconds in which all calls were up, memory and descriptors for each call, and the time to the first
call.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from softphone.load import LoadPlan
from softphone.load.distribute import RunObserver, run_plan
from softphone.load.measure import RunSecond, Tally

ALL_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
"""The cores that this process may use before it is pinned."""
CHURNED = 0.75
"""The share of the calls that is up in a second that counts while they come and go: the others are
being set up, which at 100 a second is a good part of a hundred."""


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Descriptors that are open."""
    return len(os.listdir("/proc/self/fd"))


def age() -> float:
    """Seconds since this process was started."""
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")


def pin_media_processes() -> None:
    """Pin the processes that this one has started to the last core."""
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):  # a process or a thread that has ended meanwhile
        for task in Path("/proc/self/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                for thread in Path(f"/proc/{child}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), {ALL_CORES[-1]})


class SteadyStateObserver:
    """Tells steady seconds from others: all calls were up, none came or went."""

    def __init__(self, calls: int, churns: bool) -> None:
        self._calls = calls
        self._churns = churns
        self.steady = Tally()
        self.seconds = 0
        self.cpu: list[float] = []
        self.before = (resident(), descriptors())
        self.with_calls = self.before
        self.start_up: float | None = None

    def second(self, second: RunSecond) -> None:
        """Take one."""
        if self.start_up is None:
            self.start_up = age() - second.at
            pin_media_processes()
        if second.up < self._calls * (CHURNED if self._churns else 1.0):
            return
        if second.tally.attempted and not self._churns:
            return
        self.with_calls = max(self.with_calls, (resident(), descriptors()))
        self.steady.merge(second.tally)
        self.seconds += 1
        self.cpu.append(second.cpu)

    def report(self) -> dict[str, Any]:
        """The figures."""
        steady = self.steady
        packets = max(1, steady.sent)
        return {
            "calls": self._calls,
            "seconds": self.seconds,
            "core_share": round(sum(self.cpu) / max(1, len(self.cpu)), 3),
            "ms_per_call_second": round(steady.cpu_ms_per_call_second, 4),
            "p50_late_ms": steady.lateness_ms.quantile(0.5),
            "p99_late_ms": steady.lateness_ms.quantile(0.99),
            "share_over_5_ms": round(steady.lateness_ms.share_above(5.0), 5),
            "packets": {"sent": packets, "received": steady.received, "lost": steady.lost},
            "dropped_by_our_buffers": steady.overflows,
            "media_time_jumps": steady.jumps,
            "set_ups_per_second": round(steady.answered / max(1, self.seconds), 1),
            "kilobytes_a_call": round(
                (self.with_calls[0] - self.before[0]) / 1024 / self._calls, 1
            ),
            "megabytes": round(self.with_calls[0] / 1024**2, 1),
            "start_up_s": round(self.start_up or 0.0, 2),
            "descriptors_a_call": round((self.with_calls[1] - self.before[1]) / self._calls, 2),
        }


def command_for(
    plan: LoadPlan, folder: Path, *, churns: bool = False, priority: bool = False
) -> list[str]:
    """Write a plan to `folder`, and return the command that runs it in a process of its own.

    With `churns` calls come and go; with `priority` the process comes before others.
    """
    file = folder / "plan.json"
    said = {"plan": plan.to_plain(), "churns": churns, "priority": priority}
    file.write_text(json.dumps(said))
    return [sys.executable, __file__, str(file)]


async def run(plan: LoadPlan, churns: bool) -> dict[str, Any]:
    """Run the plan."""
    observer = SteadyStateObserver(plan.calls, churns)
    result = await run_plan(plan, watcher=RunObserver(observer.second))
    return observer.report() | {
        "answered": result.total.answered,
        "failed": dict(result.total.failed),
        "dropped": dict(result.total.dropped),
        "setup_p99_ms": result.total.setup_ms.quantile(0.99),
    }


def main() -> None:
    """Run the plan that is named."""
    said = json.loads(Path(sys.argv[1]).read_text())
    plan = LoadPlan.from_plain(said["plan"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {ALL_CORES[0 if plan.placement == "worker" else -1]})
    if said["priority"]:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    print(json.dumps(asyncio.run(run(plan, said["churns"]))))


if __name__ == "__main__":
    main()
