"""The scenarios that are ready by name."""

from __future__ import annotations

from softphone.call import IncomingCall
from softphone.errors import SoftphoneError
from softphone.load.run.scenario import Scenario, Turn
from softphone.load.run.user import TRIES

__all__ = ["READY"]

REINVITE_EVERY = 2.0
"""Seconds that a call is held, and that it is not."""


async def echo(turn: Turn) -> None:
    """Call, talk, and hear oneself."""
    async with turn.dial() as call:
        await turn.talk(call)


async def answer(turn: Turn, incoming: IncomingCall) -> None:
    """Ring, answer, and talk until the caller hangs up."""
    incoming.ring()
    async with turn.answer(incoming) as call:
        await turn.talk(call)


async def register_storm(turn: Turn) -> None:
    """Register, stay for the time of a call, and leave; who is turned away comes back."""
    try:
        await turn.register(tries=TRIES)
    except SoftphoneError:
        return  # it has been counted, with its cause
    await turn.pause(turn.left if turn.left is not None else float("inf"))
    await turn.unregister()


async def reinvite(turn: Turn) -> None:
    """Hold the far end and take it back, over and over."""
    async with turn.dial() as call:
        while not turn.over:
            await turn.talk(call, REINVITE_EVERY)
            if turn.over or call.state.value != "confirmed":
                break
            await turn.hold(call)
            await turn.pause(REINVITE_EVERY)
            await turn.resume(call)


READY: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("echo", echo),
        Scenario("pair", echo, answer),
        Scenario("register-storm", register_storm, registers=False, once=True),
        Scenario("reinvite", reinvite),
        Scenario("churn", echo, hold="exponential:5"),
    )
}
