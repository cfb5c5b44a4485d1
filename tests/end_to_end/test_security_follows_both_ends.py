"""The lock through hold with music in clear, transfers, a conference and a barge; and what a policy
makes of it."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from softphone.config import load_account
from softphone.events import CallState, Direction, EndedBy, SecurityChanged, SecurityRefused
from softphone.lab import LabConfig, LabServer
from softphone.media import PcmBlock
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import (
    CryptoSuite,
    OnDrop,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    ShortfallCode,
    SrtpPolicy,
)
from tests.support.calling import account_of, answer_one, connect, eventually, level_heard, until
from tests.support.waiting import PATIENCE

AUDIBLE = -33.0


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(clear_music=True)) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def secure_call(lab, phone, first="alice", second="bob", **media):
    accounts = [await account_of(lab, phone, name, **media) for name in (first, second)]
    call, other = await connect(*accounts, second)
    for each in (call, other):
        await until(each, lambda state: state.lock)
    return accounts, call, other


class Marked:
    """A sink that keeps the security generation of every block, and what was shown then."""

    def __init__(self, call):
        self.call = call
        self.seen = []

    clock_rate_hz = 8000
    dropped_samples = 0

    def write(self, block: PcmBlock) -> None:
        self.seen.append((block.security_generation, self.call.security.lock))


async def music_heard(call):
    """How loud the loudest of the music's notes is."""
    return max([await level_heard(call, hz) for hz in (261.63, 329.63, 392.0)])


async def test_music_in_clear_takes_the_lock_away_and_resuming_brings_it_back(lab, phone):
    _, call, other = await secure_call(lab, phone, srtp=SrtpPolicy.OPTIONAL)
    key = sent_with(other)
    for _ in range(2):
        await call.hold()
        await until(other, lambda state: state.media[0].suite is None)
        assert other.security.level is SecurityLevel.NOT_SECURE
        # No key is left at either end of the leg: it is in clear on the wire, too.
        assert other.audio.security.profile == "RTP/AVP"
        spec = other._leg.stream_spec
        assert (spec.send_key, spec.receive_key) == (None, None)
        assert await music_heard(other) > AUDIBLE
        # Who holds has talked to nobody in clear.
        assert call.security.lock
        await call.resume()
        for each in (call, other):
            await until(each, lambda state: state.lock)
        assert sent_with(other) != key
        key = sent_with(other)
        call.audio.play(ToneSource(660.0))
        assert await level_heard(other, 660.0) > AUDIBLE
        other.audio.play(ToneSource(880.0))
        assert await level_heard(call, 880.0) > AUDIBLE


async def test_nobody_is_heard_over_a_leg_that_music_has_made_clear(lab, phone):
    _, call, other = await secure_call(lab, phone, srtp=SrtpPolicy.OPTIONAL)
    other.audio.play(ToneSource(880.0))
    await call.hold()
    await until(other, lambda state: state.media[0].suite is None)
    (conversation,) = lab._calls._bridged_calls
    (held,) = [one for one in conversation._members if one.has_music]
    await eventually(lambda: held.telling.done())
    held.leg.renegotiate = never  # the way back to SRTP
    call.audio.play(ToneSource(660.0))
    await call.resume()
    assert await level_heard(other, 660.0) < -50
    assert await level_heard(call, 880.0) < -50
    assert call.security.lock


async def never(**_):
    """A re-INVITE that is not answered."""
    await asyncio.Event().wait()


async def test_a_phone_that_demands_srtp_hears_no_music_in_clear_and_keeps_its_lock(lab, phone):
    _, call, other = await secure_call(lab, phone)
    changes = lab._calls._bridged_calls[0]
    await call.hold()
    await eventually(lambda: not all(one.takes_music for one in changes._members))
    # What the server offered in clear was refused: it says so of the leg that is still encrypted.
    await until(other, lambda state: state.lock)
    assert other.audio.security.suite is CryptoSuite.AEAD_AES_256_GCM
    assert await music_heard(other) < -50
    await call.resume()
    call.audio.play(ToneSource(660.0))
    assert await level_heard(other, 660.0) > AUDIBLE
    assert call.security.lock


async def test_music_in_clear_ends_with_a_transfer_out_of_it(lab, phone):
    (alice, _), call, other = await secure_call(lab, phone, srtp=SrtpPolicy.OPTIONAL)
    dave = await account_of(lab, phone, "dave", srtp=SrtpPolicy.OPTIONAL)
    await call.hold()
    await until(other, lambda state: state.media[0].suite is None)
    second, third = await connect(alice, dave, "dave")
    await asyncio.wait_for(second.transfer(call), PATIENCE)
    for each in (other, third):
        await until(each, lambda state: state.lock)
    third.audio.play(ToneSource(880.0))
    assert await level_heard(other, 880.0) > AUDIBLE


@pytest.mark.parametrize(
    "suite", [CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AES_CM_128_HMAC_SHA1_32]
)
async def test_music_of_another_suite_is_heard_under_the_lock_and_talk_comes_back(
    tmp_path, phone, suite
):
    async with LabServer(tmp_path / "lab", LabConfig(music_suite=suite)) as lab:
        _, call, other = await secure_call(lab, phone)
        gcm = CryptoSuite.AEAD_AES_256_GCM
        assert [each.security.media[0].suite for each in (call, other)] == [gcm, gcm]
        keys = [sent_with(other)]
        for _ in range(2):
            await call.hold()
            await until(other, lambda state: state.media[0].suite is suite)
            assert await music_heard(other) > AUDIBLE
            assert other.security.lock
            assert call.security.media[0].suite is gcm
            keys.append(sent_with(other))
            await call.resume()
            await until(other, lambda state: state.media[0].suite is gcm)
            keys.append(sent_with(other))
            call.audio.play(ToneSource(660.0))
            assert await level_heard(other, 660.0) > AUDIBLE
            other.audio.play(ToneSource(880.0))
            assert await level_heard(call, 880.0) > AUDIBLE
            assert other.security.lock
        assert len(set(keys)) == len(keys)


def sent_with(call):
    """A digest of the master key and salt that a call's audio is sent with."""
    agreement = call._leg.negotiation._row("audio").plan.current
    return hashlib.sha256(agreement.send_key.reveal()).digest()


async def test_the_lock_is_gone_before_the_first_sound_of_the_new_generation(lab, phone):
    _, call, other = await secure_call(lab, phone)
    sink = Marked(other)
    other.audio.record(sink)
    await eventually(lambda: len(sink.seen) > 3)
    carol = await account_of(lab, phone, "carol")
    third = await carol.dial("*5bob").answered(timeout=PATIENCE)
    await until(other, lambda state: not state.lock)
    await eventually(lambda: sink.seen[-1][0] > sink.seen[0][0])
    first = sink.seen[0][0]
    assert all(not locked for generation, locked in sink.seen if generation > first)
    third.hangup()
    await until(other, lambda state: state.lock)
    changes = []
    async for event in other.events():
        if isinstance(event, SecurityChanged):
            changes.append(event.after.lock)
            if changes[-3:] == [True, False, True]:
                break
    call.hangup()


async def test_a_conference_is_as_secure_as_its_least_secure_member(lab, phone):
    _, call, other = await secure_call(lab, phone)
    dave, carol = [await account_of(lab, phone, name) for name in ("dave", "carol")]
    secure = await dave.dial("*5alice").answered(timeout=PATIENCE)
    for each in (call, other):
        await until(each, lambda state: state.lock)
    clear = await carol.dial("*5alice").answered(timeout=PATIENCE)
    for each in (call, other):
        await until(each, lambda state: state.level is SecurityLevel.NOT_SECURE)
    # In a conference a member on hold hears no music, and changes nothing.
    clear.hangup()
    for each in (call, other):
        await until(each, lambda state: state.lock)
    await secure.hold()
    await asyncio.sleep(0.2)
    assert call.security.lock


async def demanding(lab, phone, on_drop):
    """A phone that wants the lock, in a call with Bob."""
    policy = SecurityPolicy(scope=Scope.END_TO_END, on_drop=on_drop)
    strict = Phone(policy=policy)
    await strict.__aenter__()
    alice = await strict.register(load_account(lab.accounts["alice"]).config)
    bob = await account_of(lab, phone, "bob")
    answering = asyncio.create_task(answer_one(bob))
    call = await alice.dial("bob").answered(timeout=PATIENCE)
    return strict, call, await answering


async def test_a_call_that_falls_below_is_hung_up_and_says_why(lab, phone):
    strict, call, other = await demanding(lab, phone, OnDrop.HANGUP)
    async with strict:
        assert call.security.lock
        carol = await account_of(lab, phone, "carol")
        await carol.dial("*5bob").answered(timeout=PATIENCE)
        assert (await asyncio.wait_for(call.ended(), PATIENCE)).by is EndedBy.POLICY
        assert ShortfallCode.FAR_END_NOT_SECURE in {one.code for one in call.refused}
        assert "not secure" in call.explanation
        assert other.state is CallState.CONFIRMED


async def test_or_held_with_no_media_until_it_is_secure_again(lab, phone):
    strict, call, other = await demanding(lab, phone, OnDrop.HOLD)
    async with strict:
        call.audio.play(ToneSource(660.0))
        carol = await account_of(lab, phone, "carol")
        third = await carol.dial("*5bob").answered(timeout=PATIENCE)
        async for event in call.events():
            if isinstance(event, SecurityRefused):
                break
        await eventually(lambda: call.held and call.audio.direction is Direction.INACTIVE)
        sent = call.audio.statistics.packets_sent
        await asyncio.sleep(0.3)
        assert call.audio.statistics.packets_sent == sent
        with pytest.raises(SecurityShortfall):
            call.security.require(SecurityLevel.ENCRYPTED, scope=Scope.END_TO_END)
        third.hangup()
        await until(call, lambda state: state.lock)
        await call.resume()
        assert await level_heard(other, 660.0) > AUDIBLE


async def test_a_bot_does_not_read_the_card_number_to_who_may_listen(lab, phone):
    _, call, _ = await secure_call(lab, phone)
    call.security.require(SecurityLevel.ENCRYPTED, scope=Scope.END_TO_END)
    carol = await account_of(lab, phone, "carol")
    await carol.dial("*5alice").answered(timeout=PATIENCE)
    await until(call, lambda state: not state.lock)
    with pytest.raises(SecurityShortfall) as caught:
        call.security.require(SecurityLevel.ENCRYPTED, scope=Scope.END_TO_END)
    assert {one.code for one in caught.value.shortfalls} == {ShortfallCode.FAR_END_NOT_SECURE}
    call.security.require(SecurityLevel.ENCRYPTED)
