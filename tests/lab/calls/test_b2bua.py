"""Calls through the lab: refusals, hang-ups at bad moments, and what each leg gets."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import replace

import pytest

from softphone.errors import (
    Busy,
    CallError,
    Declined,
    LocalProtocolError,
    NoAnswer,
    NotFound,
)
from softphone.events import CallEnded, CallState, EndedBy
from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone
from softphone.security import CryptoSuite, IdentityAssurance, SecurityLevel, SrtpPolicy
from tests.support.calling import (
    account_of,
    answer_one,
    connect,
    eventually,
    level_heard,
    next_call,
    until,
)
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE

AUDIBLE_DBM0 = -30.0
"""A tone with the gaps that a busy machine may make; silence is far below."""


@pytest.mark.parametrize(("status", "kind"), [(486, Busy), (603, Declined), (480, NoAnswer)])
async def test_the_callees_refusal_is_the_callers(lab, phone, status, kind):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    calling = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
    (await next_call(bob)).reject(status)
    with pytest.raises(kind) as caught:
        await calling
    assert caught.value.status == status
    await eventually(lambda: not lab.calls)


async def test_the_caller_hears_why_the_callee_refused(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    outgoing = alice.dial("bob")
    calling = asyncio.create_task(outgoing.answered(timeout=PATIENCE))
    sent = {"X-Until": "15:00", "User-to-User": "00", "Subject": "between two"}
    (await next_call(bob)).reject(603, "in a meeting", q850_cause=21, headers=sent)
    with pytest.raises(Declined) as caught:
        await calling
    assert (caught.value.status, caught.value.reason) == (603, "in a meeting")
    assert "in a meeting" in str(caught.value)
    (ended,) = [each async for each in outgoing.events() if isinstance(each, CallEnded)]
    assert (ended.by, ended.status, ended.reason) == (EndedBy.REMOTE, 603, "in a meeting")
    assert ended.q850_cause == 21
    names = [name for name, _ in ended.headers if name in sent]
    assert names == ["X-Until", "User-to-User"]  # a B2BUA's own choice, as for BYE


async def test_a_refusals_words_are_passed_on_in_bounds(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    calling = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
    (await next_call(bob))._leg.reject(486, "x" * 5000)  # more than reject() lets an application
    with pytest.raises(Busy) as caught:
        await calling
    assert caught.value.reason == "x" * 200


@pytest.mark.parametrize("delayed", [True, False], ids=["delayed offer", "early offer"])
async def test_a_callee_that_never_answers_is_given_up(tmp_path, phone, delayed):
    config = LabConfig(delayed_offer=delayed, alerting_patience=0.6)
    async with LabServer(tmp_path / "lab", config) as lab:
        alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
        calling = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
        ringing = await next_call(bob)
        with suppress(LocalProtocolError):  # given up already, on a busy machine
            ringing.ring()
        with pytest.raises(NoAnswer) as caught:
            await calling
        assert caught.value.status == 408
        assert (await asyncio.wait_for(ringing.ended, PATIENCE)).by is EndedBy.REMOTE
        await eventually(lambda: not lab.calls)


async def test_a_caller_that_gives_up_while_it_rings_takes_the_callee_with_it(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    async with alice.dial("bob"):
        ringing = await next_call(bob)
        ringing.ring()
    await asyncio.wait_for(ringing.ended, PATIENCE)
    await eventually(lambda: not lab.calls)


async def test_the_reason_of_one_end_is_told_to_the_other(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    call, answered = await connect(alice, bob, "bob")
    answered.hangup(q850_cause=16, reason="thank you", headers={"X-Rating": "5"})
    ended = await asyncio.wait_for(call.ended(), PATIENCE)
    assert (ended.by, ended.status) == (EndedBy.REMOTE, 0)
    assert (ended.reason, ended.q850_cause) == ("thank you", 16)
    assert ("X-Rating", "5") in ended.headers


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, (487, "", 0)),
        ({"status": 200, "reason": "Completed elsewhere"}, (200, "Completed elsewhere", 0)),
        ({"q850_cause": 31, "reason": "never mind"}, (487, "never mind", 31)),
    ],
)
async def test_the_reason_of_a_caller_that_gives_up_is_told_to_the_callee(lab, phone, given, told):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    outgoing = alice.dial("bob")
    await outgoing.start()
    ringing = await next_call(bob)
    ringing.ring()
    await eventually(lambda: outgoing.state is CallState.EARLY)
    outgoing.cancel(**given)
    ended = await asyncio.wait_for(ringing.ended, PATIENCE)
    assert (ended.status, ended.reason, ended.q850_cause) == told


async def test_the_callee_is_told_who_calls_by_the_lab_and_not_by_the_caller(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    async with alice.dial("bob"):
        ringing = await next_call(bob)
        identity = ringing.asserted_identity
        assert (identity.trusted, identity.name) == (True, "alice")
        assert ringing.peer.display_name == "alice"
        assert "party=calling;screen=yes;privacy=off" in ringing.headers.get("Remote-Party-ID")


@pytest.mark.parametrize("privacy", ["id", "user;critical"])
async def test_a_caller_who_asks_for_privacy_is_named_to_nobody(lab, phone, privacy):
    # As words: a random Call-ID may have 1001 within it.
    names_alice = re.compile(r"\b(alice|1001)\b")
    alice, bob, dave = [await account_of(lab, phone, name) for name in ("alice", "bob", "dave")]
    _, second = await connect(alice, bob, "bob", headers={"Privacy": privacy})
    answering = asyncio.create_task(answer_one(dave))
    await second.transfer("dave")
    third = await asyncio.wait_for(answering, PATIENCE)
    for call in (second, third):
        assert call.asserted_identity.assurance is IdentityAssurance.HIDDEN
        assert call.peer.display_name == "Anonymous"
        assert not [value for _, value in call.headers if names_alice.search(value)]


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_a_caller_may_hang_up_at_any_moment_of_the_set_up(lab, phone, turns):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    outgoing = alice.dial("bob")
    await outgoing.start()
    answering = asyncio.create_task(answer_one(bob))
    for _ in range(turns):
        await asyncio.sleep(0.001)
    outgoing.cancel()
    await asyncio.wait([answering], timeout=2)
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await eventually(lambda: not lab.calls)


@pytest.mark.parametrize("rings", [False, True])
async def test_a_callee_whose_connection_dies_before_it_answers_is_no_answer(lab, phone, rings):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    calling = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
    ringing = await next_call(bob)
    if rings:
        ringing.ring()
    lab.cut_connection("bob")
    with pytest.raises(CallError):
        await calling
    await eventually(lambda: not lab.calls)


@pytest.mark.parametrize("target", ["nobody", "604", "*5", "*5nobody", "*5bob", "bob"])
async def test_who_is_not_there_is_said_at_once(lab, phone, target):
    alice = await account_of(lab, phone, "alice")
    with pytest.raises((NotFound, NoAnswer)):
        await alice.dial(target).answered(timeout=PATIENCE)
    await eventually(lambda: not lab.calls)


def with_hops(account, hops):
    """Have an account's INVITEs leave with so many hops left."""
    invite = account._endpoint.invite
    account._endpoint.invite = lambda said, **more: invite(replace(said, max_forwards=hops), **more)


async def test_a_call_with_no_hops_left_goes_no_further(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    with_hops(alice, 0)
    with pytest.raises(CallError) as caught:
        await alice.dial("bob").answered(timeout=PATIENCE)
    assert caught.value.status == 483
    assert "loop" in str(caught.value)
    # The lab's own extensions are where it was going (RFC 3261 section 16.3 is for proxies).
    (await alice.dial("600").answered(timeout=PATIENCE)).hangup()
    with_hops(bob, 5)
    calling = asyncio.create_task(bob.dial("alice").answered(timeout=PATIENCE))
    ringing = await next_call(alice)
    assert ringing._leg.request.max_forwards == 4
    ringing.reject()
    with pytest.raises(Busy):
        await calling


async def test_a_user_may_call_itself_and_hears_itself(lab, phone):
    alice = await account_of(lab, phone, "alice")
    call, other = await connect(alice, alice, "alice")
    await until(other, lambda state: state.lock)
    call.hangup()
    assert (await asyncio.wait_for(other.ended(), PATIENCE)).by is EndedBy.REMOTE
    await eventually(lambda: not lab.calls)


async def test_one_user_may_be_in_two_calls(lab, phone):
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    first, _ = await connect(alice, bob, "bob")
    second, _ = await connect(bob, alice, "alice")
    first.hangup()
    await asyncio.wait_for(first.ended(), PATIENCE)
    assert second.state is CallState.CONFIRMED
    second.hangup()
    await eventually(lambda: not lab.calls)


async def test_an_extension_transfers_nobody_and_the_call_goes_on(lab, phone):
    alice = await account_of(lab, phone, "alice")
    call = await alice.dial("601").answered(timeout=PATIENCE)
    with pytest.raises(CallError) as caught:
        await call.transfer("sip:bob@127.0.0.1")
    assert caught.value.status == 603
    assert await level_heard(call, 440.0) > AUDIBLE_DBM0


async def test_every_leg_has_the_security_of_its_own_login(lab, phone):
    alice = await account_of(lab, phone, "alice", srtp=SrtpPolicy.OPTIONAL)
    dave, carol = [await account_of(lab, phone, name) for name in ("dave", "carol")]
    secure, _ = await connect(alice, dave, "dave")
    assert secure.audio.security.suite is CryptoSuite.AEAD_AES_256_GCM
    secure.hangup()
    fallen, other = await connect(alice, carol, "carol")
    assert fallen.audio.security.suite is None
    assert fallen.security.level is SecurityLevel.NOT_SECURE
    assert other.audio.security.profile == "RTP/AVP"


async def test_the_callees_end_of_a_clear_call_is_clear_too(lab, phone):
    carol = await account_of(lab, phone, "carol")
    bob = await account_of(lab, phone, "bob", srtp=SrtpPolicy.OPTIONAL)
    _, other = await connect(carol, bob, "bob")
    await until(other, lambda state: state.level is SecurityLevel.NOT_SECURE)
    assert other.audio.security.suite is None


async def test_the_music_on_hold_plays_and_the_silence_does_not(lab, phone):
    alice = await account_of(lab, phone, "alice")
    music = await alice.dial("602").answered(timeout=PATIENCE)
    assert max([await level_heard(music, hz) for hz in (261.63, 329.63)]) > -30
    silence = await alice.dial("603").answered(timeout=PATIENCE)
    assert await level_heard(silence, 440.0) < -50


async def test_no_port_left_is_503_and_harms_nobody_else(tmp_path, caplog):
    ports = free_ports(2)
    config = LabConfig(media_ports=(ports.first, ports.last))
    async with LabServer(tmp_path, config) as lab, Phone() as phone:
        alice = await account_of(lab, phone, "alice")
        held = [await alice.dial("601").answered(timeout=PATIENCE) for _ in range(2)]
        with pytest.raises(CallError):
            await alice.dial("601").answered(timeout=PATIENCE)
        assert await level_heard(held[0], 440.0) > AUDIBLE_DBM0
        held[1].hangup()
        await eventually(lambda: lab.calls == 1)
        again = await alice.dial("601").answered(timeout=PATIENCE)
        assert await level_heard(again, 440.0) > AUDIBLE_DBM0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_closing_with_calls_up_hangs_everybody_up(tmp_path):
    async with Phone() as phone:
        lab = LabServer(tmp_path)
        await lab.__aenter__()
        alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
        call, other = await connect(alice, bob, "bob")
        ringing = alice.dial("bob")
        await ringing.start()
        await lab.__aexit__(None, None, None)
        for each in (call, other):
            assert (await asyncio.wait_for(each.ended(), PATIENCE)).by is EndedBy.REMOTE
        with pytest.raises(CallError):
            await ringing.answered(timeout=PATIENCE)
    assert len(asyncio.all_tasks()) == 1


async def test_who_has_a_password_and_tls_is_told_of_the_lock_at_once(lab, phone):
    alice, dave = [await account_of(lab, phone, name) for name in ("alice", "dave")]
    extension = await dave.dial("600").answered(timeout=PATIENCE)
    assert extension.security.lock
    extension.hangup()
    for caller, callee, name in ((dave, alice, "alice"), (alice, dave, "dave")):
        call, other = await connect(caller, callee, name)
        assert call.security.lock
        await until(other, lambda state: state.lock)
        call.hangup()
        await asyncio.wait_for(other.ended(), PATIENCE)


async def test_a_password_over_udp_is_told_of_no_lock(lab, phone):
    carol = await account_of(lab, phone, "carol")
    call = await carol.dial("600").answered(timeout=PATIENCE)
    assert call.security.level is SecurityLevel.NOT_SECURE


async def test_a_caller_without_an_offer_is_told_of_the_lock_too(lab, phone):
    alice, bob = await account_of(lab, phone, "alice"), await account_of(lab, phone, "bob")
    call, other = await connect(alice, bob, "bob", delayed_offer=True)
    for each in (call, other):
        await until(each, lambda state: state.lock)


async def test_both_ends_know_the_session_by_their_own_uuids(lab, phone):
    """RFC 7989: what the caller sends as its own is what the callee hears, and the reverse."""
    alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
    call, other = await connect(alice, bob, "bob")
    assert call.session_id.local == other.session_id.remote
    assert call.session_id.remote == other.session_id.local


async def test_a_transferred_call_is_known_by_the_uuids_of_its_new_ends(lab, phone):
    alice, bob, carol = [await account_of(lab, phone, name) for name in ("alice", "bob", "carol")]
    call, other = await connect(alice, bob, "bob")
    answering = asyncio.create_task(answer_one(carol))
    await call.transfer("carol")
    third = await asyncio.wait_for(answering, PATIENCE)
    await eventually(lambda: other.session_id.remote == third.session_id.local)
    await eventually(lambda: third.session_id.remote == other.session_id.local)
