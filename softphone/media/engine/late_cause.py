"""Finds why a timer of the event loop ran late, by the processor time that was used meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

INTERVAL: Final = 0.02
"""Seconds between two readings of the processor times."""

ReadTimes: TypeAlias = Callable[[], tuple[float, float]]
"""`read()`: the seconds of processor time of this process and of this thread so far."""


def read_processor_times() -> tuple[float, float]:
    """The seconds of processor time that this process, and this thread, have used."""
    return time.process_time(), time.thread_time()


@dataclass(frozen=True, slots=True)
class LateCause:
    """Why a timer was late, as a clause of a sentence, and what a programmer can do about it."""

    why: str
    advice: str


class ProcessorWatch:
    """Reads the processor times of the event loop's thread and its process.

    `mark` is called after each run of a timer, so that `find_cause` sees what was used since.
    """

    def __init__(self, read: ReadTimes = read_processor_times) -> None:
        self._read = read
        self._marked = read()
        self._next = -math.inf

    def mark(self, now: float) -> None:
        """Note the times so far, once in `INTERVAL`: reading them costs two system calls."""
        if now >= self._next:
            self._marked, self._next = self._read(), now + INTERVAL

    def find_cause(self, behind: float) -> LateCause:
        """Return why a timer ran `behind` seconds late.

        If the process used less than half of that, it did not run: other processes had the
        processor, or the loop waited.  Else the loop computed, or other threads of the process did:
        the cause is whichever used more.
        """
        process, thread = (now - then for now, then in zip(self._read(), self._marked, strict=True))
        others = process - thread
        if process < behind / 2:
            return LateCause(
                f"this process had the processor for {process * 1e3:.0f} ms meanwhile: this"
                " machine was busy with others, or the event loop waited for something",
                "give it a processor of its own; asyncio's debug mode names what waits in the loop",
            )
        if thread >= process / 2:
            return LateCause(
                f"the event loop itself computed for {thread * 1e3:.0f} ms meanwhile",
                "move that work, or media, to a process of its own; asyncio's debug mode names it",
            )
        return LateCause(
            f"other threads of this process computed for {others * 1e3:.0f} ms meanwhile",
            "move that work to a process of its own, or shorten sys.setswitchinterval()",
        )
