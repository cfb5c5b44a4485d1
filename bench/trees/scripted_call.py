"""Counts what a scripted call does: `python bench/trees/scripted_call.py calls|octets|blocks`.

`compare_trees` starts it, with the tree to be measured first on PYTHONPATH.  It uses public names
of softphone only, so that it runs on any tree.  Two phones call each other through the lab, all in
this process: INVITE, ringing, answer, a second of tone both ways under SRTP, hold, resume, BYE.
Time is virtual and moves only when nothing is left to do, and random bytes are seeded: two runs do
exactly the same, on a busy machine too.  The calls of one run differ a little, by their random
numbers.  The first calls warm everything up and do not count; then every call is counted:

calls   calls of Python and of C functions, in all threads, and those made by the tree's own code
octets  octets that Python's allocators were asked for, and how often; this needs a C compiler
blocks  peak and final size by tracemalloc, and blocks that are still held after a collection

Prints one JSON object: for each figure a list with one number a call.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import random
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

WARM_UP = 3
CALLS = 5
SECONDS = 1.0
"""How long both sides talk before, during and after the hold, in virtual time."""
BEHIND = 1800.0
"""Seconds by which the time of day of the run is behind the real one, at its beginning."""
GRACE = 0.002
"""Real seconds without an event after which the system has delivered everything that was sent."""

Numbers = dict[str, list[int]]
Step = Callable[[], Awaitable[None]]


class VirtualTime:
    """A clock in seconds that advances only when the loop would sleep."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class VirtualSelector(selectors.DefaultSelector):
    """Advances time to the next timer instead of waiting for it.

    While a thread works, it waits for the thread and time does not advance.
    """

    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock
        self.working = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        while not found and (timeout is None or timeout > 0):
            found = super().select(0.05 if self.working or timeout is None else GRACE)
            if not found and not self.working and timeout is not None:
                self._clock.now += timeout
                break
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self, clock: VirtualTime) -> None:
        self._virtual = VirtualSelector(clock)
        self._now = clock
        super().__init__(self._virtual)

    def time(self) -> float:
        """Returns virtual seconds."""
        return self._now()

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """Runs the function in a thread; time does not advance meanwhile."""
        self._virtual.working += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _: object) -> None:
        self._virtual.working -= 1


class Parties:
    """Two accounts of one phone, and the call that is repeated."""

    def __init__(self, caller: Any, callee: Any, tone: Callable[[], Any]) -> None:
        self._caller, self._callee, self._tone = caller, callee, tone

    async def call(self) -> None:
        """Makes one call, from the first message to the end of its last transaction."""
        answering = asyncio.ensure_future(self._answer())
        async with self._caller.dial("bob") as outgoing:
            call = await outgoing.answered(timeout=20)
            call.audio.play(self._tone())
            await asyncio.sleep(SECONDS)
            await call.hold()
            await asyncio.sleep(SECONDS)
            await call.resume()
            await asyncio.sleep(SECONDS)
        await call.ended()
        await answering
        # 64*T1 is 32 s: the last timer of a transaction (RFC 3261 section 17).
        await asyncio.sleep(40.0)

    async def _answer(self) -> None:
        async for incoming in self._callee.incoming():
            incoming.ring()
            call = await incoming.answer()
            call.audio.play(self._tone())
            await call.ended()
            return


# What is counted ---------------------------------------------------------------------------------


class CallCounter:
    """Counts calls by sys.setprofile, in this thread and in those that begin later."""

    def __init__(self) -> None:
        self._python: Counter[CodeType] = Counter()
        self._compiled: Counter[CodeType] = Counter()
        self._on = False
        threading.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if self._on:
            if event == "call":
                self._python[frame.f_code] += 1
            elif event == "c_call":
                self._compiled[frame.f_code] += 1

    async def count(self, step: Step) -> dict[str, int]:
        """Counts the calls of one step, without those of this file."""
        self._python.clear()
        self._compiled.clear()
        sys.setprofile(self._profile)
        self._on = True
        await step()
        self._on = False
        sys.setprofile(None)
        tree = str(Path(sys.modules["softphone"].__file__ or "").parents[1]) + os.sep
        found = {}
        for name, calls in (("python_calls", self._python), ("c_calls", self._compiled)):
            counted = {code: n for code, n in calls.items() if code.co_filename != __file__}
            found[name] = sum(counted.values())
            found[f"{name}_of_the_tree"] = sum(
                n for code, n in counted.items() if code.co_filename.startswith(tree)
            )
        return found


class OctetCounter:
    """Counts allocations and their octets by hooks of Python's allocators (count_octets.c)."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.PyDLL(str(library))
        self._counts = (ctypes.c_uint64 * 2).in_dll(self._library, "counts")
        self._library.install()

    async def count(self, step: Step) -> dict[str, int]:
        """Counts one step."""
        before = list(self._counts)
        await step()
        octets, pieces = (now - then for now, then in zip(self._counts, before, strict=True))
        return {"octets_allocated": octets, "allocations": pieces}


class BlockCounter:
    """Measures the octets held at the peak and afterwards, by tracemalloc."""

    async def count(self, step: Step) -> dict[str, int]:
        """Counts one step."""
        gc.collect()
        tracemalloc.start()
        blocks = sys.getallocatedblocks()
        await step()
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gc.collect()
        return {
            "peak_octets": peak,
            "octets_held_at_the_end": held,
            "blocks_held_after_collection": sys.getallocatedblocks() - blocks,
        }


def build_hooks(folder: Path) -> Path | None:
    """Compiles count_octets.c and returns the path of the library; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source, library = Path(__file__).with_name("count_octets.c"), folder / "count_octets.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True
    )
    return library


def make_counter(kind: str, folder: Path) -> Any:
    """Returns the counter of a kind, or None if it needs a compiler that is absent."""
    if kind == "calls":
        return CallCounter()
    if kind == "blocks":
        return BlockCounter()
    library = build_hooks(folder)
    return library and OctetCounter(library)


# The run -----------------------------------------------------------------------------------------


async def run(folder: Path, counter: Any) -> Numbers:
    """Makes all calls and counts each."""
    from softphone import Phone, ToneSource, load_account
    from softphone.lab import LabConfig, LabServer

    numbers: Numbers = {}
    # No registration is refreshed between two calls.
    async with (
        LabServer(folder / "lab", LabConfig(registration_expires=86400)) as lab,
        Phone() as phone,
    ):
        caller, callee = [
            await phone.register(load_account(lab.accounts[name]).config)
            for name in ("alice", "bob")
        ]
        parties = Parties(caller, callee, lambda: ToneSource(440.0))
        for _ in range(WARM_UP):
            await parties.call()
        gc.collect()
        gc.disable()  # two trees would collect at different times
        for _ in range(CALLS):
            for name, number in (await counter.count(parties.call)).items():
                numbers.setdefault(name, []).append(number)
            gc.collect()
    return numbers


def main() -> None:
    """Counts one kind and prints it."""
    clock = VirtualTime()
    # The time of day stays behind the system's: by its stamps no packet has then waited, where else
    # each would be a second late and never be heard.
    begun = float(int(time.time())) - clock.now - BEHIND
    time.monotonic = clock
    time.time = lambda: begun + clock.now
    os.urandom = random.Random(20261127).randbytes
    with tempfile.TemporaryDirectory() as name:
        counter = make_counter(sys.argv[1], Path(name))
        numbers: Numbers = {}
        if counter is not None:
            with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
                numbers = runner.run(run(Path(name), counter))
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
