"""`softphone demo`: the whole story on one screen, checked as it goes.

Two phones register over mutual TLS with the lab, call each other with SRTP keyed by SDES and hear
each other; a third phone in clear joins in, and the lock goes; it leaves, and the lock is back.
Each step is measured; one that does not hold ends the demo with exit code 1.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from softphone.account import Account, load_account
from softphone.call import Call
from softphone.cli.face import Face, security_line
from softphone.cli.run import DONE, FAILED
from softphone.events import SecurityChanged
from softphone.lab import LabServer
from softphone.media.endpoints import ToneSource
from softphone.media.pcm_ring import PcmRing
from softphone.media.tones import tone_level
from softphone.phone import Phone

__all__ = ["run_demo"]

TONES = {"alice": 440.0, "bob": 660.0, "carol": 880.0}
AUDIBLE = -30.0
"""dBm0; a tone is played at -13 and heard a little below."""
PATIENCE = 10.0
WHOLE_PATIENCE = 55.0


STORY = (
    "A call server and three phones in this process, talking over real sockets on loopback.\n"
    "alice and bob use TLS with client certificates; carol has neither TLS nor SRTP."
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


async def run_demo(face: Face) -> int:
    """Run the demo."""
    try:
        with tempfile.TemporaryDirectory(prefix="softphone-demo-") as folder:
            async with asyncio.timeout(WHOLE_PATIENCE), AsyncExitStack() as stack:
                lab = await stack.enter_async_context(LabServer(Path(folder)))
                face.event("step", STORY, step=0)
                with face.waiting("the demo is under way"):
                    await _story(face, lab, stack)
    except (Expectation, TimeoutError) as error:
        sentence = str(error) or f"the demo was not through within {WHOLE_PATIENCE:.0f} seconds"
        return face.failed(sentence, FAILED, result="failed")
    face.summary("All of it held.", result="completed", status=200, reason="all of it held")
    return DONE


async def _story(face: Face, lab: LabServer, stack: AsyncExitStack) -> None:
    phone = await stack.enter_async_context(Phone(tap=face.ladder))
    face.event("step", "\n1. alice and bob register over mutual TLS, carol over UDP", step=1)
    alice, bob, carol = [await _register(phone, lab, name) for name in TONES]
    _show_registrations(face, lab)

    face.event("step", "\n2. alice calls bob: SRTP, keys by SDES", step=2)
    await _connect(alice, bob)
    for party in (alice, bob):
        await _until_lock(party, True)
        _show(face, party)
    await _hear(face, alice, bob)
    await _hear(face, bob, alice)

    face.event("step", "\n3. carol, in clear over UDP, joins in", step=3)
    outgoing = await stack.enter_async_context(carol.account.dial("*5alice"))
    carol.call = await outgoing.answered(timeout=PATIENCE)
    carol.call.audio.play(ToneSource(TONES["carol"]))
    for party in (alice, bob, carol):
        await _until_lock(party, False)
        _show(face, party)
    await _hear(face, alice, carol)
    await _hear(face, carol, bob)

    face.event("step", "\n4. carol leaves", step=4)
    carol.talk.hangup()
    for party in (alice, bob):
        await _until_lock(party, True)
        _show(face, party)
    _show_statistics(face, alice, bob, carol)
    face.event("step", "\n5. alice hangs up", step=5)
    alice.talk.hangup()
    await asyncio.wait_for(bob.talk.ended(), PATIENCE)


async def _register(phone: Phone, lab: LabServer, name: str) -> Party:
    return Party(name, await phone.register(load_account(lab.accounts[name]).config))


def _show_registrations(face: Face, lab: LabServer) -> None:
    rows: list[tuple[str, ...]] = []
    for name, binding in lab.registered.items():
        identity = binding.flow.identity
        names = () if identity is None else identity.names
        certificate = next((n.removeprefix("uri:") for n in names if n.startswith("uri:")), None)
        rows.append(
            (
                name,
                binding.flow.transport.value,
                certificate or "none",
                "in clear" if identity is None else f"{identity.protocol} {identity.cipher}",
            )
        )
        face.event(
            "registered",
            user=name,
            transport=binding.flow.transport,
            certificate=certificate,
        )
    face.table("", ("user", "transport", "client certificate", "signaling"), rows)


async def _connect(caller: Party, callee: Party) -> None:
    async def answer() -> Call:
        async for incoming in callee.account.incoming():
            incoming.ring()
            return await incoming.answer()
        raise Expectation(f"nobody called {callee.name}")

    answering = asyncio.ensure_future(answer())
    try:
        outgoing = caller.account.dial(callee.name)
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
    """Record a second of what `listener` hears, and measure the speaker's tone in it."""
    ring = PcmRing(8000, seconds=2.0)
    listener.talk.audio.record(ring)
    tone = TONES[speaker.name]
    await ring.receive(2400)
    level = tone_level(await ring.receive(4000), tone, 8000)
    listener.talk.audio.record(None)
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
