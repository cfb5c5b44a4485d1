"""A call that is over is gone, with its keys, once the application lets go: no collector is needed.

An ended call that only the cyclic collector frees keeps its keys until that comes by, and whoever
has many of them stops all media while it does.  Phones and lab are in this process: the legs of
both are looked at.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest

from softphone.call import AudioStream, Call, IncomingCall, OutgoingCall
from softphone.call.leg import CallLeg, MusicSource, Negotiation
from softphone.errors import CallError
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.media.audio import PcmRing
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.sdp import OfferAnswerSession
from softphone.security import KeyMaterial
from softphone.srtp import SdesNegotiation
from tests.support.calling import account_of, answer_one, connect, eventually, next_call
from tests.support.leavings import alive, no_collector, rings
from tests.support.waiting import PATIENCE

LOGIN = Login(Transport.TLS, certificate=True)
OF_A_CALL = (
    Call,
    IncomingCall,
    KeyMaterial,
    SdesNegotiation,
    CallLeg,
    AudioStream,
    Negotiation,
    OutgoingCall,
    OfferAnswerSession,
    MusicSource,
)


class Office:
    """A lab, and three who are registered there."""

    def __init__(self, lab, alice, bob, frank):
        self.lab, self.alice, self.bob, self.frank = lab, alice, bob, frank
        self.calls = []

    async def connect(self):
        """Alice calls Bob."""
        pair = await connect(self.alice, self.bob, "bob")
        self.calls += [ref(call) for call in pair]
        return pair


@pytest.fixture
async def office(tmp_path):
    config = LabConfig(users=tuple(LabUser(name, LOGIN) for name in ("alice", "bob", "frank")))
    async with LabServer(tmp_path / "lab", config) as lab, Phone() as phone:
        yield Office(lab, *[await account_of(lab, phone, user.name) for user in config.users])


async def hung_up(office):
    one, other = await office.connect()
    one.hangup()
    await other.ended()


async def hung_up_by_the_callee(office):
    one, other = await office.connect()
    other.hangup()
    await one.ended()


async def answered_by_the_lab(office):
    async with office.alice.dial("600") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        office.calls.append(ref(call))
        await call.audio.write(np.zeros(1600, np.int16))
        await call.audio.read(160)


async def with_talk_and_digits(office):
    one, other = await office.connect()
    one.audio.detect(digits=True, voice=True)
    await other.audio.write(np.zeros(1600, np.int16))
    await one.audio.read(160)
    other.audio.record(PcmRing(8000, seconds=1.0))
    for method in ("rtp", "info", "inband"):
        await other.send_digits("1", method=method)
    async for _ in one.events():
        break
    other.hangup()
    await one.ended()


async def held_and_resumed(office):
    one, other = await office.connect()
    for call in (one, other):
        await call.hold()
        await call.resume()
    one.hangup()
    await other.ended()


async def held_with_music(office):
    """The lab's 602 plays to Bob's leg; then the music ends by a resume, a refusal, the call."""
    one, other = await office.connect()
    for source in ("602", "nobody", "602"):
        use_music(office.alice, one, source)
        await one.hold()
        await one.resume()
    await one.hold()
    other.hangup()
    await one.ended()


def use_music(account, call, source):
    """Have `source` be the account's music on hold from now on."""
    account._context = replace(
        account._context, config=replace(account.config, music_on_hold=source)
    )
    call._leg.setup = account._leg_setup(call._leg.flow)


async def transferred_blind(office):
    one, other = await office.connect()
    answering = asyncio.create_task(answer_one(office.frank))
    await one.transfer("sip:frank@127.0.0.1")
    (await answering).hangup()
    await other.ended()


async def transferred_in_vain(office):
    one, _ = await office.connect()
    with suppress(CallError):
        await one.transfer("sip:nobody@127.0.0.1")
    one.hangup()


async def transferred_attended(office):
    one, other = await office.connect()
    await one.hold()
    second, third = await connect(office.alice, office.frank, "frank")
    await one.transfer(second)
    third.hangup()
    await other.ended()


async def refused(office):
    async with office.alice.dial("bob") as outgoing:
        (await next_call(office.bob)).reject(486)
        for _ in range(2):
            with suppress(CallError):
                await outgoing.answered(timeout=PATIENCE)


async def canceled(office):
    async with office.alice.dial("bob"):
        ringing = await next_call(office.bob)
        ringing.ring()
    await ringing.ended
    with suppress(CallError):
        await ringing.answer()


async def not_answered_in_time(office):
    async with office.alice.dial("bob") as outgoing:
        ringing = await next_call(office.bob)
        with suppress(CallError):
            await outgoing.answered(timeout=0.2)
    await ringing.ended


async def called_nobody(office):
    with suppress(CallError):
        await office.alice.dial("nobody").answered(timeout=PATIENCE)


async def cut_off(office):
    one, other = await office.connect()
    office.lab.cut_connection("bob")
    one.hangup()
    other.hangup()


@pytest.mark.parametrize(
    "live",
    [
        hung_up,
        hung_up_by_the_callee,
        answered_by_the_lab,
        with_talk_and_digits,
        held_and_resumed,
        held_with_music,
        transferred_blind,
        transferred_in_vain,
        transferred_attended,
        refused,
        canceled,
        not_answered_in_time,
        called_nobody,
        cut_off,
    ],
)
async def test_a_call_that_is_over_is_gone_at_once_with_its_keys(office, live):
    with no_collector():
        before = alive(*OF_A_CALL)
        await live(office)
        await eventually(lambda: alive(*OF_A_CALL) <= before)
        assert all(call() is None for call in office.calls)
        assert rings() == {}
