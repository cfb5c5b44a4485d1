"""A held far end hears a source of the network, over real sockets, and we hear neither."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.events import CallState, Direction, MusicOnHoldFailed
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import SrtpPolicy
from tests.end_to_end.test_lab_calls import AUDIBLE_DBM0, level_heard
from tests.support.calling import answer_one
from tests.support.direct import address_of, clear, secure
from tests.support.waiting import PATIENCE, until

MUSIC_HZ, TALK_HZ = 350.0, 660.0
ELSEWHERE = "127.0.0.2"
"""The source's host: in clear, a far end tells it from us by its address."""


async def hears(call, frequency):
    """Wait until a call hears a tone: the change to another source takes a moment."""
    async with asyncio.timeout(PATIENCE):
        while await level_heard(call, frequency) < AUDIBLE_DBM0:
            pass


async def play(account, calls):
    """Answer each call with hold music."""
    async for incoming in account.incoming():
        call = await incoming.answer()
        call.audio.play(ToneSource(MUSIC_HZ))
        calls.append(call)


class Held:
    """Alice calls Bob, and the music is at a third phone: no server, three sets of sockets."""

    def __init__(self, call, other, bob, music):
        self.call, self.other, self.bob, self.music = call, other, bob, music

    async def failed(self):
        async with asyncio.timeout(PATIENCE):
            async for event in self.call.events():
                if isinstance(event, MusicOnHoldFailed):
                    return event.reason


@pytest.fixture
async def held_call(tmp_path):
    """`await held_call(srtp)`: a call that is up, and the phone with its music."""
    tasks = []
    async with Phone() as alices, Phone() as bobs, Phone() as sources:

        async def connect(srtp=SrtpPolicy.REQUIRED, *, source=None):
            bob = await bobs.register(secure(tmp_path, "bob", srtp))
            music = await sources.register(
                source or secure(tmp_path, "music", srtp, host=ELSEWHERE)
            )
            config = secure(tmp_path, "alice", srtp, music_on_hold=address_of(music))
            alice = await alices.register(config)
            calls = []
            tasks.append(asyncio.create_task(play(music, calls)))
            answering = asyncio.create_task(answer_one(bob))
            call = await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
            other = await asyncio.wait_for(answering, PATIENCE)
            return Held(call, other, bob, calls)

        yield connect
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("srtp", [SrtpPolicy.REQUIRED, SrtpPolicy.OFF])
async def test_the_far_end_hears_the_source_and_then_us_again(held_call, srtp):
    held = await held_call(srtp)
    call, other = held.call, held.other
    call.audio.play(ToneSource(TALK_HZ))
    await hears(other, TALK_HZ)
    own = call.security
    await call.hold()
    await until(lambda: held.music)
    (music,) = held.music
    assert call.held
    assert call.audio.direction is Direction.INACTIVE
    await hears(other, MUSIC_HZ)
    # The two talk to each other, not by way of us.
    assert other._leg.stream_spec.remote == (ELSEWHERE, music._leg.stream.rtp_port)
    assert music._leg.stream_spec.remote[1] == other._leg.stream.rtp_port
    assert call.security.by_word
    assert (call.security.media[0].suite is None) == (srtp is SrtpPolicy.OFF)
    assert call.security.lock == own.lock
    await call.resume()
    async with asyncio.timeout(PATIENCE):
        await music.ended()
    await hears(other, TALK_HZ)
    other.audio.play(ToneSource(TALK_HZ))
    await hears(call, TALK_HZ)
    assert call.security == own
    call.hangup()


async def test_a_hold_without_music_plays_what_we_play(held_call):
    held = await held_call()
    held.call.audio.play(ToneSource(TALK_HZ))
    await held.call.hold(music=False)
    assert held.call.audio.direction is Direction.SENDONLY
    await hears(held.other, TALK_HZ)
    assert not held.music


async def test_a_source_over_a_connection_in_clear_is_not_called_from_a_secure_call(held_call):
    held = await held_call(SrtpPolicy.OPTIONAL, source=clear("music", SrtpPolicy.OFF))
    await held.call.hold()
    assert "not protected by TLS" in await held.failed()
    assert held.call.audio.direction is Direction.SENDONLY
    assert not held.music


async def test_the_source_is_left_when_the_far_end_is_transferred(held_call, tmp_path):
    held = await held_call()
    async with Phone() as carols:
        carol = await carols.register(secure(tmp_path, "carol", SrtpPolicy.REQUIRED))
        await held.call.hold()
        await until(lambda: held.music)
        moving = asyncio.create_task(held.call.transfer(address_of(carol)))
        await until(lambda: held.other.transfer_requested)
        answering = asyncio.create_task(answer_one(carol))
        await held.bob.accept_transfer(held.other).answered(timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await answering
            await moving
            await held.music[0].ended()


async def test_the_lab_plays_its_music_to_its_other_leg(lab):
    """The lab's 602 offers, its leg at 600 answers: both ends are the lab's, the keys, too."""
    async with Phone() as alices:
        config = load_account(lab.accounts["alice"]).config
        alice = await alices.register(replace(config, music_on_hold="602"))
        async with alice.dial("600") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            legs = set(lab._calls._legs)
            await call.hold()
            assert call.audio.direction is Direction.INACTIVE
            (source,) = set(lab._calls._legs) - legs
            (far,) = legs
            before = far.statistics.packets_received
            await until(lambda: far.statistics.packets_received > before + 20)
            assert far.stream_spec.remote[1] == source.stream.rtp_port
            await call.resume()
            await until(lambda: source.state is CallState.TERMINATED)
            call.audio.play(ToneSource(TALK_HZ))
            await hears(call, TALK_HZ)
