"""A stage whose parties are recorded: messages, events of calls, and commands to the media."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from softphone.call import IncomingLeg, OutgoingLeg
from softphone.media.interface import StreamHandle, StreamSpec
from softphone.sip.endpoint_config import EndpointConfig
from tests.golden.transcript import Transcript, Watch, record
from tests.support.media_port import RecordingPort
from tests.support.stage import Party, Stage

Leg = IncomingLeg | OutgoingLeg


def awaited(script: Callable[[], Coroutine[Any, Any, str]]) -> Callable[[], str]:
    """A script that needs a running loop, as one that needs none."""
    return lambda: asyncio.run(script())


class MediaProbe:
    """Writes every command that a recording port was given."""

    def __init__(self, transcript: Transcript, name: str, port: RecordingPort) -> None:
        self._transcript = transcript
        self._name = name
        self._port = port
        self._written = 0
        self._opened: dict[StreamHandle, int] = {}
        transcript.probes.append(self.look)

    def look(self) -> None:
        """Write what is new."""
        while self._written < len(self._port.commands):
            what, handle, *more = self._port.commands[self._written]
            self._written += 1
            if what == "open":
                more = [self._spec(handle)]
            shown = " ".join(self._transcript.dump.value(each) for each in (handle, *more))
            self._transcript.write(self._name, f"media {what} {shown}")

    def _spec(self, handle: StreamHandle) -> StreamSpec:
        count = self._opened.get(handle, 0)
        self._opened[handle] = count + 1
        specs: list[StreamSpec] = self._port.opened[handle]
        return specs[count]


class LegProbe:
    """Watches the events of each leg of a party, as they come to be."""

    def __init__(self, transcript: Transcript, party: Party) -> None:
        self._transcript = transcript
        self._party = party
        self._seen = 0
        self._states: dict[int, str] = {}
        transcript.probes.append(self.look)

    def look(self) -> None:
        """Watch legs that are new, and write states that have changed."""
        legs: list[Leg] = self._party.legs
        for number, leg in enumerate(legs, start=1):
            name = f"{self._party.name} call {number}"
            if number > self._seen:
                self._seen = number
                Watch(self._transcript, name, _told(leg))
            state = self._transcript.dump.value(leg.state)
            if self._states.get(number) != state:
                self._states[number] = state
                self._transcript.write(name, f"state {state}")


def _told(leg: Leg) -> Callable[[], list[object]]:
    return lambda: list(leg.event_queue._events)


def recorded_stage(
    *, seed: int = 1, config: EndpointConfig | None = None
) -> tuple[Stage, Transcript]:
    """Two parties that are recorded."""
    stage = Stage(seed=seed, config=config)
    transcript = Transcript(lambda: stage.now)
    for name, party in stage.parties.items():
        transcript.write(name, f"has {transcript.dump.flow(stage.flows[name])}")
        record(party.endpoint, transcript, name)
        LegProbe(transcript, party)
        MediaProbe(transcript, name, party.port)
    return stage, transcript


async def turn(stage: Stage, seconds: float) -> None:
    """Let time pass, with the loop's turns that tasks need before and after."""
    for _ in range(10):
        await asyncio.sleep(0)
    stage.run(seconds)
    for _ in range(10):
        await asyncio.sleep(0)


async def done(
    stage: Stage, transcript: Transcript, what: str, work: Awaitable[object], seconds: float = 1.0
) -> None:
    """Let a command of the application run, and write how it ended."""
    task = asyncio.ensure_future(work)
    await turn(stage, seconds)
    for _ in range(200):
        await asyncio.sleep(0)
    if not task.done():
        transcript.write("application", f"{what}: still waits")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    elif (failure := task.exception()) is not None:
        transcript.write("application", f"{what}: {transcript.dump.value(failure)}")
    else:
        transcript.write("application", f"{what}: {transcript.dump.value(task.result())}")


def finish(stage: Stage, transcript: Transcript, seconds: float = 40.0) -> str:
    """Hang up what is up, let what is left happen, and write how secure each call was."""
    for party in stage.parties.values():
        for leg in party.legs:
            leg.hang_up()
    stage.run(seconds)
    transcript.probe()
    for name, party in stage.parties.items():
        for number, leg in enumerate(party.legs, start=1):
            shown = (leg.security, leg.peer, leg.refused, leg.explanation, leg.failure)
            transcript.write(f"{name} call {number}", f"end {transcript.dump.value(shown)}")
    return transcript.text
