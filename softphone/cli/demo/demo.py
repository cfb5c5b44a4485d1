"""`softphone demo`: the whole story on one screen, checked as it goes.

Three phones that know their names boot from the lab: trust lists, enrollment, encrypted
configuration, registration by the certificate that was issued.  Two of them call each other with
SRTP, by a number that is in the directory, and hear each other; the call is transferred to the
phone that is not secure, and the lock goes; it is transferred back, and the lock is back.  Where
Prosody is installed, two of them write to each other at last.  What does not hold ends the demo
with exit code 1.
"""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from softphone.account import Account
from softphone.call import Call
from softphone.cli.console.output import Face, security_line
from softphone.cli.console.runner import DONE, FAILED
from softphone.cli.demo.boot import boot_from_name, show_boot
from softphone.cli.demo.directory_and_chat import chat, find, open_directory
from softphone.cli.lab import has_chat
from softphone.events import PeerNamed, SecurityChanged
from softphone.lab import LabConfig, LabServer
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.phone import Phone

__all__ = ["run_demo"]

TONES = {"alice": 440.0, "bob": 660.0, "carol": 880.0}
SCHEMES = {"alice": "http", "bob": "tftp", "carol": "http"}
HOST = LabConfig().host
AUDIBLE = -30.0
"""dBm0; a tone is played at -13 and heard a little below."""
PATIENCE = 10.0
WHOLE_PATIENCE = 55.0


STORY = (
    "A call server and three phones in this process, talking over real sockets on loopback.\n"
    "All that a phone knows is its name, the file server, and who signs the trust lists; "
    "alice and bob have a string to enroll with, too.  carol is not a secure device."
)


class Expectation(Exception):
    """Something that the demo promises did not hold."""


@dataclass(slots=True)
class Party:
    """One phone of the demo, in its call."""

    name: str
    account: Account
    call: Call | None = None

    @property
    def talk(self) -> Call:
        """Its call."""
        if self.call is None:
            raise Expectation(f"{self.name} is in no call")
        return self.call


@contextmanager
def _quiet() -> Iterator[None]:
    """The table says who was believed and why: no warning besides, for as long as it lasts."""
    logger = logging.getLogger("softphone.trust")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


async def run_demo(face: Face) -> int:
    """Run the demo."""
    begun = time.monotonic()
    try:
        with _quiet(), tempfile.TemporaryDirectory(prefix="softphone-demo-") as folder:
            config = LabConfig(files=True, tvs=True, directory=True, chat=has_chat())
            async with asyncio.timeout(WHOLE_PATIENCE), AsyncExitStack() as stack:
                lab = await stack.enter_async_context(LabServer(Path(folder) / "lab", config))
                face.event("step", STORY, step=0)
                with face.waiting("the demo is under way"):
                    await _story(face, lab, stack)
    except (Expectation, TimeoutError) as error:
        sentence = str(error) or f"the demo was not through within {WHOLE_PATIENCE:.0f} seconds"
        return face.failed(sentence, FAILED, result="failed")
    sentence = f"All of it held, in {time.monotonic() - begun:.0f} s."
    face.summary(sentence, result="completed", status=200, reason="all of it held")
    return DONE


async def _story(face: Face, lab: LabServer, stack: AsyncExitStack) -> None:
    phone = await stack.enter_async_context(Phone(tap=face.ladder))
    face.event("step", "\n1. The phones boot from their bare names", step=1)
    alice, bob, carol = await _boot(face, lab, phone)

    sentence = "\n2. alice finds bob in the directory and calls him: SRTP, keys by SDES"
    face.event("step", sentence, step=2)
    await _connect(alice, bob, await _number(face, lab, phone, "bob"))
    await _names(face, alice, "Bob Example")
    await _names(face, bob, "Alice Example")
    await _see(face, True, alice, bob)
    await _hear(face, alice, bob)
    await _hear(face, bob, alice)

    face.event("step", "\n3. bob transfers alice to carol, who is not secure", step=3)
    await _transfer(bob, carol)
    await _see(face, False, alice, carol)
    await _hear(face, alice, carol)

    face.event("step", "\n4. carol transfers her back to bob", step=4)
    await _transfer(carol, bob)
    await _see(face, True, alice, bob)
    await _hear(face, alice, bob)
    _show_statistics(face, alice, bob, carol)
    alice.talk.hangup()
    await asyncio.wait_for(bob.talk.ended(), PATIENCE)
    if lab.chat is not None:
        face.event("step", "\n5. alice and bob write to each other, client to client", step=5)
        wrong = await chat(face, lab)
        if wrong is not None:
            raise Expectation(wrong)


async def _number(face: Face, lab: LabServer, phone: Phone, word: str) -> str:
    contact = await find(face, open_directory(lab, phone), word)
    if contact is None:
        raise Expectation(f"the directory does not know {word}")
    return contact.numbers[0].text


async def _names(face: Face, party: Party, name: str) -> None:
    """Wait until a party sees who is at the other end."""

    async def named() -> None:
        async for event in party.talk.events():
            if isinstance(event, PeerNamed) and event.name == name:
                return

    try:
        await asyncio.wait_for(named(), PATIENCE)
    except TimeoutError:
        raise Expectation(f"{party.name} does not see that it is {name}") from None
    sentence = f"   {party.name:>5} sees the name of the other end: {name}"
    face.event("name", sentence, user=party.name, name=name)


async def _boot(face: Face, lab: LabServer, phone: Phone) -> list[Party]:
    booted = [await boot_from_name(lab, phone, name, SCHEMES[name]) for name in TONES]
    show_boot(face, booted)
    return [Party(one.name, one.account) for one in booted]


async def _transfer(by: Party, to: Party) -> None:
    """Transfer the far end of one party's call to another party."""
    answering = asyncio.ensure_future(_answer(to))
    try:
        await asyncio.wait_for(by.talk.transfer(f"sip:{to.name}@{HOST}"), PATIENCE)
        to.call = await asyncio.wait_for(answering, PATIENCE)
    finally:
        answering.cancel()
    to.talk.audio.play(ToneSource(TONES[to.name]))


async def _answer(callee: Party) -> Call:
    async for incoming in callee.account.incoming():
        incoming.ring()
        return await incoming.answer()
    raise Expectation(f"nobody called {callee.name}")


async def _see(face: Face, lock: bool, *parties: Party) -> None:
    for party in parties:
        await _until_lock(party, lock)
        _show(face, party)


async def _connect(caller: Party, callee: Party, number: str) -> None:
    answering = asyncio.ensure_future(_answer(callee))
    try:
        outgoing = caller.account.dial(number)
        caller.call = await outgoing.answered(timeout=PATIENCE)
        callee.call = await asyncio.wait_for(answering, PATIENCE)
    finally:
        answering.cancel()
    for party in (caller, callee):
        party.talk.audio.play(ToneSource(TONES[party.name]))


async def _until_lock(party: Party, shown: bool) -> None:
    """Wait until a party's lock is shown, or gone."""

    async def change() -> None:
        async for event in party.talk.events():
            if isinstance(event, SecurityChanged) and party.talk.security.lock is shown:
                return

    if party.talk.security.lock is shown:
        return
    try:
        await asyncio.wait_for(change(), PATIENCE)
    except TimeoutError:
        what = "the lock" if shown else "the lock to go"
        raise Expectation(f"{party.name} waited {PATIENCE:.0f} s for {what} in vain") from None


def _show(face: Face, party: Party) -> None:
    state = party.talk.security
    face.event(
        "security",
        f"   {party.name:>5} sees {security_line(state)}",
        user=party.name,
        security=state,
    )


async def _hear(face: Face, listener: Party, speaker: Party) -> None:
    """Record what `listener` hears, and measure the speaker's tone in each half second of it.

    The first that has the tone is taken: the start of a stream, or a machine that is busy with
    other things, may leave gaps in one.
    """
    ring = PcmRing(8000, seconds=2.0)
    listener.talk.audio.record(ring)
    tone = TONES[speaker.name]
    await ring.read_exactly(2400)
    levels: list[float] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not levels or levels[-1] < AUDIBLE:
                levels.append(tone_level(await ring.read_exactly(4000), tone, 8000))
    listener.talk.audio.record(None)
    level = max(levels, default=-math.inf)
    if level < AUDIBLE:
        raise Expectation(f"{listener.name} does not hear {speaker.name}: {level:.0f} dBm0")
    sentence = f"   {listener.name:>5} hears {speaker.name}'s {tone:.0f} Hz at {level:.1f} dBm0"
    face.event("heard", sentence, user=listener.name, tone_hz=tone, level_dbm0=round(level, 1))


def _show_statistics(face: Face, *parties: Party) -> None:
    rows: list[tuple[str, ...]] = []
    for party in parties:
        statistics = party.talk.audio.statistics
        security = party.talk.audio.security
        suite = None if security is None or security.suite is None else security.suite.value
        rows.append(
            (
                party.name,
                suite or "in clear",
                str(statistics.packets_sent),
                str(statistics.packets_received),
                str(statistics.cumulative_lost),
                f"{statistics.interarrival_jitter_ms:.2f}",
                "-" if statistics.mos is None else f"{statistics.mos:.2f}",
            )
        )
        face.event("statistics", user=party.name, suite=suite, statistics=statistics)
        if statistics.packets_received == 0:
            raise Expectation(f"{party.name} received nothing")
    face.table("", ("user", "SRTP", "sent", "received", "lost", "jitter ms", "MOS"), rows)
