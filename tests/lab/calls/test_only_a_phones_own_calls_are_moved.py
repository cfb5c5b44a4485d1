"""A user of the lab who has read another's tags can move that call nowhere."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from softphone.errors import CallError
from softphone.events import CallState
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.sip import NameAddr
from tests.support.calling import account_of, connect
from tests.support.waiting import PATIENCE

NAMES = ("alice", "bob", "mallory", "frank")
CERTIFICATE = Login(Transport.TLS, certificate=True)


@pytest.fixture
async def world(tmp_path):
    """Alice talks to Bob, and Mallory to Frank."""
    config = LabConfig(users=tuple(LabUser(name, CERTIFICATE) for name in NAMES))
    async with LabServer(tmp_path / "lab", config) as lab, Phone() as phone:
        accounts = [await account_of(lab, phone, name) for name in NAMES]
        alice, bob, mallory, frank = accounts
        victim, other = await connect(alice, bob, "bob")
        own, friend = await connect(mallory, frank, "frank")
        yield SimpleNamespace(
            lab=lab, mallory=mallory, victim=victim, other=other, own=own, friend=friend
        )


def tags(call):
    return call._leg.active_usage.replaces_value()


async def test_an_invite_that_would_replace_anothers_call_is_forbidden(world):
    outgoing = world.mallory.dial("600", replaces=tags(world.victim))
    with pytest.raises(CallError) as caught:
        await outgoing.answered(timeout=PATIENCE)
    assert caught.value.status == 403
    assert world.victim.state is world.other.state is CallState.CONFIRMED


async def test_a_transfer_that_would_take_anothers_call_is_forbidden(world):
    value = tags(world.victim).replace(";", "%3B").replace("=", "%3D")
    refer_to = NameAddr.parse(f"<sip:bob@127.0.0.1?Replaces={value}>")
    with pytest.raises(CallError) as caught:
        await asyncio.wait_for(world.own._leg.transfer(refer_to), PATIENCE)
    assert caught.value.status == 403
    for call in (world.victim, world.other, world.own, world.friend):
        assert call.state is CallState.CONFIRMED


async def test_a_call_of_ones_own_is_replaced(world):
    call = await world.mallory.dial("600", replaces=tags(world.own)).answered(timeout=PATIENCE)
    await asyncio.wait_for(world.own.ended(), PATIENCE)
    assert call.state is CallState.CONFIRMED
