"""Transfers in the lab, and how secure everybody is told to be while they go on."""

from __future__ import annotations

import asyncio

import pytest

from softphone.call.leg import CallLeg
from softphone.errors import CallError
from softphone.events import CallState, EndedBy, PeerChanged, SecurityChanged, TransferProgressed
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.security import SecurityLevel
from tests.support.calling import (
    account_of,
    answer_one,
    connect,
    eventually,
    level_heard,
    next_call,
    until,
)
from tests.support.waiting import PATIENCE

CERTIFICATE = Login(Transport.TLS, certificate=True)
USERS = (
    LabUser("alice", CERTIFICATE),
    LabUser("bob", CERTIFICATE),
    LabUser("frank", CERTIFICATE),
    LabUser("carol", Login(Transport.UDP)),
)
AUDIBLE = -33.0


@pytest.fixture(params=[True, False], ids=["delayed offer", "early offer"])
async def lab(request, tmp_path):
    config = LabConfig(users=USERS, delayed_offer=request.param)
    async with LabServer(tmp_path / "lab", config) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def parties(lab, phone, *names):
    return [await account_of(lab, phone, name) for name in names]


async def locked(*calls):
    for call in calls:
        await until(call, lambda state: state.lock)


async def unlocked(*calls):
    for call in calls:
        await until(call, lambda state: state.level is SecurityLevel.NOT_SECURE)


async def named(call, user):
    """Wait until a call's far end has this name."""
    await eventually(lambda: call.peer.uri.user == user)


def progress_of(call):
    """The statuses of a transfer that a call was told of."""
    events = call._leg.event_queue._events
    return [event.status for event in events if isinstance(event, TransferProgressed)]


def shown(call):
    """Names and locks in the order in which a call was told of them, each change once."""
    told = []
    for event in call._leg.event_queue._events:
        if isinstance(event, PeerChanged):
            told.append(event.name)
        elif isinstance(event, SecurityChanged):
            told.append("lock" if event.after.lock else "no lock")
    return [word for word, before in zip(told, [None, *told], strict=False) if word != before]


async def test_a_blind_transfer_to_a_secure_phone_keeps_the_lock(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    call, other = await connect(alice, bob, "bob")
    await locked(call, other)
    answering = asyncio.create_task(answer_one(frank))
    await asyncio.wait_for(call.transfer("sip:frank@127.0.0.1"), PATIENCE)
    third = await answering
    assert call.state is CallState.TERMINATED
    await locked(other, third)
    await named(other, "frank")
    await named(third, "bob")
    third.audio.play(ToneSource(660.0))
    assert await level_heard(other, 660.0) > AUDIBLE
    other.hangup()
    assert (await asyncio.wait_for(third.ended(), PATIENCE)).by is EndedBy.REMOTE
    await eventually(lambda: not lab.calls)


async def test_to_an_insecure_phone_the_lock_goes_and_comes_back_with_the_next(lab, phone):
    alice, bob, frank, carol = await parties(lab, phone, "alice", "bob", "frank", "carol")
    call, other = await connect(alice, bob, "bob")
    await locked(call, other)
    answering = asyncio.create_task(answer_one(carol))
    await asyncio.wait_for(call.transfer("sip:carol@127.0.0.1"), PATIENCE)
    third = await answering
    await unlocked(other)
    assert not other.security.lock
    await named(other, "carol")
    assert other.audio.security.suite is not None
    answering = asyncio.create_task(answer_one(frank))
    await asyncio.wait_for(third.transfer("sip:frank@127.0.0.1"), PATIENCE)
    last = await answering
    await locked(other, last)
    await named(other, "frank")
    assert shown(other) == ["lock", "no lock", "carol", "frank", "lock"]


async def test_an_attended_transfer_joins_the_two_others(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    first, other = await connect(alice, bob, "bob")
    await first.hold()
    second, third = await connect(alice, frank, "frank")
    await asyncio.wait_for(first.transfer(second), PATIENCE)
    await asyncio.wait_for(second.ended(), PATIENCE)
    await locked(other, third)
    await named(other, "frank")
    await named(third, "bob")
    third.audio.play(ToneSource(880.0))
    assert await level_heard(other, 880.0) > AUDIBLE
    third.hangup()
    await asyncio.wait_for(other.ended(), PATIENCE)
    await eventually(lambda: not lab.calls)


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [("nobody", 404, "Not Found"), ("frank", 480, "Temporarily Unavailable")],
)
async def test_whoever_is_not_there_cannot_be_transferred_to(lab, phone, target, status, reason):
    alice, bob = await parties(lab, phone, "alice", "bob")
    call, other = await connect(alice, bob, "bob")
    with pytest.raises(CallError) as caught:
        await call.transfer(f"sip:{target}@127.0.0.1")
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert progress_of(call) == [100, status]
    assert call.state is other.state is CallState.CONFIRMED


async def test_a_target_that_refuses_leaves_the_call_as_it_was(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    call, other = await connect(alice, bob, "bob")
    transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
    (await next_call(frank)).reject(486)
    with pytest.raises(CallError) as caught:
        await transferring
    assert (caught.value.status, caught.value.reason) == (486, "Busy Here")
    assert other.state is CallState.CONFIRMED
    await locked(call, other)


async def test_a_target_that_never_answers_is_given_up(tmp_path, phone):
    config = LabConfig(users=USERS, alerting_patience=1.0)
    async with LabServer(tmp_path / "lab", config) as lab:
        alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
        call, _ = await connect(alice, bob, "bob")
        transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
        ringing = await next_call(frank)
        with pytest.raises(CallError) as caught:
            await transferring
        assert caught.value.status == 408
        await asyncio.wait_for(ringing.ended, PATIENCE)


async def test_whoever_asks_may_leave_before_it_is_through(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    call, other = await connect(alice, bob, "bob")
    transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
    incoming = await next_call(frank)
    call.hangup()
    third = await incoming.answer()
    await asyncio.gather(transferring, return_exceptions=True)
    await locked(other, third)
    other.hangup()
    await eventually(lambda: not lab.calls)


async def test_nobody_is_left_when_the_other_goes_meanwhile(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    call, other = await connect(alice, bob, "bob")
    transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
    incoming = await next_call(frank)
    other.hangup()
    await other.ended()
    answering = asyncio.create_task(incoming.answer())
    await asyncio.gather(transferring, answering, return_exceptions=True)
    await eventually(lambda: not lab.calls)


@pytest.mark.parametrize("first", [False, True], ids=["", "after whoever asked"])
async def test_ringing_for_nobody_ends_at_once(tmp_path, phone, first):
    config = LabConfig(users=USERS, alerting_patience=3600.0)
    async with LabServer(tmp_path / "lab", config) as lab:
        alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
        call, other = await connect(alice, bob, "bob")
        transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
        ringing = await next_call(frank)
        if first:
            call.hangup()
            await call.ended()
        else:
            await eventually(lambda: 180 in progress_of(call))
        other.hangup()
        await asyncio.wait_for(ringing.ended, PATIENCE)
        with pytest.raises(CallError) as caught:
            await asyncio.wait_for(transferring, PATIENCE)
        if not first:
            assert caught.value.status == progress_of(call)[-1] == 487
            assert (await asyncio.wait_for(call.ended(), PATIENCE)).by is EndedBy.REMOTE
        await eventually(lambda: not lab.calls)


async def test_a_third_party_still_has_the_target_ring(tmp_path, phone):
    config = LabConfig(users=USERS, alerting_patience=3600.0)
    async with LabServer(tmp_path / "lab", config) as lab:
        alice, bob, frank, carol = await parties(lab, phone, "alice", "bob", "frank", "carol")
        call, other = await connect(alice, bob, "bob")
        third = await carol.dial("*5bob").answered(timeout=PATIENCE)
        transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
        incoming = await next_call(frank)
        other.hangup()
        await eventually(lambda: len(lab._calls._bridged_calls[0].members) == 2)
        assert incoming.peer.uri.user == "bob"
        last = await incoming.answer()
        await asyncio.wait_for(transferring, PATIENCE)
        await named(last, "carol")
        third.hangup()
        assert (await asyncio.wait_for(last.ended(), PATIENCE)).by is EndedBy.REMOTE


async def test_a_forwarding_target_is_followed_though_whoever_it_was_told_of_has_left(
    tmp_path, phone
):
    config = LabConfig(users=USERS, alerting_patience=3600.0)
    async with LabServer(tmp_path / "lab", config) as lab:
        alice, bob, frank, carol = await parties(lab, phone, "alice", "bob", "frank", "carol")
        call, other = await connect(alice, bob, "bob")
        third = await carol.dial("*5bob").answered(timeout=PATIENCE)
        transferring = asyncio.create_task(call.transfer("sip:frank@127.0.0.1"))
        incoming = await next_call(frank)
        other.hangup()
        await eventually(lambda: len(lab._calls._bridged_calls[0].members) == 2)
        await eventually(lambda: len(lab._calls._legs) == 3)
        incoming.redirect("sip:bob@127.0.0.1")
        last = await (await next_call(bob)).answer()
        await asyncio.wait_for(transferring, PATIENCE)
        await named(last, "carol")
        third.hangup()
        assert (await asyncio.wait_for(last.ended(), PATIENCE)).by is EndedBy.REMOTE


async def test_a_made_up_replaces_joins_nobody(lab, phone):
    alice, bob = await parties(lab, phone, "alice", "bob")
    call, other = await connect(alice, bob, "bob")
    made_up = "sip:bob@127.0.0.1?Replaces=none%3Bto-tag%3D1%3Bfrom-tag%3D2"
    with pytest.raises(CallError) as caught:
        await call.transfer(made_up)
    assert caught.value.status == 481
    assert other.state is CallState.CONFIRMED


@pytest.mark.parametrize(
    ("target", "notes"),
    [("600", [660.0]), ("601", [440.0]), ("602", [261.63, 329.63, 392.0]), ("603", [])],
)
async def test_a_transfer_to_an_extension_leaves_the_other_with_it(lab, phone, target, notes):
    alice, bob = await parties(lab, phone, "alice", "bob")
    call, other = await connect(alice, bob, "bob")
    await asyncio.wait_for(call.transfer(f"sip:{target}@127.0.0.1"), PATIENCE)
    assert call.state is CallState.TERMINATED
    await locked(other)
    other.audio.play(ToneSource(660.0))
    levels = [await level_heard(other, frequency) for frequency in notes or (660.0, 440.0)]
    assert (max(levels) > AUDIBLE) is bool(notes)
    assert other.state is CallState.CONFIRMED
    other.hangup()
    await eventually(lambda: not lab.calls)


async def test_an_extension_brings_the_lock_that_a_party_in_clear_took(lab, phone):
    carol, bob = await parties(lab, phone, "carol", "bob")
    bob = await account_of(lab, phone, "bob")
    call, other = await connect(bob, await account_of(lab, phone, "frank"), "frank")
    await locked(call, other)
    third = await carol.dial("*5bob").answered(timeout=PATIENCE)
    await unlocked(call, other)
    call.hangup()
    # While there are three it is a conference, which is not transferred.
    await eventually(lambda: all(len(one._members) == 2 for one in lab._calls._bridged_calls))
    await asyncio.wait_for(third.transfer("sip:601@127.0.0.1"), PATIENCE)
    await locked(other)
    assert await level_heard(other, 440.0) > AUDIBLE


async def test_a_conference_is_not_transferred_to_an_extension(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    call, other = await connect(alice, bob, "bob")
    third = await frank.dial("*5alice").answered(timeout=PATIENCE)
    with pytest.raises(CallError) as caught:
        await call.transfer("sip:601@127.0.0.1")
    assert (caught.value.status, caught.value.reason) == (603, "Decline")
    assert {each.state for each in (call, other, third)} == {CallState.CONFIRMED}


@pytest.mark.parametrize("by_callee", [False, True])
async def test_a_transfer_right_behind_the_answer_is_done(lab, phone, monkeypatch, by_callee):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    asked, connected, up = asyncio.Event(), asyncio.Event(), CallLeg.wait_until_up
    handle_refer = lab._calls.handle_refer

    async def late(leg):
        """The lab gets to putting both legs together only after the REFER."""
        answered = await up(leg)
        if leg in lab._calls._legs:
            await connected.wait()
        return answered

    def refer(event):
        handle_refer(event)
        asked.set()

    monkeypatch.setattr(CallLeg, "wait_until_up", late)
    monkeypatch.setattr(lab._calls, "handle_refer", refer)
    first, second = await connect(alice, bob, "bob")
    asker, stays = (second, first) if by_callee else (first, second)
    answering = asyncio.create_task(answer_one(frank))
    transferring = asyncio.create_task(asker.transfer("sip:frank@127.0.0.1"))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    connected.set()
    await asyncio.wait_for(transferring, PATIENCE)
    await locked(stays, await answering)
