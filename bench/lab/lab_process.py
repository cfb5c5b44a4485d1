"""The lab in a process of its own, for benches that put load on it.

    python bench/lab/lab_process.py FOLDER USERS [CONNECTIONS]

It has USERS users, load00001 and so on, each with a password and over TLS, and one, `expired`,
whose certificate expired yesterday.  It accepts 4,096 connections, or CONNECTIONS.  The first line
of output has its address.  It answers each line of input with its counts: memory, descriptors,
tasks, timers, connections, legs of calls, and processor seconds.  It ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from softphone.lab import LabConfig, LabServer, LabUser, Login, Validity
from softphone.load.run import relaxed_garbage_collection
from softphone.sans_io import Transport

__all__ = ["LabProcess", "held", "resident"]

PORTS = (50_000, 59_999)
REGISTRATIONS = 400.0


def resident(pid: int | str = "self") -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held() -> dict[str, int]:
    """Count this process's memory in bytes, descriptors, tasks, and timers not cancelled."""
    loop = asyncio.get_running_loop()
    scheduled = tuple(getattr(loop, "_scheduled", ()))
    return {
        "memory": resident(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(not timer.cancelled() for timer in scheduled),
    }


class LabProcess:
    """A lab in a child process, as the bench sees it; `address` is its TLS address."""

    def __init__(self, folder: Path, users: int, connections: int = 4096) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(users), str(connections)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address: list[Any] = self._read()

    def _read(self) -> Any:
        line = "" if self.process.stdout is None else self.process.stdout.readline()
        if not line:
            raise SystemExit("the lab has ended")
        return json.loads(line)

    def held(self) -> dict[str, Any]:
        """Return the lab's current counts."""
        if self.process.stdin is None:
            raise SystemExit("the lab has no input")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, Any] = self._read()
        return found

    def account(self, name: str) -> str:
        """Return the path of a user's account file."""
        return str(self.folder / f"{name}.toml")

    def close(self) -> None:
        """End the process and wait for it."""
        if self.process.stdin is not None and self.process.stdout is not None:
            self.process.stdin.close()
            self.process.wait(20)
            self.process.stdout.close()


async def serve(folder: Path, count: int, connections: int) -> None:
    """Run the lab until standard input closes; answer each line with the counts."""
    login = Login(Transport.TLS)
    users = tuple(LabUser(f"load{number:05}", login) for number in range(1, count + 1))
    config = LabConfig(
        users=users,
        media_ports=PORTS,
        registration_rate=REGISTRATIONS,
        registration_burst=2 * count,
        connections=connections,
        registration_expires=600,
    )
    loop = asyncio.get_running_loop()
    async with LabServer(folder, config) as lab:
        outdated = lab.files.authority.client(
            "sip:load00001@127.0.0.1", validity=Validity.expired()
        )
        outdated.write(folder, "expired")
        with relaxed_garbage_collection():
            print(json.dumps(list(lab.addresses[Transport.TLS])), flush=True)
            while await loop.run_in_executor(None, sys.stdin.readline):
                found = held() | {"legs": lab.calls, "processor": time.process_time()}
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(range(os.cpu_count() or 1))})
    asyncio.run(serve(Path(sys.argv[1]), *map(int, sys.argv[2:])))
