"""The guards of an account over hours: real sockets, media and timers, on the clock of the loop."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from softphone.config import (
    CallerConfig,
    ChallengeConfig,
    CredentialConfig,
    DialPolicyConfig,
    LimitsConfig,
)
from softphone.errors import CallError, DialRefused
from softphone.events import CallRefused, CallState, EndedBy, MediaLost
from softphone.phone import Phone
from softphone.security import KeyMaterial
from tests.security.test_one_stranger_leaves_places_for_other_callers import STRANGER, invite
from tests.support.calling import connect, next_call
from tests.support.direct import address_of, clear
from tests.support.virtual_loop import run_virtually
from tests.support.waiting import PATIENCE, patiently, until


def loop_time():
    return asyncio.get_running_loop().time()


def play(scene, *, caller=None, **guards):
    """Play `scene(alice, bob)`; the guards are bob's, `caller` makes settings of alice's."""

    async def run():
        async with Phone(clock=loop_time) as phone, Phone(clock=loop_time) as far:
            config = clear("bob", **{k: v for k, v in guards.items() if k != "media"})
            bob = await phone.register(config.with_media(**guards.get("media", {})))
            more = {} if caller is None else caller(address_of(bob))
            return await scene(await far.register(clear("alice", **more)), bob)

    return run_virtually(run())


async def passes(call, seconds):
    """How long a call lasts, at most so many seconds from now."""
    began = loop_time()
    try:
        async with asyncio.timeout(seconds):
            await call.ended()
    except TimeoutError:
        assert call.state is CallState.CONFIRMED
    return loop_time() - began


def silence(call):
    """The far end of a call sends nothing more, neither RTP nor RTCP; its signaling stays."""
    for timer in call._leg.media_backend._timers.values():
        timer.cancel()


def lost(call):
    return [e.seconds for e in call._leg.event_queue._events if isinstance(e, MediaLost)]


def test_silence_ends_the_call_where_it_is_configured():
    async def scene(alice, bob):
        call, other = await connect(alice, bob, address_of(bob))
        assert await passes(other, 12) >= 12
        silence(call)
        took = await passes(other, 60)
        ended = await patiently(other.ended())
        return took, ended.by, lost(other)

    took, by, told = play(scene, media={"timeout": 10.0, "on_timeout": "hangup"})
    assert took == pytest.approx(10, abs=2)
    assert by is EndedBy.MEDIA
    assert len(told) == 1


def test_by_default_it_is_told_once_and_the_call_goes_on():
    async def scene(alice, bob):
        call, other = await connect(alice, bob, address_of(bob))
        silence(call)
        assert await passes(other, 80) >= 80
        return lost(other)

    (seconds,) = play(scene)
    assert seconds == pytest.approx(30, abs=2)


def test_neither_ringing_nor_a_hold_is_silence():
    async def scene(alice, bob):
        outgoing = alice.dial(address_of(bob))
        await outgoing.start()
        incoming = await next_call(bob)
        incoming.ring()
        await asyncio.sleep(100)
        other = await incoming.answer()
        call = await outgoing.answered()
        await call.hold()
        assert await passes(other, 20) >= 20
        await call.resume()
        await other.hold()
        assert await passes(other, 20) >= 20
        await other.resume()
        assert await passes(other, 10) >= 10
        return lost(other)

    assert play(scene, media={"timeout": 8.0, "on_timeout": "hangup"}) == []


def test_a_call_lasts_no_longer_than_it_may():
    async def scene(alice, bob):
        _, other = await connect(alice, bob, address_of(bob))
        took = await passes(other, 90)
        return took, (await patiently(other.ended())).by

    took, by = play(scene, limits=LimitsConfig(call_duration=30))
    assert took == pytest.approx(30, abs=1)
    assert by is EndedBy.DURATION


async def status_of(alice, bob):
    with pytest.raises(CallError) as caught:
        await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
    return caught.value.status


@pytest.mark.parametrize("status", [486, 503])
def test_the_call_too_many_is_refused_for_as_long_as_the_others_last(status):
    async def scene(alice, bob):
        up = [await connect(alice, bob, address_of(bob)) for _ in range(2)]
        statuses = []
        for _ in range(3):
            statuses.append(await status_of(alice, bob))
            await asyncio.sleep(5)
        up[0][0].hangup()
        await patiently(up[0][1].ended())
        call, _ = await connect(alice, bob, address_of(bob))
        assert call.state is CallState.CONFIRMED
        return statuses

    limits = LimitsConfig(calls=2, calls_status=status, trusted_sources=("127.0.0.1",))
    assert play(scene, limits=limits) == [status] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
def test_a_strangers_place_is_free_again_when_its_call_is_over():
    async def scene(alice, bob):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((STRANGER, 0))
            stranger.setblocking(False)
            stranger.sendto(invite(0), bob.listening[1:])
            first = await next_call(bob)
            stranger.sendto(invite(1), bob.listening[1:])
            await until(lambda: bool(refusals(bob)))
            began = loop_time()
            ended = await first.ended  # nobody answers: it rings for its time only
            rang = loop_time() - began
            stranger.sendto(invite(2), bob.listening[1:])
            await next_call(bob)
            return ended.by, rang, [each.status for each in refusals(bob)]

    by, rang, statuses = play(scene, limits=LimitsConfig(calls=8, calls_per_source=1))
    assert by is EndedBy.TIMEOUT
    assert rang > 30
    assert statuses == [486]


def refusals(account):
    return [event for event in account._events._events if isinstance(event, CallRefused)]


def test_a_nonce_of_the_listener_is_good_for_its_time_and_a_new_one_is_met():
    challenge = ChallengeConfig(
        (CallerConfig("trunk", KeyMaterial(b"a secret")),), realm="pbx", nonce_lifetime=60
    )
    credentials = CredentialConfig("trunk", KeyMaterial(b"a secret"), realms=("pbx",))
    heard = []

    async def scene(alice, bob):
        verify = bob._admission._verifier.verify

        def watch(request, *, now):
            verdict = verify(request, now=now)
            heard.append((type(verdict).__name__, getattr(verdict, "stale", False)))
            return verdict

        bob._admission._verifier.verify = watch
        for seconds in (0, 30, 400):
            await asyncio.sleep(seconds)
            call, other = await connect(alice, bob, address_of(bob))
            call.hangup()
            await patiently(other.ended())

    play(
        scene,
        caller=lambda proxy: {"outbound_proxy": proxy, "credentials": credentials},
        challenge=challenge,
    )
    assert heard[0] == ("DigestRefused", False)
    # After 30 s the nonce was good, after 400 more it was stale: a new one was met at once.
    assert heard.count(("DigestRefused", True)) == 1
    assert ("DigestVerified", False) in heard[heard.index(("DigestRefused", True)) :]


def test_the_calls_of_an_hour_come_back_with_the_next():
    async def scene(alice, bob):
        made = []
        for _ in range(4):
            try:
                call, other = await connect(alice, bob, address_of(bob))
            except DialRefused as refused:
                made.append(refused.rule)
                await asyncio.sleep(3700)
                continue
            made.append(call.state)
            call.hangup()
            await patiently(other.ended())
        return made

    policy = DialPolicyConfig(country="49", internal=("bob",), calls_per_hour=2)
    found = play(scene, caller=lambda _: {"dial_policy": policy})
    assert found == [
        CallState.CONFIRMED,
        CallState.CONFIRMED,
        "calls_per_hour",
        CallState.CONFIRMED,
    ]
