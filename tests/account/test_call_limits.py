"""Limits on an account's calls, over real sockets: how many, of whom, how long, and in silence."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from softphone.config import LimitsConfig
from softphone.errors import CallError
from softphone.events import CallRefused, Direction, EndedBy, MediaLost
from softphone.phone import Phone
from tests.security.test_one_stranger_leaves_places_for_other_callers import STRANGER, invite
from tests.support.calling import connect, eventually, next_call
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE, patiently


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def refusal(account):
    """The next call that was refused before anybody heard of it."""
    async for event in account.events():
        if isinstance(event, CallRefused):
            return event
    raise AssertionError("the account was closed")


async def test_a_call_too_many_is_busy_and_the_next_after_an_end_is_taken(phone):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1)))
    call, other = await connect(alice, bob, address_of(bob))
    with pytest.raises(CallError) as caught:
        await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
    assert caught.value.status == 486
    told = await patiently(refusal(bob))
    assert (told.status, told.explanation) == (486, "too many calls are up")
    call.hangup()
    await patiently(other.ended())
    call, other = await connect(alice, bob, address_of(bob))
    call.hangup()


async def test_on_a_trunk_it_is_503_so_that_the_far_end_tries_its_next_route(phone):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1, calls_status=503)))
    call, _ = await connect(alice, bob, address_of(bob))
    with pytest.raises(CallError) as caught:
        await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
    assert caught.value.status == 503
    call.hangup()


async def test_our_own_calls_count_but_are_not_refused(phone):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1)))
    ours, _ = await connect(bob, alice, address_of(alice))
    second, _ = await connect(bob, alice, address_of(alice))
    with pytest.raises(CallError):
        await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
    assert len(bob.calls) == 2
    ours.hangup()
    second.hangup()


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
async def test_one_stranger_leaves_places_for_others(phone):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=LimitsConfig(calls=4, calls_per_source=2)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, 0))
        stranger.setblocking(False)
        for number in range(2):
            stranger.sendto(invite(number), bob.listening[1:])
            await patiently(next_call(bob))
        stranger.sendto(invite(2), bob.listening[1:])
        told = await patiently(refusal(bob))
        assert (told.status, told.peer) == (486, f"sip:mallory@{STRANGER}")
        for _ in range(2):
            outgoing = alice.dial(address_of(bob))
            await outgoing.start()
            async with asyncio.timeout(PATIENCE):
                async for incoming in bob.incoming():
                    if incoming.peer.uri.user == "alice":
                        break
            await incoming.answer()
    assert len(bob.calls) == 2


async def test_a_trusted_source_has_all_the_places(phone):
    limits = LimitsConfig(calls=4, calls_per_source=1, trusted_sources=("127.0.0.1",))
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=limits))
    for _ in range(4):
        await connect(alice, bob, address_of(bob))
    assert len(bob.calls) == 4


async def test_a_call_that_replaces_one_of_ours_adds_none(phone):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1)))
    call, other = await connect(alice, bob, address_of(bob))
    replaces = call._leg.usage.replaces_value()
    outgoing = alice.dial(address_of(bob), replaces=replaces)
    await outgoing.start()
    incoming = await patiently(next_call(bob))
    assert incoming.replaces is other
    await incoming.answer()
    assert (await patiently(other.ended())).by is not EndedBy.MEDIA


async def test_an_answered_call_ends_when_its_longest_duration_is_over(phone):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=LimitsConfig(call_duration=0.3)))
    call, other = await connect(alice, bob, address_of(bob))
    ended = await patiently(other.ended())
    assert (ended.by, ended.status) == (EndedBy.DURATION, 408)
    ended = await patiently(call.ended())
    assert (ended.by, ended.status) == (EndedBy.REMOTE, 408)


async def test_a_far_end_that_sends_no_media_is_reported_and_hung_up_on(phone):
    alice = await phone.register(clear("alice"))
    guarded = clear("bob").with_media(timeout=0.5, on_timeout="hangup")
    bob = await phone.register(guarded)
    call, other = await connect(alice, bob, address_of(bob))
    # The far end's media is gone, and its signaling is not.
    call._leg.media_backend.set_direction(call._leg.stream.handle, Direction.INACTIVE)
    async with asyncio.timeout(PATIENCE):
        events = [event async for event in other.events()]
    (lost,) = [event for event in events if isinstance(event, MediaLost)]
    assert lost.seconds > 0.5
    assert (await other.ended()).by is EndedBy.MEDIA
    await eventually(lambda: alice.calls == ())
