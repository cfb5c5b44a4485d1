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
    """A scenario asks for what cannot be: it is to be mended, and the far end has no part in it."""


class ScenarioRun:
    """One run of a scenario by one user; `number` is that of its arrival.

    `partner` is the address of the user that is called, in scenarios with two sides.  `says` and
    `hears` are the numbers of what is said and what should come back, None where nobody knows.
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
    ) -> None:
        self.user = user
        self._says = number if says is None else says
        self._hears = hears
        self.number = number
        self.partner = partner
        self._calls = calls
        self._seconds = calls.holding_time.seconds_of_call(number)
        self._begun = calls.clock()

    async def register(self, *, tries: int = 1) -> None:
        """Connect and register.  Raises what `Phone.register` does; it is counted.

        With more `tries` a registrar that says 503 is asked again, when it has said, until the end
        of the run.
        """
        await self.user.register(tries=tries, pause=self._pause)

    async def unregister(self) -> None:
        """Take the binding away and close the connection."""
        await self.user.close()

    @asynccontextmanager
    async def dial(self, target: str | None = None) -> AsyncIterator[Call]:
        """Call `target`, or the run's; the block is entered when it is answered.

        Raises CallError or a subclass, by cause, when it is not; that is counted.
        Raises ScenarioError when there is nobody to call, or to call with.
        """
        where = target or self.partner or self._calls.target
        if not where:
            raise ScenarioError("it calls somebody: give --target")
        if not self.user.is_registered:
            raise ScenarioError("it dials before `run.register()`, or after `run.unregister()`")
        hears = self._hears if where == self.partner or not self.partner else None
        outgoing = self.user.account.dial(where)
        async with self._calls.track_outgoing(outgoing, self._says, hears) as call:
            # What a call lasts counts from its answer.
            self._begun = self._calls.clock()
            yield call

    @asynccontextmanager
    async def answer(self, incoming: IncomingCall) -> AsyncIterator[Call]:
        """Answer a call that came in; the block is entered when it is up."""
        async with self._calls.track_incoming(incoming, self._says, self._hears) as call:
            yield call

    async def talk(self, call: Call, seconds: float | None = None) -> None:
        """Talk for `seconds`, or to the end of the call's time; back at once when it has ended."""
        if seconds is None:
            seconds = self.seconds_left
        await self._calls.stay_in_call(call, seconds)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that are left of the call's time; None: until the end of the run."""
        if self._seconds is None:
            return None
        return max(0.0, self._begun + self._seconds - self._calls.clock())

    @property
    def is_over(self) -> bool:
        """Whether the run, or the call's time, is over."""
        return self._calls.run_end.is_set() or self.seconds_left == 0.0

    async def digits(self, call: Call, digits: str) -> None:
        """Send digits; returns when they have been said."""
        await call.send_digits(digits)

    async def hold(self, call: Call) -> None:
        """Hold the far end.  Raises CallError when it refuses."""
        await call.hold()

    async def resume(self, call: Call) -> None:
        """Take the far end back.  Raises CallError when it refuses."""
        await call.resume()

    async def transfer(self, call: Call, target: str) -> None:
        """Transfer the far end, which ends our call.  Raises CallError when it is refused."""
        self._calls.ending(call)
        await call.transfer(target)

    def hang_up(self, call: Call) -> None:
        """End a call; leaving its block does the same."""
        self._calls.ending(call)
        call.hangup()

    async def pause(self, seconds: float) -> None:
        """Wait, at most to the end of the run."""
        await self._pause(seconds)

    async def _pause(self, seconds: float) -> bool:
        """Whether the run goes on after it."""
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
    """What callers do and, where there is a `callee`, what those do whom they call.

    With a callee every second user is one, and each caller calls the user after it.  With
    `registers` off, users are not registered before calls begin.  With `once` every user runs
    it once.  `echoes` says that it is known what comes back: to a caller what it says, and where
    there is a callee, to each side what the other says.  `hold` is how long calls last where
    nobody says otherwise.
    """

    name: str
    caller: CallerFunction
    callee: CalleeFunction | None = None
    registers: bool = True
    once: bool = False
    echoes: bool = True
    hold: str = "run"


def load_scenario(text: str, ready: dict[str, Scenario]) -> Scenario:
    """A ready scenario by name, or the object NAME of FILE.py.  Raises ConfigurationError."""
    if text in ready:
        return ready[text]
    file, _, name = text.rpartition(":")
    if not file.endswith(".py"):
        raise ConfigurationError(
            f"scenario {text!r} is unknown; ready are {', '.join(ready)}, or give FILE.py:NAME"
        )
    path = Path(file)
    spec = importlib.util.spec_from_file_location(f"softphone_scenario_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigurationError(f"scenario {text!r}: there is no file {file}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigurationError(f"{file} cannot be loaded: {error!r}") from error
    found = getattr(module, name, None)
    if callable(found) and not isinstance(found, Scenario):
        found = Scenario(name, found)
    if not isinstance(found, Scenario):
        raise ConfigurationError(f"{file} has no Scenario, or async function, named {name!r}")
    return found
