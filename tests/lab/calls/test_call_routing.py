"""Forwards (302 and call forward all) and shared lines: who rings, and how secure that is."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import Busy, CallError, ConfigurationError, NotFound
from softphone.events import CallState, EndedBy, RemoteControlRequested
from softphone.lab import LabConfig, LabServer, LabUser, Login, SharedLine
from softphone.media.audio import ToneSource
from softphone.sans_io import Transport
from softphone.security import SecurityLevel, SecurityShortfall, SrtpPolicy
from tests.support.calling import (
    account_of,
    answer_one,
    eventually,
    level_heard,
    next_call,
    until,
)
from tests.support.waiting import PATIENCE

AUDIBLE = -33.0
CERTIFICATE = Login(Transport.TLS, certificate=True)
USERS = (
    LabUser("alice", CERTIFICATE),
    LabUser("bob", CERTIFICATE, persona="cisco_phone"),
    LabUser("frank", CERTIFICATE),
    LabUser("carol", Login(Transport.UDP)),
)


@pytest.fixture(params=[True, False], ids=["delayed offer", "early offer"])
async def lab(request, tmp_path):
    config = LabConfig(
        users=USERS,
        delayed_offer=request.param,
        shared_lines=(SharedLine("620", ("bob", "carol")), SharedLine("621", ("bob", "frank"))),
    )
    async with LabServer(tmp_path / "lab", config) as server:
        yield server


async def parties(lab, phone, *names, **media):
    return [await account_of(lab, phone, name, **media) for name in names]


async def dialed(caller, callee, target):
    """Both ends of a call to `target` that `callee` takes."""
    answering = asyncio.create_task(answer_one(callee))
    call = await caller.dial(target).answered(timeout=PATIENCE)
    return call, await asyncio.wait_for(answering, PATIENCE)


async def secure(lab, *calls):
    for call in calls:
        await until(call, lambda state: state.lock)
    calls[0].audio.play(ToneSource(660.0))
    assert await level_heard(calls[1], 660.0) > AUDIBLE


async def clear(lab, *calls):
    for call in calls:
        await until(call, lambda state: state.level is SecurityLevel.NOT_SECURE)
        assert call.audio.security.suite is None


async def redirecting(account, *targets):
    incoming = await next_call(account)
    incoming.ring()
    incoming.redirect(*(f"sip:{target}@127.0.0.1" for target in targets))


@pytest.mark.parametrize(("target", "check"), [("frank", secure), ("carol", clear)])
@pytest.mark.parametrize("way", ["302", "all"])
async def test_a_forwarded_call_is_as_secure_as_who_answers(lab, phone, target, check, way):
    alice, bob = await parties(lab, phone, "alice", "bob", srtp=SrtpPolicy.OPTIONAL)
    other = await account_of(lab, phone, target)
    if way == "all":
        lab.forward_all("bob", target)
    else:
        forwarding = asyncio.create_task(redirecting(bob, target))
    call, end = await dialed(alice, other, "bob")
    if way == "302":
        await forwarding
    await check(lab, call, end)
    call.hangup()
    await eventually(lambda: not lab.calls)


@pytest.mark.parametrize("way", ["302", "all"])
async def test_a_caller_who_demands_srtp_is_not_forwarded_into_the_clear(lab, phone, way):
    alice, bob, carol = await parties(lab, phone, "alice", "bob", "carol")
    if way == "all":
        lab.forward_all("bob", "carol")
    else:
        forwarding = asyncio.create_task(redirecting(bob, "carol"))
    answering = asyncio.create_task(answer_one(carol))
    with pytest.raises(SecurityShortfall, match="SRTP is required"):
        await alice.dial("bob").answered(timeout=PATIENCE)
    if way == "302":
        await forwarding
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await eventually(lambda: not lab.calls)


async def test_forwards_follow_one_another_and_end_at_an_extension(lab, phone):
    alice, _, frank = await parties(lab, phone, "alice", "bob", "frank")
    lab.forward_all("bob", "frank")
    forwarding = asyncio.create_task(redirecting(frank, "nobody", "601"))
    call = await alice.dial("bob").answered(timeout=PATIENCE)
    await forwarding
    assert await level_heard(call, 440.0) > AUDIBLE
    assert call.security.lock


async def test_forwards_in_a_circle_end(lab, phone):
    alice, bob = await parties(lab, phone, "alice", "bob")

    async def forward_for_ever():
        while True:
            await redirecting(bob, "bob")

    forwarding = asyncio.create_task(forward_for_ever())
    with pytest.raises(CallError) as caught:
        await alice.dial("bob").answered(timeout=PATIENCE)
    assert caught.value.status == 482
    forwarding.cancel()
    await asyncio.gather(forwarding, return_exceptions=True)
    lab.forward_all("bob", "alice")
    lab.forward_all("alice", "bob")
    calling = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
    (await next_call(bob)).reject(486)
    with pytest.raises(Busy):
        await calling
    await eventually(lambda: not lab.calls)


async def test_a_forward_to_nobody_is_the_end(lab, phone):
    alice, bob = await parties(lab, phone, "alice", "bob")
    forwarding = asyncio.create_task(redirecting(bob, "nobody"))
    with pytest.raises(CallError) as caught:
        await alice.dial("bob").answered(timeout=PATIENCE)
    assert caught.value.status == 480
    await forwarding


async def test_a_user_forwards_by_dialing_and_its_device_is_told(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    with pytest.raises(NotFound):
        await bob.dial("*72nobody").answered(timeout=PATIENCE)
    (await bob.dial("*72frank").answered(timeout=PATIENCE)).hangup()
    assert await forwards_told(bob, 2) == ["", "frank"]
    call, _ = await dialed(alice, frank, "bob")
    call.hangup()
    (await bob.dial("*72").answered(timeout=PATIENCE)).hangup()
    assert await forwards_told(bob, 3) == ["", "frank", ""]
    await dialed(alice, bob, "bob")


async def forwards_told(account, count):
    """Whom the server has said that all calls go to, from the start, so many times."""
    told = []
    async with asyncio.timeout(PATIENCE):
        async for event in account.events():
            if isinstance(event, RemoteControlRequested) and event.request == "cfwdallupdate":
                told.append(dict(event.values).get("fwdaddress", ""))
            if len(told) == count:
                return told


async def test_a_transfer_follows_a_forward(lab, phone):
    alice, bob, frank, carol = await parties(lab, phone, "alice", "bob", "frank", "carol")
    lab.forward_all("frank", "carol")
    call, other = await dialed(alice, bob, "bob")
    answering = asyncio.create_task(answer_one(carol))
    await asyncio.wait_for(call.transfer("sip:frank@127.0.0.1"), PATIENCE)
    await answering
    await until(other, lambda state: state.level is SecurityLevel.NOT_SECURE)
    assert frank is not None


@pytest.mark.parametrize(("taker", "check"), [("bob", secure), ("carol", clear)])
async def test_a_shared_line_is_as_secure_as_the_phone_that_answers(lab, phone, taker, check):
    (alice,) = await parties(lab, phone, "alice", srtp=SrtpPolicy.OPTIONAL)
    both = dict(zip(("bob", "carol"), await parties(lab, phone, "bob", "carol"), strict=True))
    calling = asyncio.create_task(alice.dial("620").answered(timeout=PATIENCE))
    ringing = {name: await next_call(account) for name, account in both.items()}
    for one in ringing.values():
        one.ring()
    end = await ringing.pop(taker).answer()
    call = await calling
    (other,) = ringing.values()
    ended = await asyncio.wait_for(other.ended, PATIENCE)
    assert (ended.by, ended.status) == (EndedBy.REMOTE, 200)
    assert ended.reason == "Call completed elsewhere"
    await check(lab, call, end)
    assert call.state is end.state is CallState.CONFIRMED
    call.hangup()
    await eventually(lambda: not lab.calls)


async def test_one_phone_of_a_shared_line_that_refuses_leaves_the_other_ringing(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    calling = asyncio.create_task(alice.dial("621").answered(timeout=PATIENCE))
    (await next_call(bob)).reject(603)
    end = await (await next_call(frank)).answer()
    await secure(lab, await calling, end)


async def test_a_shared_line_that_all_refuse_has_the_best_of_the_refusals(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    calling = asyncio.create_task(alice.dial("621").answered(timeout=PATIENCE))
    (await next_call(bob)).reject(500, "on fire")
    (await next_call(frank)).reject(486, "in a meeting")
    with pytest.raises(Busy) as caught:
        await calling
    assert caught.value.reason == "in a meeting"
    await eventually(lambda: not lab.calls)


async def test_a_caller_who_gives_up_ends_the_ringing_of_a_whole_line(lab, phone):
    alice, bob, frank = await parties(lab, phone, "alice", "bob", "frank")
    async with alice.dial("621"):
        ringing = [await next_call(one) for one in (bob, frank)]
    for one in ringing:
        await asyncio.wait_for(one.ended, PATIENCE)
    await eventually(lambda: not lab.calls)


@pytest.mark.parametrize(
    "line", [SharedLine("9", ()), SharedLine("9", ("nobody",)), SharedLine("bob", ("alice",))]
)
def test_a_line_has_a_name_of_its_own_and_users(line):
    with pytest.raises(ConfigurationError, match="shared line"):
        LabConfig(users=USERS, shared_lines=(line,))
