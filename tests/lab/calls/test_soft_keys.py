"""Soft keys at the lab: three phones in one call, as secure as the least of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.call.leg import CallLeg
from softphone.config import load_account
from softphone.errors import CallError
from softphone.events import CallState
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.security import SecurityLevel, SrtpPolicy
from tests.support.calling import account_of, connect, level_heard, until
from tests.support.waiting import PATIENCE

CERTIFICATE = Login(Transport.TLS, certificate=True)
USERS = (
    LabUser("alice", CERTIFICATE, "cisco_phone"),
    LabUser("bob", CERTIFICATE, "cisco_phone"),
    LabUser("erin", CERTIFICATE, "cisco_phone"),
    LabUser("carol", Login(Transport.UDP)),
)
AUDIBLE = -33.0


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(users=USERS)) as server:
        yield server


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def two_calls(lab, phone, third):
    """Alice talks to bob, and to a third whom she consults."""
    config = load_account(lab.accounts["alice"]).config
    media = replace(config.media, srtp=SrtpPolicy.OPTIONAL)
    alice = await phone.register(replace(config, media=media))
    bob, other = [await account_of(lab, phone, name) for name in ("bob", third)]
    first, bobs = await connect(alice, bob, "bob")
    second, thirds = await connect(alice, other, third)
    return first, bobs, second, thirds


async def test_the_calls_are_joined_and_the_consulting_one_ends(lab, phone):
    first, bobs, second, erins = await two_calls(lab, phone, "erin")
    await first.confer(second)
    await asyncio.wait_for(second.ended(), PATIENCE)
    for call in (first, bobs, erins):
        assert call.state is CallState.CONFIRMED
        await until(call, lambda state: state.lock)
    for speaker, hertz, ears in ((erins, 660.0, (first, bobs)), (first, 880.0, (bobs, erins))):
        speaker.audio.play(ToneSource(hertz))
        for ear in ears:
            assert await level_heard(ear, hertz) > AUDIBLE
        speaker.audio.play(None)


async def test_a_third_in_clear_takes_the_lock_from_all_until_it_leaves(lab, phone):
    first, bobs, second, carols = await two_calls(lab, phone, "carol")
    await until(first, lambda state: state.lock)
    await first.confer(second)
    for call in (first, bobs):
        await until(call, lambda state: state.level is SecurityLevel.NOT_SECURE)
    carols.hangup()
    for call in (first, bobs):
        await until(call, lambda state: state.lock)


async def test_calls_that_are_not_there_are_refused_and_nothing_changes(lab, phone):
    first, bobs, _, _ = await two_calls(lab, phone, "erin")
    with pytest.raises(CallError, match="481") as caught:
        await first.confer(first)
    assert caught.value.status == 481
    assert first.state is bobs.state is CallState.CONFIRMED


async def test_nobody_joins_the_calls_of_others(lab, phone, monkeypatch):
    first, bobs, second, erins = await two_calls(lab, phone, "erin")
    names = iter([first._leg.usage.dialog.id, second._leg.usage.dialog.id])
    monkeypatch.setattr("softphone.call.cisco_conference._name", lambda usage: next(names))
    with pytest.raises(CallError, match="481"):
        await erins.confer(erins)
    assert all(one.state is CallState.CONFIRMED for one in (first, bobs, second, erins))


async def test_join_brings_a_selected_call_into_another_as_conference_does(lab, phone, monkeypatch):
    first, bobs, second, erins = await two_calls(lab, phone, "erin")
    monkeypatch.setattr("softphone.call.cisco_conference.CONFERENCE", "Join")
    await first.confer(second)
    await asyncio.wait_for(second.ended(), PATIENCE)
    erins.audio.play(ToneSource(660.0))
    for ear in (first, bobs):
        assert await level_heard(ear, 660.0) > AUDIBLE


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("Park", "The lab has no Park key"),
        ("conflist", "The lab has no ConfList key"),
        ('"Nonsense"', "The lab has no such key"),
    ],
)
async def test_a_key_that_the_lab_has_not_is_refused_and_that_is_said(
    lab, phone, monkeypatch, key, why
):
    first, bobs, second, erins = await two_calls(lab, phone, "erin")
    monkeypatch.setattr("softphone.call.cisco_conference.CONFERENCE", key)
    with pytest.raises(CallError, match=why) as caught:
        await first.confer(second)
    assert (caught.value.status, caught.value.reason) == (501, why)
    assert all(one.state is CallState.CONFIRMED for one in (first, bobs, second, erins))


async def test_a_conference_right_behind_the_answer_is_made(lab, phone, monkeypatch):
    alice, bob, erin = [await account_of(lab, phone, name) for name in ("alice", "bob", "erin")]
    first, _ = await connect(alice, bob, "bob")
    asked, connected, up = asyncio.Event(), asyncio.Event(), CallLeg.wait_until_up
    handle_refer = lab._calls.handle_refer

    async def late(leg):
        """The lab gets to putting both legs together only after the key."""
        answered = await up(leg)
        if leg in lab._calls._legs:
            await connected.wait()
        return answered

    def refer(event):
        handle_refer(event)
        asked.set()

    monkeypatch.setattr(CallLeg, "wait_until_up", late)
    monkeypatch.setattr(lab._calls, "handle_refer", refer)
    second, _ = await connect(alice, erin, "erin")
    joining = asyncio.create_task(first.confer(second))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    connected.set()
    await asyncio.wait_for(joining, PATIENCE)
    (conversation,) = [one for one in lab._calls._bridged_calls if one.members]
    assert sorted(conversation.members) == ["alice", "bob", "erin"]
