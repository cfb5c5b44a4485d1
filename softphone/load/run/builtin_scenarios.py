"""The built-in scenarios."""

from __future__ import annotations

from softphone.call import IncomingCall
from softphone.errors import SoftphoneError
from softphone.load.run.scenario import Scenario, ScenarioRun
from softphone.load.run.user import TRIES

REINVITE_EVERY = 2.0
"""Seconds that a call is on hold, and then off hold."""


async def echo(run: ScenarioRun) -> None:
    """Call, and talk while the far end sends our audio back."""
    async with run.dial() as call:
        await run.talk(call)


async def answer(run: ScenarioRun, incoming: IncomingCall) -> None:
    """Ring, answer, and talk until the caller hangs up."""
    incoming.ring()
    async with run.answer(incoming) as call:
        await run.talk(call)


async def register_storm(run: ScenarioRun) -> None:
    """Register, stay for the hold time, and unregister; retry after a 503."""
    try:
        await run.register(tries=TRIES)
    except SoftphoneError:
        return  # it has been counted, with its cause
    await run.pause(run.seconds_left if run.seconds_left is not None else float("inf"))
    await run.unregister()


async def reinvite(run: ScenarioRun) -> None:
    """Put the far end on hold and resume it, again and again."""
    async with run.dial() as call:
        while not run.is_over:
            await run.talk(call, REINVITE_EVERY)
            if run.is_over or call.state.value != "confirmed":
                break
            await run.hold(call)
            await run.pause(REINVITE_EVERY)
            await run.resume(call)


BUILTIN_SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("echo", echo),
        Scenario("pair", echo, answer),
        Scenario("register-storm", register_storm, registers=False, once=True),
        Scenario("reinvite", reinvite),
        Scenario("churn", echo, hold="exponential:5"),
    )
}
