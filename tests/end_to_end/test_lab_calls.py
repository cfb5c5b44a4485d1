"""Phones and the lab over real sockets: what is promised of a call's security, kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.errors import Busy, CertificateUntrusted, Declined, NoAnswer, NotAcceptable, NotFound
from softphone.events import (
    CallAnswered,
    CallEnded,
    CallRefused,
    CallState,
    Direction,
    EndedBy,
    HoldChanged,
    RegistrationState,
    SecurityChanged,
)
from softphone.lab import LabConfig, LabServer
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import (
    DEFAULT_SUITES,
    CryptoSuite,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    ShortfallCode,
    SrtpPolicy,
)
from softphone.trust import TrustStore
from tests.support.calling import level_heard
from tests.support.waiting import PATIENCE

AUDIBLE_DBM0 = -30.0
"""A tone with the gaps that a busy machine may make; silence is far below."""


async def answer_one(account):
    async for incoming in account.incoming():
        incoming.ring()
        return await incoming.answer()
    raise AssertionError("nobody called")


async def connect(caller, callee, target, **options):
    answering = asyncio.create_task(answer_one(callee))
    try:
        call = await caller.dial(target, **options).answered(timeout=PATIENCE)
        return call, await asyncio.wait_for(answering, PATIENCE)
    finally:
        answering.cancel()


async def until(call, condition):
    async def watch():
        async for _ in call.events():
            if condition(call.security):
                return

    if not condition(call.security):
        await asyncio.wait_for(watch(), PATIENCE)


async def test_a_registration_over_mutual_tls(lab, account_of):
    alice = await account_of("alice")
    assert alice.registration is RegistrationState.REGISTERED
    identity = lab.registered["alice"].flow.identity
    assert identity is not None
    assert "uri:sip:alice@127.0.0.1" in identity.names


async def test_the_echo_comes_back_under_the_strongest_suite(account_of):
    alice = await account_of("alice")
    async with alice.dial("600") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.security.lock
        assert call.audio.security.suite is CryptoSuite.AEAD_AES_256_GCM
        call.audio.play(ToneSource(440.0))
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    assert call.state is CallState.TERMINATED


@pytest.mark.parametrize("suite", DEFAULT_SUITES)
async def test_every_suite_carries_audio(account_of, suite):
    alice = await account_of("alice", suites=(suite,))
    async with alice.dial("601") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.audio.security.suite is suite
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0


async def test_two_secure_phones_see_the_lock_and_hear_each_other(account_of):
    alice, bob = await account_of("alice"), await account_of("bob")
    call, other = await connect(alice, bob, "bob")
    await until(call, lambda state: state.lock)
    await until(other, lambda state: state.lock)
    call.audio.play(ToneSource(440.0))
    other.audio.play(ToneSource(660.0))
    heard = await asyncio.gather(level_heard(call, 660.0), level_heard(other, 440.0))
    assert min(heard) > AUDIBLE_DBM0
    call.hangup()
    ended = await other.ended()
    assert ended.by is EndedBy.REMOTE


async def test_required_refuses_a_call_that_falls_back_to_clear(account_of):
    alice = await account_of("alice")
    carol = await account_of("carol")
    answering = asyncio.create_task(answer_one(carol))
    outgoing = alice.dial("carol")
    with pytest.raises(SecurityShortfall) as caught:
        await outgoing.answered(timeout=PATIENCE)
    answering.cancel()
    assert {s.code for s in caught.value.shortfalls} >= {ShortfallCode.SRTP_REQUIRED}
    assert outgoing.statistics.packets_sent == 0
    ended = [event async for event in outgoing.events() if isinstance(event, CallEnded)]
    assert ended[0].by is EndedBy.POLICY


async def test_optional_accepts_a_clear_answer_and_says_so(account_of):
    alice, carol = await account_of("alice", srtp=SrtpPolicy.OPTIONAL), await account_of("carol")
    call, _ = await connect(alice, carol, "carol")
    assert call.security.level is SecurityLevel.NOT_SECURE
    assert call.audio.security.suite is None
    assert not call.security.lock
    call.hangup()


async def test_required_refuses_a_clear_caller_of_a_secure_phone(account_of):
    bob, carol = await account_of("bob"), await account_of("carol")
    answering = asyncio.create_task(answer_one(bob))
    # The offer is bob's, in his 200: the server, and with it carol, learn of his refusal by BYE.
    call = await carol.dial("bob").answered(timeout=PATIENCE)
    with pytest.raises(SecurityShortfall):
        await asyncio.wait_for(answering, PATIENCE)
    assert (await asyncio.wait_for(call.ended(), PATIENCE)).by is EndedBy.REMOTE


async def test_the_lock_goes_when_a_third_party_in_clear_joins_and_comes_back(account_of):
    alice, bob, carol = [await account_of(name) for name in ("alice", "bob", "carol")]
    call, other = await connect(alice, bob, "bob")
    await until(call, lambda state: state.lock)
    third = await carol.dial("*5alice").answered(timeout=PATIENCE)
    await until(call, lambda state: not state.lock)
    await until(other, lambda state: state.level is SecurityLevel.NOT_SECURE)
    assert call.state is CallState.CONFIRMED
    third.hangup()
    await until(call, lambda state: state.lock)
    changes = [e async for e in _so_far(call) if isinstance(e, SecurityChanged)]
    assert [change.after.lock for change in changes][-2:] == [False, True]
    call.hangup()


async def _so_far(call):
    call.hangup()
    async for event in call.events():
        yield event


async def test_an_end_to_end_policy_drops_the_call_when_the_lock_goes(account_of, lab, phone):
    config = load_account(lab.accounts["alice"]).config
    strict = replace(config, policy=replace(config.policy, scope=Scope.END_TO_END))
    alice = await phone.register(strict)
    bob, carol = await account_of("bob"), await account_of("carol")
    call, other = await connect(alice, bob, "bob")
    assert call.security.lock
    third = asyncio.create_task(carol.dial("*5alice").answered(timeout=PATIENCE))
    ended = await asyncio.wait_for(call.ended(), PATIENCE)
    assert ended.by is EndedBy.POLICY
    assert call.refused
    third.cancel()
    other.hangup()


async def test_hold_and_resume(account_of):
    alice, bob = await account_of("alice"), await account_of("bob")
    call, other = await connect(alice, bob, "bob")
    await until(call, lambda state: state.lock)
    await call.hold()
    assert call.audio.direction is Direction.SENDONLY
    await call.resume()
    assert call.audio.direction is Direction.SENDRECV
    assert call.security.lock
    other.audio.play(ToneSource(660.0))
    assert await level_heard(call, 660.0) > AUDIBLE_DBM0
    call.hangup()
    directions = [e.direction async for e in call.events() if isinstance(e, HoldChanged)]
    assert directions == [Direction.SENDONLY, Direction.SENDRECV]


@pytest.mark.parametrize(("status", "kind"), [(486, Busy), (603, Declined), (480, NoAnswer)])
async def test_a_refusal_is_raised_by_its_cause(account_of, status, kind):
    alice, bob = await account_of("alice"), await account_of("bob")

    async def refuse():
        async for incoming in bob.incoming():
            incoming.reject(status)
            return

    refusing = asyncio.create_task(refuse())
    with pytest.raises(kind) as caught:
        await alice.dial("bob").answered(timeout=PATIENCE)
    assert caught.value.status == status
    await refusing


async def test_nobody_there_is_not_found_and_nobody_registered_no_answer(account_of):
    alice = await account_of("alice")
    with pytest.raises(NotFound):
        await alice.dial("nobody").answered(timeout=PATIENCE)
    with pytest.raises(NoAnswer):
        await alice.dial("bob").answered(timeout=PATIENCE)


async def test_leaving_the_block_cancels_the_call(account_of):
    alice, bob = await account_of("alice"), await account_of("bob")
    incoming = bob.incoming()
    async with alice.dial("bob"):
        ringing = await asyncio.wait_for(anext(incoming), PATIENCE)
        ringing.ring()
    ended = await asyncio.wait_for(ringing.ended, PATIENCE)
    assert ended.by is EndedBy.REMOTE


async def test_a_timeout_cancels_the_call(account_of):
    alice, bob = await account_of("alice"), await account_of("bob")
    incoming = bob.incoming()
    with pytest.raises(NoAnswer, match="within"):
        await alice.dial("bob").answered(timeout=0.3)
    ringing = await asyncio.wait_for(anext(incoming), PATIENCE)
    await asyncio.wait_for(ringing.ended, PATIENCE)


async def test_events_tell_the_story_of_a_call(account_of):
    alice = await account_of("alice")
    outgoing = alice.dial("601")
    call = await outgoing.answered(timeout=PATIENCE)
    call.hangup()
    kinds = [type(event) async for event in outgoing.events()]
    assert CallAnswered in kinds
    assert kinds[-1] is CallEnded


async def test_a_refused_incoming_call_is_told_to_the_account(account_of, lab, tmp_path):
    config = LabConfig(delayed_offer=False)
    async with LabServer(tmp_path / "early", config) as early, Phone() as phone:
        bob = await phone.register(load_account(early.accounts["bob"]).config)
        carol = await phone.register(load_account(early.accounts["carol"]).config)
        with pytest.raises(NotAcceptable):
            await carol.dial("bob").answered(timeout=PATIENCE)
        async for event in bob.events():
            if isinstance(event, CallRefused):
                break
        assert event.status == 488
        assert {s.code for s in event.shortfalls} == {ShortfallCode.SRTP_REQUIRED}


async def test_the_connection_is_replaced_and_a_new_call_works(account_of, lab):
    alice = await account_of("alice")
    lab.cut_connection("alice")
    states = []
    async for event in alice.events():
        state = getattr(event, "state", None)
        states.append(state)
        if RegistrationState.RECOVERING in states and state is RegistrationState.REGISTERED:
            break
    async with alice.dial("601") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        assert call.security.lock


async def test_a_call_survives_the_loss_of_its_connection(account_of, lab):
    alice = await account_of("alice")
    call = await alice.dial("601").answered(timeout=PATIENCE)
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    lab.cut_connection("alice")
    seen = []
    async for event in alice.events():
        seen.append(getattr(event, "state", None))
        if RegistrationState.RECOVERING in seen and seen[-1] is RegistrationState.REGISTERED:
            break
    assert call.state is CallState.CONFIRMED
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0
    await call.hold()
    await call.resume()
    call.hangup()


async def test_a_phone_has_one_policy_and_one_store_for_all_its_accounts(lab):
    config = load_account(lab.accounts["alice"]).config
    bare = replace(config, tls=replace(config.tls, ca=()))
    policy = replace(SecurityPolicy.strict(), suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_32,))
    trust = TrustStore.from_sources(str(config.tls.ca[0]))
    async with Phone(policy=policy, trust=trust) as phone:
        alice = await phone.register(bare)
        async with alice.dial("601") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            assert call.audio.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_32
    async with Phone() as phone:
        with pytest.raises(CertificateUntrusted):
            await phone.register(bare)
