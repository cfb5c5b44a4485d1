"""A source of hold music (RFC 7088) gets no key of the call, and nothing of it stays in the call.

Alice holds Bob with the music of a source, over real sockets.  A far end may use one key for the
whole call: whoever has it can decrypt what the far end says before and after the music.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.sdp import read_crypto
from softphone.security import CryptoSuite, KeyMaterial, SrtpPolicy
from tests.call.leg.test_music_on_hold import Held, plainly_held
from tests.support.calling import answer_one
from tests.support.direct import address_of, secure
from tests.support.stage import edit_body
from tests.support.waiting import PATIENCE, until

WEAKEST = CryptoSuite.AES_CM_128_HMAC_SHA1_32
REQUIRED = SrtpPolicy.REQUIRED


class Call:
    """A call of Alice with Bob, and the calls that have come to her music source."""

    def __init__(self, alices, bobs):
        self.call, self.other = alices, bobs
        self.music = []

    async def play(self, account):
        async for incoming in account.incoming():
            call = await incoming.answer()
            call.audio.play(ToneSource(350.0))
            self.music.append(call)


@pytest.fixture
async def with_source(tmp_path):
    """`await with_source(suites)`: a call, and a source that has these suites only."""
    tasks = []
    async with Phone() as alices, Phone() as bobs, Phone() as sources:

        async def connect(suites=None, **more):
            bob = await bobs.register(secure(tmp_path, "bob", REQUIRED))
            config = secure(tmp_path, "music", REQUIRED, host="127.0.0.2")
            if suites is not None:
                config = config.with_media(suites=suites)
            source = await sources.register(config)
            config = secure(tmp_path, "alice", REQUIRED, music_on_hold=address_of(source), **more)
            caller = await alices.register(config)
            answering = asyncio.create_task(answer_one(bob))
            call = await caller.dial(address_of(bob)).answered(timeout=PATIENCE)
            made = Call(call, await asyncio.wait_for(answering, PATIENCE))
            tasks.append(asyncio.create_task(made.play(source)))
            return made

        yield connect
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_far_ends_key_is_not_shown_to_the_source(with_source):
    made = await with_source()
    await made.call.hold()
    await until(lambda: made.music)
    (source,) = made.music
    shown = source._leg.stream_spec.receive_key.key.reveal()
    assert shown != made.other._leg.stream_spec.send_key.key.reveal()
    # The key of the source has passed, and the far end hears it.
    theirs = source._leg.stream_spec.send_key.key.reveal()
    assert made.other._leg.stream_spec.receive_key.key.reveal() == theirs
    await until(lambda: made.other._leg.statistics.packets_received > 20)


async def test_a_far_end_with_one_key_for_the_whole_call_shows_it_to_nobody():
    """It repeats its key in the answer to the source's offer, and above the first m-line."""
    held = Held()
    key = held.far.negotiation.spec.send_key.key.reveal()
    held.far.negotiation._rows["audio"].plan._line_for = lambda chosen, *_: chosen_with(chosen, key)
    above = b"a=crypto:1 AEAD_AES_256_GCM inline:" + base64.b64encode(key) + b"\r\n"
    held.stage.tamper = lambda name, data: (
        edit_body(data, lambda body: body.replace(b"m=audio", above + b"m=audio", 1))
        if name == "bob" and data.startswith(b"SIP/2.0 200") and b"sip:music@" not in data
        else data
    )
    await (await held.hold())
    (answered,) = held.bodies("alice", "ACK sip:music")
    (line,) = read_crypto(answered.media[0])
    assert held.call.music.playing
    assert line.key_params[0].key.reveal() != key
    assert not [one for one in answered.attributes if one.name == "crypto"]


def chosen_with(chosen, key):
    """The answer to a line that has this key."""
    (parameter,) = chosen.key_params
    return replace(chosen, key_params=(replace(parameter, key=KeyMaterial(key)),))


async def test_the_weak_suite_of_a_source_does_not_stay_in_the_call(with_source):
    made = await with_source((WEAKEST,))
    before = made.call.security.media[0].suite
    assert before is not WEAKEST
    await made.call.hold()
    await until(lambda: made.music)
    assert made.call.security.media[0].suite is WEAKEST
    await made.call.resume()
    assert made.call.security.media[0].suite is before
    assert made.other.security.media[0].suite is before


async def test_the_call_to_a_source_lasts_no_longer_than_the_dial_policy_lets_calls_last():
    """It was paid for as one of that length; the held call may be one that came in."""
    held = Held()
    setup = held.call.setup
    guards = setup.guards.bounded(5.0)
    held.stage.alice.setup = lambda made=held.stage.alice.setup: _guarded(made(), guards)
    await (await held.hold())
    assert held.call.music.playing
    await held.run(6.0)
    assert "has lasted 5 s" in held.why
    await held.run()
    assert plainly_held(held)


def _guarded(setup, guards):
    return replace(setup, guards=guards)
