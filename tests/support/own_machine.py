"""A pytest plugin: what is marked `own_machine` waits for the machine before it begins.

Such a test judges sound that is late where others keep the processors busy.  One runs at a time, of
all processes of this user, once half of a processor was idle for a while.  Each waits for a bounded
time, and a process for `IN_ALL` seconds: where others never rest, the test is run all the same, and
has to judge what was late by itself.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = "own_machine"
LONGEST = 10.0
"""Seconds that one test waits at most."""
IN_ALL = 30.0
"""Seconds that all tests of a process wait at most."""
LOOK = 0.25
"""Seconds between two looks at the processors."""
IDLE = 0.5
"""Processors that have to be idle meanwhile, of however many."""

_waited = 0.0


@dataclass
class Machine:
    """The processors and the lock of this user's tests; `idle` gives processor seconds, or None."""

    lock: Path
    idle: Callable[[], float | None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def wait(self, patience: float) -> Generator[float]:
        """Give the seconds waited, once the machine is ours or patience ends; hold it from then."""
        began = self.clock()
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            before, at = self.idle(), began
            quiet = ours = False
            while not (quiet and ours) and self.clock() - began < patience:
                self.sleep(LOOK)
                ours = ours or _locked(handle)
                after, now = self.idle(), self.clock()
                quiet = after is None or before is None or after - before >= IDLE * (now - at)
                before, at = after, now
            yield self.clock() - began
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    """Take the lock unless another process has it."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def idle_seconds() -> float | None:
    """The idle seconds of all processors by Linux's table (proc_stat(5)); None without one."""
    try:
        words = Path("/proc/stat").read_text("ascii").split(maxsplit=6)
    except OSError:
        return None
    return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")


def _this_machine() -> Machine:
    who = getattr(os, "getuid", lambda: "user")()
    return Machine(Path(tempfile.gettempdir()) / f"softphone-own-machine-{who}.lock", idle_seconds)


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", f"{NAME}: judges what is late where others are busy")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have a marked test wait, outside of its own time-out."""
    global _waited
    if item.get_closest_marker(NAME) is None:
        return (yield)
    holding = _this_machine().wait(min(LONGEST, IN_ALL - _waited))
    _waited += next(holding)
    try:
        return (yield)
    finally:
        holding.close()
