"""Soak test: an hour of 50 agents' calls that talk, send digits, hold, resume and transfer.

Phone and lab are in one process.  The phone has 50 calls at a time: Alice calls Bob through the
lab, in 25 slots that run without pause.  They talk: samples are written and read at 8, 16, 24 and
48 kHz, and `flush` cuts speech short.  Digits are sent by RFC 4733, INFO and as tones in turn, and
must be heard.  Bob is held and resumed, then transferred to Frank, blind and attended in turn;
Frank talks with him until Bob hangs up.

Every ten seconds it counts memory (RSS), objects known to the collector, our objects by type,
tasks, timers and descriptors.  Each minute, two rounds of every slot, is judged by its minimum,
since live calls and objects that wait for collection only add to the counts.  It also catches
exceptions that nothing awaits, in tasks, callbacks and finalizers, as well as logged errors and
Python warnings; it counts softphone's own warnings.

Prints a summary, writes results/soak_agents.json, and with matplotlib results/soak_agents.png.
Fails when memory or objects grow after the first quarter, when an object of a call is left after
the last one (counted without running the collector), when an exception was not awaited, or when a
step failed.

    python bench/call/soak_agents.py [MINUTES] [CALLS]
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import itertools
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path

import numpy as np

from bench.python_build import measured_on
from softphone.account import Account
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.call.leg import CallLeg, Negotiation
from softphone.config import load_account
from softphone.errors import LocalProtocolError
from softphone.events import CallState, DigitReceived
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.media import Pcm
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.sdp import OfferAnswerSession
from softphone.srtp import SdesNegotiation

MINUTES, CALLS = 60.0, 50
EVERY = 10.0
"""Seconds between two counts."""
LINGER = 34.0
"""Seconds until the last transaction of a call is gone: 64*T1 and a little."""
CYCLE = 30.0
"""Seconds of a slot's call, and until the next begins."""
RATES = (8000, 16000, 24000, 48000)
METHODS = ("rtp", "info", "inband")
DIGITS = "1#"
GROWTH = 0.03
"""Share by which memory or objects may have grown in an hour, by a straight line through the last
three quarters of the minima."""
WINDOW = 2 * CYCLE
"""Seconds of which the least count is taken."""
OF_A_CALL = (
    Call,
    IncomingCall,
    OutgoingCall,
    CallLeg,
    Negotiation,
    SdesNegotiation,
    OfferAnswerSession,
)
"""Of these nothing may be left when all calls are over."""
M_MMAP_THRESHOLD = -3
"""malloc.h: set once, glibc moves neither it nor its threshold for trimming any more."""
RESULTS = Path(__file__).parents[1] / "results"


class UnhandledErrors:
    """Collects errors that no task has awaited."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.warned: Counter[str] = Counter()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Collect errors from now on."""
        loop.set_exception_handler(self._of_loop)
        sys.unraisablehook = lambda args: self._note("unraisable", args.exc_value)
        listener = logging.Handler(logging.WARNING)
        listener.emit = self._of_log  # type: ignore[method-assign]
        logging.getLogger().addHandler(listener)
        logging.captureWarnings(True)
        warnings.simplefilter("always")

    def _of_loop(self, _loop: object, context: dict[str, object]) -> None:
        self._note(str(context.get("message")), context.get("exception"))

    def _of_log(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.name == "py.warnings":
            self._note(record.name, record.getMessage())
        else:
            self.warned[f"{record.name}: {record.msg}"[:120]] += 1

    def _note(self, where: str, what: object) -> None:
        text = f"{where}: {what!r}"[:300]
        if not self.found[text]:
            print(text, file=sys.stderr, flush=True)
        self.found[text] += 1


class AgentSoak:
    """Who calls, who answers, and how often each step was done."""

    def __init__(self, alice: Account, bob: Account, frank: Account, host: str) -> None:
        self.alice, self.bob, self.frank, self.host = alice, bob, frank, host
        self.done: Counter[str] = Counter()
        self.over = asyncio.Event()
        self.stalled = 0.0
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None], step: str) -> None:
        """Run something beside; its failure is counted, never unread."""

        async def guarded() -> None:
            try:
                await work
            except Exception as problem:
                self.failed(step, problem)

        task = asyncio.create_task(guarded())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def failed(self, step: str, problem: Exception) -> None:
        """Count a step that failed."""
        name = f"failed {step}: {type(problem).__name__}"
        if not self.done[name]:
            print(time.strftime("%X"), name, problem, file=sys.stderr, flush=True)
        self.done[name] += 1

    async def watch(self) -> None:
        """Measure the worst lateness of a timer, since a stalled machine makes calls fail."""
        while True:
            due = time.monotonic() + 0.1
            await asyncio.sleep(0.1)
            self.stalled = max(self.stalled, time.monotonic() - due)

    async def attend(self, account: Account, name: str) -> None:
        """Answer every call."""
        numbers = itertools.count()
        async for incoming in account.incoming():
            rate = RATES[next(numbers) % len(RATES)]
            self.spawn(self.answer(incoming, name, rate), name)
            del incoming  # Else the last one was kept here, for want of a next.

    async def answer(self, incoming: IncomingCall, name: str, rate: int) -> None:
        """A callee's side of one call."""
        incoming.ring()
        call = await incoming.answer()
        self.spawn(self.follow(call), name)
        if name == "frank":
            await self.greet(call, rate)
        else:
            asyncio.get_running_loop().call_later(CYCLE - 2.0, call.hangup)
        await self.echo(call, name, rate)

    async def greet(self, call: Call, rate: int) -> None:
        """Say something: who was transferred says it back."""
        call.audio.use_rates(read_hz=rate, write_hz=rate)
        await call.audio.write(noise(rate, 3.0))

    async def echo(self, call: Call, name: str, rate: int) -> None:
        """Say back what is heard, to the end of the call."""
        if name == "bob":
            call.audio.use_rates(read_hz=rate, write_hz=rate)
            call.audio.detect(digits=True)
        loud = 0
        try:
            async for heard in call.audio:
                loud += int(np.abs(heard.pcm).max() > 1000)
                await call.audio.write(heard.pcm)
        except LocalProtocolError:
            if call.state is not CallState.TERMINATED:
                raise
        if not loud:
            raise RuntimeError("nothing was heard in this call")
        self.done[f"calls {name} answered and heard"] += 1

    async def follow(self, call: Call) -> None:
        """Count what a callee is told."""
        async for event in call.events():
            if isinstance(event, DigitReceived):
                self.done["digits heard"] += 1
                self.done[f"digit {event.digit} heard by {event.via}"] += 1

    async def slot(self, number: int) -> None:
        """One call after the other, until it is over."""
        await asyncio.sleep(2 * number * CYCLE / CALLS % CYCLE)
        for turn in itertools.count(number):
            if self.over.is_set():
                return
            ends = time.monotonic() + CYCLE
            try:
                await self.conversation(turn)
            except Exception as problem:
                self.failed("conversation", problem)
            await asyncio.sleep(max(ends - time.monotonic(), 0.0))

    async def conversation(self, turn: int) -> None:
        """Alice's side of one call."""
        rate = RATES[turn % len(RATES)]
        async with self.alice.dial("bob") as outgoing:
            call = await outgoing.answered(timeout=20)
            call.audio.use_rates(read_hz=rate, write_hz=rate)
            self.spawn(self.hear(call), "alice")
            await self.say(call, rate, 5.0)
            await call.send_digits(DIGITS, method=METHODS[turn % len(METHODS)])
            self.done["digits sent"] += len(DIGITS)
            await call.hold()
            await asyncio.sleep(1.5)
            await call.resume()
            self.done["held and resumed"] += 1
            await self.say(call, rate, 3.0)
            await (self.attended if turn % 2 else self.blind)(call)
            self.done["transferred"] += 1

    async def blind(self, call: Call) -> None:
        """Transfer Bob to Frank."""
        await call.transfer(f"sip:frank@{self.host}")

    async def attended(self, call: Call) -> None:
        """Talk to Frank first."""
        await call.hold()
        async with self.alice.dial("frank") as outgoing:
            second = await outgoing.answered(timeout=20)
            await self.say(second, 16000, 1.0)
            await call.transfer(second)

    async def say(self, call: Call, rate: int, seconds: float) -> None:
        """Speak, and fall silent before all is said."""
        await call.audio.write(noise(rate, 1.2 * seconds))
        await asyncio.sleep(seconds)
        if call.audio.flush():
            self.done["flushed"] += 1

    async def hear(self, call: Call) -> None:
        """Read all that comes."""
        async for heard in call.audio:
            self.done["seconds heard"] += heard.seconds


@functools.cache
def noise(rate: int, seconds: float) -> Pcm:
    """White noise, int16[n]."""
    drawn = np.random.default_rng(1).normal(0, 3000, round(rate * seconds))
    return drawn.astype(np.int16)


def count(began: float, office: AgentSoak) -> dict[str, object]:
    """What is held now; as fast as can be, for media waits meanwhile."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])  # without the list that is to come
    types = Counter(map(type, gc.get_objects()))
    kinds: Counter[str] = Counter()
    for kind, times in types.items():
        if str(kind.__module__).startswith("softphone"):
            kinds[f"{kind.__module__}.{kind.__qualname__}"] += times
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "rss_mb": round(pages * resource.getpagesize() / 1e6, 2),
        "objects": types.total(),
        "ours": kinds.total(),
        "kinds": dict(kinds.most_common(12)),
        "tasks": len(asyncio.all_tasks()),
        "timers": len(getattr(asyncio.get_running_loop(), "_scheduled", ())),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "calls": sum(len(one.calls) for one in (office.alice, office.bob, office.frank)),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "stalled_seconds": round(office.stalled, 2),
    }


def settle_lists() -> None:
    """Have the C library give back the megabyte of each list of all objects as it is freed.

    It would keep lists of that size in its heap from the second one on, and with them two megabytes
    of what has been freed behind them: the soak would measure its own counting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 128 * 1024)


def users() -> tuple[LabUser, ...]:
    """Alice, Bob and Frank, all over TLS."""
    login = Login(Transport.TLS, certificate=True)
    return tuple(LabUser(name, login) for name in ("alice", "bob", "frank"))


async def soak(minutes: float, calls: int, unread: UnhandledErrors) -> dict[str, object]:
    """Run; the counts, and the two quiet moments after all calls."""
    unread.watch(asyncio.get_running_loop())
    with tempfile.TemporaryDirectory() as folder:
        config = LabConfig(users=users())
        async with LabServer(Path(folder) / "lab", config) as lab, Phone() as phone:
            accounts = [
                await phone.register(load_account(lab.accounts[user.name]).config)
                for user in config.users
            ]
            office = AgentSoak(*accounts, config.host)
            attending = [
                asyncio.create_task(office.attend(account, name))
                for account, name in ((office.bob, "bob"), (office.frank, "frank"))
            ]
            attending.append(asyncio.create_task(office.watch()))
            slots = [asyncio.create_task(office.slot(number)) for number in range(calls // 2)]
            began, rows = time.monotonic(), []
            while time.monotonic() - began < 60.0 * minutes:
                await asyncio.sleep(EVERY)
                rows.append(count(began, office))
                office.stalled = 0.0
                if len(rows) % 6 == 0:
                    print({k: v for k, v in rows[-1].items() if k != "kinds"}, flush=True)
            office.over.set()
            await asyncio.gather(*slots)
            await asyncio.sleep(LINGER)
            quiet = count(began, office)
            left = Counter(
                type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, OF_A_CALL)
            )
            for task in attending:
                task.cancel()
            await asyncio.gather(*attending, return_exceptions=True)
    gc.collect()
    return {"done": dict(office.done), "rows": rows, "quiet": quiet, "left": dict(left)}


def growth(rows: list[dict[str, object]], name: str) -> float:
    """The share by which a count grows in an hour, by a straight line through its last part."""
    kept = rows[len(rows) // 4 :]
    size = round(WINDOW / EVERY)
    windows = [kept[at : at + size] for at in range(0, len(kept) - size + 1, size)]
    if len(windows) < 3:
        return 0.0
    least = [min(window, key=lambda row: float(row[name])) for window in windows]
    places, values = ([float(row[key]) for row in least] for key in ("seconds", name))
    return statistics.linear_regression(places, values).slope * 3600.0 / statistics.mean(values)


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """Memory, objects and calls over time."""
    try:
        from matplotlib import pyplot
    except ImportError:
        print("no plot: pip install matplotlib")
        return
    figure, axes = pyplot.subplots(4, 1, sharex=True, figsize=(10, 10), layout="constrained")
    minutes = [float(row["seconds"]) / 60.0 for row in rows]
    for axis, (name, title) in zip(
        axes,
        (
            ("rss_mb", "RSS, MB"),
            ("objects", "objects known to the collector"),
            ("ours", "objects of softphone's types"),
            ("calls", "calls of the three accounts, both ends"),
        ),
        strict=True,
    ):
        axis.plot(minutes, [float(row[name]) for row in rows])
        axis.set_ylim(bottom=0)
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=90)


def main() -> int:
    """Run, judge, write, draw."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else CALLS
    settle_lists()
    unread = UnhandledErrors()
    found = asyncio.run(soak(minutes, calls, unread))
    rows, done = found["rows"], found["done"]
    grown = {name: round(growth(rows, name), 4) for name in ("rss_mb", "objects", "ours")}
    failures = {name: times for name, times in done.items() if name.startswith("failed")}
    lost = done.get("digits sent", 0) - done.get("digits heard", 0)
    record = {
        "bench": "soak_agents",
        "minutes": minutes,
        "calls": calls,
        "growth_an_hour": grown,
        "bound": GROWTH,
        "unread": dict(unread.found),
        "warned": dict(unread.warned),
        "digits_lost": lost,
        **found,
        **measured_on(),
    }
    print(json.dumps({k: v for k, v in record.items() if k != "rows"}, indent=1))
    folder = RESULTS if minutes >= MINUTES else Path(tempfile.gettempdir())
    (folder / "soak_agents.json").write_text(json.dumps(record) + "\n")
    draw(rows, folder / "soak_agents.png")
    bad = bool(unread.found) or bool(failures) or bool(found["left"]) or lost != 0
    return 1 if bad or max(grown.values()) > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
