"""`softphone demo`: the whole scenario on one screen, checked as it goes.

Three phones that know their names boot from the lab: trust lists, enrollment, encrypted
configuration, registration by the certificate that was issued.  Two of them call each other with
SRTP, by a number that is in the directory, and hear each other; the call is transferred to the
phone that is not secure, and the lock disappears; it is transferred back, and the lock returns.
Where Prosody is installed, two of them then exchange messages.  A check that fails ends the demo
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
from softphone.cli.console.output import CommandOutput, security_line
from softphone.cli.console.runner import FAILED
from softphone.cli.demo.boot import boot_from_name, show_boot
from softphone.cli.demo.directory_and_chat import exchange_messages, find_contact, open_directory
from softphone.cli.demo.options import DemoOptions
from softphone.cli.lab import has_chat
from softphone.events import PeerNamed, SecurityChanged
from softphone.lab import LabConfig, LabServer
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.phone import Phone

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


class DemoFailed(Exception):
    """A check of the demo failed."""


@dataclass(slots=True)
class DemoPhone:
    """One phone of the demo, in its call."""

    name: str
    account: Account
    call: Call | None = None

    @property
    def current_call(self) -> Call:
        """The phone's current call."""
        if self.call is None:
            raise DemoFailed(f"{self.name} is in no call")
        return self.call


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings about trust for the time of the context: the table shows them."""
    logger = logging.getLogger("softphone.trust")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


async def run_demo(output: CommandOutput, options: DemoOptions) -> int:
    """Run the demo."""
    begun = time.monotonic()
    try:
        with _quiet(), tempfile.TemporaryDirectory(prefix="softphone-demo-") as folder:
            config = LabConfig(files=True, tvs=True, directory=True, chat=has_chat())
            async with asyncio.timeout(WHOLE_PATIENCE), AsyncExitStack() as stack:
                lab = await stack.enter_async_context(LabServer(Path(folder) / "lab", config))
                output.event("step", STORY, step=0)
                with output.waiting("the demo is under way"):
                    await _story(output, lab, stack)
    except (DemoFailed, TimeoutError) as error:
        sentence = str(error) or f"the demo was not through within {WHOLE_PATIENCE:.0f} seconds"
        return output.failed(sentence, FAILED, result="failed")
    sentence = f"All of it held, in {time.monotonic() - begun:.0f} s."
    return output.done(sentence, status=200, reason="all of it held")


async def _story(output: CommandOutput, lab: LabServer, stack: AsyncExitStack) -> None:
    phone = await stack.enter_async_context(Phone(tap=output.ladder))
    output.event("step", "\n1. The phones boot from their bare names", step=1)
    alice, bob, carol = await _boot(output, lab, phone)

    sentence = "\n2. alice finds bob in the directory and calls him: SRTP, keys by SDES"
    output.event("step", sentence, step=2)
    await _connect(alice, bob, await _number(output, lab, phone, "bob"))
    await _names(output, alice, "Bob Example")
    await _names(output, bob, "Alice Example")
    await _see(output, True, alice, bob)
    await _check_audio(output, alice, bob)
    await _check_audio(output, bob, alice)

    output.event("step", "\n3. bob transfers alice to carol, who is not secure", step=3)
    await _transfer(bob, carol)
    await _see(output, False, alice, carol)
    await _check_audio(output, alice, carol)

    output.event("step", "\n4. carol transfers her back to bob", step=4)
    await _transfer(carol, bob)
    await _see(output, True, alice, bob)
    await _check_audio(output, alice, bob)
    _show_statistics(output, alice, bob, carol)
    alice.current_call.hangup()
    await asyncio.wait_for(bob.current_call.ended(), PATIENCE)
    if lab.chat is not None:
        output.event("step", "\n5. alice and bob write to each other, client to client", step=5)
        wrong = await exchange_messages(output, lab)
        if wrong is not None:
            raise DemoFailed(wrong)


async def _number(output: CommandOutput, lab: LabServer, phone: Phone, word: str) -> str:
    contact = await find_contact(output, open_directory(lab, phone), word)
    if contact is None:
        raise DemoFailed(f"the directory does not know {word}")
    return contact.numbers[0].text


async def _names(output: CommandOutput, party: DemoPhone, name: str) -> None:
    """Wait until a party shows the name of its far end."""

    async def named() -> None:
        async for event in party.current_call.events():
            if isinstance(event, PeerNamed) and event.name == name:
                return

    try:
        await asyncio.wait_for(named(), PATIENCE)
    except TimeoutError:
        raise DemoFailed(f"{party.name} does not see that it is {name}") from None
    sentence = f"   {party.name:>5} sees the name of the other end: {name}"
    output.event("name", sentence, user=party.name, name=name)


async def _boot(output: CommandOutput, lab: LabServer, phone: Phone) -> list[DemoPhone]:
    booted = [await boot_from_name(lab, phone, name, SCHEMES[name]) for name in TONES]
    show_boot(output, booted)
    return [DemoPhone(one.name, one.account) for one in booted]


async def _transfer(by: DemoPhone, to: DemoPhone) -> None:
    """Transfer the far end of one party's call to another party."""
    answering = asyncio.ensure_future(_answer(to))
    try:
        await asyncio.wait_for(by.current_call.transfer(f"sip:{to.name}@{HOST}"), PATIENCE)
        to.call = await asyncio.wait_for(answering, PATIENCE)
    finally:
        answering.cancel()
    to.current_call.audio.play(ToneSource(TONES[to.name]))


async def _answer(callee: DemoPhone) -> Call:
    async for incoming in callee.account.incoming():
        incoming.ring()
        return await incoming.answer()
    raise DemoFailed(f"nobody called {callee.name}")


async def _see(output: CommandOutput, lock: bool, *parties: DemoPhone) -> None:
    for party in parties:
        await _until_lock(party, lock)
        _show(output, party)


async def _connect(caller: DemoPhone, callee: DemoPhone, number: str) -> None:
    answering = asyncio.ensure_future(_answer(callee))
    try:
        outgoing = caller.account.dial(number)
        caller.call = await outgoing.answered(timeout=PATIENCE)
        callee.call = await asyncio.wait_for(answering, PATIENCE)
    finally:
        answering.cancel()
    for party in (caller, callee):
        party.current_call.audio.play(ToneSource(TONES[party.name]))


async def _until_lock(party: DemoPhone, shown: bool) -> None:
    """Wait until a party's lock is shown, or not shown any more."""

    async def change() -> None:
        async for event in party.current_call.events():
            if isinstance(event, SecurityChanged) and party.current_call.security.lock is shown:
                return

    if party.current_call.security.lock is shown:
        return
    try:
        await asyncio.wait_for(change(), PATIENCE)
    except TimeoutError:
        what = "the lock" if shown else "the lock to go"
        raise DemoFailed(f"{party.name} waited {PATIENCE:.0f} s for {what} in vain") from None


def _show(output: CommandOutput, party: DemoPhone) -> None:
    state = party.current_call.security
    output.event(
        "security",
        f"   {party.name:>5} sees {security_line(state)}",
        user=party.name,
        security=state,
    )


async def _check_audio(output: CommandOutput, listener: DemoPhone, speaker: DemoPhone) -> None:
    """Record what `listener` hears, and measure the speaker's tone in each half second of it.

    The first half second with the tone counts: the start of a stream, or a busy machine, may leave
    gaps in others.
    """
    ring = PcmRing(8000, seconds=2.0)
    listener.current_call.audio.record(ring)
    tone = TONES[speaker.name]
    await ring.read_exactly(2400)
    levels: list[float] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not levels or levels[-1] < AUDIBLE:
                levels.append(tone_level(await ring.read_exactly(4000), tone, 8000))
    listener.current_call.audio.record(None)
    level = max(levels, default=-math.inf)
    if level < AUDIBLE:
        raise DemoFailed(f"{listener.name} does not hear {speaker.name}: {level:.0f} dBm0")
    sentence = f"   {listener.name:>5} hears {speaker.name}'s {tone:.0f} Hz at {level:.1f} dBm0"
    output.event("heard", sentence, user=listener.name, tone_hz=tone, level_dbm0=round(level, 1))


def _show_statistics(output: CommandOutput, *parties: DemoPhone) -> None:
    rows: list[tuple[str, ...]] = []
    for party in parties:
        statistics = party.current_call.audio.statistics
        security = party.current_call.audio.security
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
        output.event("statistics", user=party.name, suite=suite, statistics=statistics)
        if statistics.packets_received == 0:
            raise DemoFailed(f"{party.name} received nothing")
    output.table("", ("user", "SRTP", "sent", "received", "lost", "jitter ms", "MOS"), rows)
