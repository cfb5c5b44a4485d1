"""The process that makes the calls of a Locust process: reads steps, reports what came of each.

    python -m softphone.load.locust.call_process

Standard input has a plan first, then `do` (a number, a step and its arguments) and `cancel` (the
number of a step); standard output has `ready`, `done`, `failed`, and `over` at the end, with the
reasons why the figures say nothing of the target.  The end of the input ends all calls, removes
the bindings and ends the process.  `softphone.load.locust.process_client` starts it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from softphone.call import Call
from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError
from softphone.events import CallState
from softphone.load.distribute.worker import SendLine, open_input, write_line
from softphone.load.distribute.worker_channel import decode_line, encode_line
from softphone.load.measure import RunSecond, failure_cause
from softphone.load.plan import CLEAR, LoadPlan
from softphone.load.run import Runner, Scenario, ScenarioRun, relaxed_garbage_collection
from softphone.load.run.call_tracker import BYE_PATIENCE
from softphone.load.run.user import TRIES, LoadUser

logger = logging.getLogger("softphone.load")


async def _no_scenario(run: ScenarioRun) -> None:
    """No scenario: the steps that are read replace it."""


LOCUST_SCENARIO = Scenario("locust", _no_scenario, registers=False, echoes=False)


@dataclass(slots=True)
class _LiveCall:
    """A call that is up; `end_step` is the number of the step that ends it, None without one."""

    run: ScenarioRun
    call: Call
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    end_step: int | None = None


class CallServer(Runner):
    """A runner whose calls are begun and ended by steps, not by a schedule.

    `say` sends a line.  `run_share` runs until `stop_run`, as that of its base.
    """

    def __init__(self, plan: LoadPlan, say: SendLine) -> None:
        super().__init__(plan, on_second=_no_report, scenario=LOCUST_SCENARIO)
        self._say = say
        self._steps: dict[int, asyncio.Task[None]] = {}
        self._live: dict[int, _LiveCall] = {}
        self._causes: dict[str, str] = {}
        self._holders: Counter[int] = Counter()
        self._turns: dict[int, asyncio.Lock] = {}
        self._handlers: Mapping[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
            "register": self._register_user,
            "unregister": self._unregister_user,
            "talk": self._talk,
            "digits": self._send_digits,
            "hold": self._hold,
            "resume": self._resume,
            "transfer": self._transfer,
        }

    async def _arrive(self) -> None:
        """Begin no call: steps do."""

    def _note_failure(self, call_id: str, cause: str) -> None:
        super()._note_failure(call_id, cause)
        if not self._causes.get(call_id, "-"):
            self._causes[call_id] = cause

    def stop_run(self) -> None:
        """End all calls, and the run."""
        for live in self._live.values():
            live.ending.set()
        super().stop_run()

    # Steps --------------------------------------------------------------------------------------

    def obey(self, kind: str, value: Any) -> None:
        """Carry out one line.  Raises ValueError for one that is unknown."""
        if kind == "cancel":
            self._cancel(int(value))
        elif kind == "do":
            number, step, arguments = value
            self._begin(int(number), step, arguments)
        else:
            raise ValueError(f"there is no line {kind!r}")

    def _begin(self, number: int, step: str, arguments: dict[str, Any]) -> None:
        if step == "end":
            self._end(number, **arguments)
            return
        if step == "dial":
            work = self._run_call(number, **arguments)
        elif step in self._handlers:
            work = self._report(number, step, arguments)
        else:
            raise ValueError(f"there is no step {step!r}")
        self._steps[number] = task = self._spawn(work, self._scenario_tasks)
        task.add_done_callback(lambda _: self._steps.pop(number, None))

    def _cancel(self, number: int) -> None:
        """Cancel a step; a call that has just been answered is ended."""
        if number in self._live:
            self._live[number].ending.set()
        elif number in self._steps:
            self._steps[number].cancel()

    async def _report(self, number: int, step: str, arguments: dict[str, Any]) -> None:
        """Run a step, and say what came of it."""
        try:
            self._say("done", [number, await self._handlers[step](**arguments)])
        except Exception as error:
            self._say_failed(number, error)

    def _say_failed(self, number: int, error: Exception) -> None:
        if not isinstance(error, SoftphoneError):
            logger.error("a step has failed", exc_info=error)
        self._say("failed", [number, {"cause": failure_cause(error), "text": str(error)}])

    def _user_of(self, number: int) -> LoadUser:
        return self._users[number]

    async def _register_user(self, user: int) -> dict[str, Any]:
        """Register an account, for the first of those who share it."""
        found = self._user_of(user)
        async with self._turns.setdefault(user, asyncio.Lock()):
            if found.is_registered:
                self._holders[user] += 1
                return {"ms": None}
            begun = self._clock()
            await found.register(tries=TRIES)
            self._holders[user] += 1
            return {"ms": (self._clock() - begun) * 1e3}

    async def _unregister_user(self, user: int) -> dict[str, Any]:
        """Close an account with the last of those who share it."""
        async with self._turns.setdefault(user, asyncio.Lock()):
            self._holders[user] -= 1
            if self._holders[user] <= 0:
                del self._holders[user]
                await self._user_of(user).close()
        return {}

    # Calls --------------------------------------------------------------------------------------

    async def _run_call(self, number: int, user: int, target: str) -> None:
        """Make a call, and say that it was answered; end it when that is asked for."""
        run = self._make_scenario_run(self._user_of(user), number)
        begun = self._clock()
        live: _LiveCall | None = None
        call_id = ""
        bye_ms: float | None = None
        try:
            async with run.dial(target) as call:
                setup_ms = (self._clock() - begun) * 1e3
                call_id = call.id
                self._causes[call_id] = ""
                live = self._live[number] = _LiveCall(run, call)
                self._say("done", [number, {"ms": setup_ms, "suite": _suite_of(call)}])
                await live.ending.wait()
                bye_ms = await self._hang_up(live)
        except Exception as error:
            if live is not None:
                raise
            self._say_failed(number, error)
        finally:
            self._live.pop(number, None)
            cause = self._causes.pop(call_id, "")
            if live is not None and live.end_step is not None:
                figures = _figures_of(live.call) | {"bye_ms": bye_ms, "cause": cause}
                self._say("done", [live.end_step, figures])

    async def _hang_up(self, live: _LiveCall) -> float | None:
        """End the call; returns the milliseconds from our BYE to its answer, None without one."""
        if live.call.state is not CallState.CONFIRMED:
            return None
        begun = self._clock()
        live.run.hang_up(live.call)
        await live.call.await_bye_answer(BYE_PATIENCE)
        return (self._clock() - begun) * 1e3

    def _end(self, number: int, call: int) -> None:
        """End a call; its own task says with which figures."""
        live = self._live.get(call)
        if live is None:
            self._say_failed(number, LocalProtocolError("this call is over"))
            return
        live.end_step = number
        live.ending.set()

    def _live_call(self, number: int) -> _LiveCall:
        live = self._live.get(number)
        if live is None or live.call.state is not CallState.CONFIRMED:
            raise LocalProtocolError("this call is over")
        return live

    async def _talk(self, call: int, seconds: float) -> dict[str, Any]:
        live = self._live_call(call)
        await live.run.talk(live.call, seconds)
        return {"up": live.call.state is CallState.CONFIRMED}

    async def _send_digits(self, call: int, digits: str) -> dict[str, Any]:
        live = self._live_call(call)
        begun = self._clock()
        await live.run.digits(live.call, digits)
        return {"ms": (self._clock() - begun) * 1e3}

    async def _hold(self, call: int) -> dict[str, Any]:
        live = self._live_call(call)
        begun = self._clock()
        await live.run.hold(live.call)
        return {"ms": (self._clock() - begun) * 1e3}

    async def _resume(self, call: int) -> dict[str, Any]:
        live = self._live_call(call)
        begun = self._clock()
        await live.run.resume(live.call)
        return {"ms": (self._clock() - begun) * 1e3}

    async def _transfer(self, call: int, target: str) -> dict[str, Any]:
        live = self._live_call(call)
        begun = self._clock()
        await live.run.transfer(live.call, target)
        return {"ms": (self._clock() - begun) * 1e3}


def _no_report(second: RunSecond) -> None:
    """Drop a second: Locust counts the steps itself."""


def _suite_of(call: Call) -> str:
    """The SRTP suite of a call, or "clear"."""
    media = call.security.media
    suite = media[0].suite if media else None
    return CLEAR if suite is None else suite.value


def _figures_of(call: Call) -> dict[str, Any]:
    """The quality of a whole call; `mos` is None when nothing was received."""
    last = call.audio.statistics
    return {
        "mos": last.mos,
        "jitter_ms": last.interarrival_jitter_ms,
        "loss_percent": 100.0 * last.fraction_lost,
        "octets": last.octets_received,
    }


async def serve(reader: asyncio.StreamReader, say: SendLine = write_line) -> int:
    """Make calls by the steps from `reader`, reporting by `say`; returns the exit code."""
    kind, value = decode_line(await reader.readline() or encode_line("nothing"))
    if kind != "plan":
        say("refused", f"expected a plan, got {kind}")
        return 2
    try:
        async with CallServer(LoadPlan.from_plain(value), say) as server:
            say("ready")
            with relaxed_garbage_collection():
                running = asyncio.ensure_future(server.run_share())
                try:
                    while line := await reader.readline():
                        server.obey(*decode_line(line))
                finally:
                    server.stop_run()
                    outcome = await running
        say("over", list(outcome.invalid_because))
    except SoftphoneError as error:
        say("refused", str(error))
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


async def main() -> int:
    """Serve standard input and output."""
    return await serve(await open_input())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
