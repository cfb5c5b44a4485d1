"""Scenarios: what one user does, as an async function that gets a `ScenarioRun`.

    async def caller(run: ScenarioRun) -> None:
        async with run.dial() as call:          # measured: set-up, cause of failure
            await run.talk(call, 2.0)
            await run.digits(call, "12#")
            await run.hold(call)
            await run.resume(call)
            await run.talk(call)                # to the end of the call's time

    scenario = Scenario("mine", caller)

Leaving the block hangs up.  `softphone load run --scenario FILE.py:scenario` runs it.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from softphone.call import Call, IncomingCall
from softphone.errors import ConfigurationError
from softphone.load.run.call_tracker import CallTracker
from softphone.load.run.user import LoadUser


class ScenarioError(Exception):
    """The scenario asks for something impossible: a fault of its own, not of the far end."""


class ScenarioRun:
    """One run of a scenario by one user; `number` is that of its arrival.

    `partner` is the address of the callee in scenarios with two sides.  `says` and `hears` are the
    numbers of the audio that is played and that should come back; None when it is unknown.
    """

    def __init__(
        self,
        user: LoadUser,
        calls: CallTracker,
        number: int,
        *,
        partner: str = "",
        says: int | None = None,
        hears: int | None = None,
        waited: float = 0.0,
    ) -> None:
        """The runner makes the runs, and calls the scenario's functions with them.

        :meta private:
        """
        self.user = user
        self._says = number if says is None else says
        self._hears = hears
        self.number = number
        self.partner = partner
        self._calls = calls
        self._seconds = calls.holding_time.seconds_of_call(number)
        self._begun = calls.clock()
        # When the schedule had it; of several calls in one run only the first was due then.
        self._due: float | None = self._begun - waited

    async def register(self, *, tries: int = 1) -> None:
        """Connect and register.  Counts the attempt; raises what `Phone.register` does.

        With `tries` above 1, tries again after a 503 and its Retry-After, unless the run ends
        before.
        """
        await self.user.register(tries=tries, pause=self._pause)

    async def unregister(self) -> None:
        """Remove the binding and close the connection."""
        await self.user.close()

    @asynccontextmanager
    async def dial(self, target: str | None = None) -> AsyncIterator[Call]:
        """Call `target`, or by default the run's target; the block is entered on answer.

        When the call is not answered, counts the failure and raises CallError or a subclass.
        Raises ScenarioError when there is no target, or no account to call from.
        """
        where = target or self.partner or self._calls.target
        if not where:
            raise ScenarioError("it calls somebody: give --target")
        if not self.user.is_registered:
            raise ScenarioError("it dials before `run.register()`, or after `run.unregister()`")
        hears = self._hears if where == self.partner or not self.partner else None
        outgoing = self.user.account.dial(where)
        due, self._due = self._due, None
        async with self._calls.track_outgoing(outgoing, self._says, hears, due=due) as call:
            # The call's time counts from its answer.
            self._begun = self._calls.clock()
            yield call

    @asynccontextmanager
    async def answer(self, incoming: IncomingCall) -> AsyncIterator[Call]:
        """Answer an incoming call; the block is entered when it is up."""
        async with self._calls.track_incoming(incoming, self._says, self._hears) as call:
            yield call

    async def talk(self, call: Call, seconds: float | None = None) -> None:
        """Talk for `seconds`, or the rest of the call's time; returns early when the call ends."""
        if seconds is None:
            seconds = self.seconds_left
        await self._calls.stay_in_call(call, seconds)

    @property
    def seconds_left(self) -> float | None:
        """The rest of the call's time in seconds; None: until the end of the run."""
        if self._seconds is None:
            return None
        return max(0.0, self._begun + self._seconds - self._calls.clock())

    @property
    def is_over(self) -> bool:
        """Whether the run, or the call's time, is over."""
        return self._calls.run_end.is_set() or self.seconds_left == 0.0

    async def digits(self, call: Call, digits: str) -> None:
        """Send DTMF digits; returns when they have been sent."""
        await call.send_digits(digits)

    async def hold(self, call: Call) -> None:
        """Put the far end on hold.  Raises CallError when it refuses."""
        await call.hold()

    async def resume(self, call: Call) -> None:
        """Resume the call.  Raises CallError when the far end refuses."""
        await call.resume()
        self._calls.expect_media(call)

    async def transfer(self, call: Call, target: str) -> None:
        """Transfer the far end, which ends our call.  Raises CallError when it is refused."""
        self._calls.ending(call)
        await call.transfer(target)

    def hang_up(self, call: Call) -> None:
        """End a call; leaving its block does the same."""
        self._calls.ending(call)
        call.hangup()

    async def pause(self, seconds: float) -> None:
        """Wait for `seconds`, at most until the end of the run."""
        await self._pause(seconds)

    async def _pause(self, seconds: float) -> bool:
        """Wait likewise; returns whether the run still goes on."""
        try:
            async with asyncio.timeout(seconds):
                await self._calls.run_end.wait()
        except TimeoutError:
            return True
        return False


CallerFunction: TypeAlias = Callable[[ScenarioRun], Awaitable[None]]
CalleeFunction: TypeAlias = Callable[[ScenarioRun, IncomingCall], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What callers do, and what callees do when there is a `callee`.

    With a callee, every second user is one, and each caller calls the user after it.  With
    `registers` false, users are not registered before calls begin.  With `once`, every user runs
    the scenario once.  `echoes` says that it is known what comes back: without a callee the
    caller's own audio, with one the audio of the other side.  `hold` is the hold time unless the
    plan has one.
    """

    name: str
    caller: CallerFunction
    callee: CalleeFunction | None = None
    registers: bool = True
    once: bool = False
    echoes: bool = True
    hold: str = "run"


def load_scenario(text: str, ready: dict[str, Scenario]) -> Scenario:
    """Return a scenario from `ready`, or the object NAME of FILE.py.  Raises ConfigurationError."""
    if text in ready:
        return ready[text]
    file, _, name = text.rpartition(":")
    if not file.endswith(".py"):
        raise ConfigurationError(
            f"scenario {text!r} is unknown; ready are {', '.join(ready)}, or give FILE.py:NAME"
        )
    found = object_of_file(Path(file), name)
    if callable(found) and not isinstance(found, Scenario):
        found = Scenario(name, found)
    if not isinstance(found, Scenario):
        raise ConfigurationError(f"{file} has no Scenario, or async function, named {name!r}")
    return found


def object_of_file(path: Path, name: str) -> object:
    """Run a Python file and return an object of it by name, None without it.

    Raises ConfigurationError.
    """
    spec = importlib.util.spec_from_file_location(f"softphone_scenario_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigurationError(f"scenario: there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigurationError(f"{path} cannot be loaded: {error!r}") from error
    found: object = getattr(module, name, None)
    return found
