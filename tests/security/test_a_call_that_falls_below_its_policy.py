"""A call that falls below its policy is hung up, or held with its media stopped; never goes on."""

from __future__ import annotations

import asyncio

import pytest

from softphone.events import CallState, Direction, EndedBy, HoldChanged
from softphone.security import OnDrop, Scope, SecurityLevel, SecurityPolicy, SecurityShortfall
from softphone.sip import security_call_info
from tests.support.stage import Stage, first_line, with_header


class Server:
    """A tamper that has Bob's side say a level in whatever it sends."""

    def __init__(self):
        self.level = SecurityLevel.ENCRYPTED

    def __call__(self, name, data):
        if name == "bob" and first_line(data).split()[0] in ("SIP/2.0", "UPDATE", "INVITE"):
            return with_header(data, "Call-Info", security_call_info(self.level))
        return data


async def confirmed(on_drop):
    stage, server = Stage(), Server()
    stage.alice.policy = SecurityPolicy(scope=Scope.END_TO_END, on_drop=on_drop)
    stage.alice.vouched = True
    stage.tamper = server
    caller, callee = stage.answered()
    assert caller.security.lock
    return stage, server, caller, callee


def announce(stage, server, level):
    server.level = level
    with stage.bob.change() as now:
        stage.bob.leg.usage.update(None, now=now)
    stage.run(0.1)


async def test_it_is_hung_up():
    stage, server, caller, callee = await confirmed(OnDrop.HANGUP)
    announce(stage, server, SecurityLevel.NOT_SECURE)
    assert caller.ended.result().by is EndedBy.POLICY
    assert callee.state is CallState.TERMINATED
    assert stage.alice.port.closed == set(stage.alice.port.opened)


async def test_it_is_held_and_nothing_flows_until_it_is_taken_back():
    stage, server, caller, _ = await confirmed(OnDrop.HOLD)
    handle = caller.stream.handle
    announce(stage, server, SecurityLevel.NOT_SECURE)
    # Media is stopped in the same drain, before the far end knows of the hold.
    assert ("direction", handle, Direction.INACTIVE) in stage.alice.port.commands
    await asyncio.sleep(0)
    stage.run(0.3)
    await asyncio.sleep(0)
    assert caller.state is CallState.CONFIRMED
    assert caller.negotiation.held
    assert stage.alice.port.specs[-1].direction is Direction.INACTIVE
    announce(stage, server, SecurityLevel.AUTHENTICATED)
    assert stage.alice.port.specs[-1].direction is Direction.INACTIVE
    with pytest.raises(SecurityShortfall):
        await caller.renegotiate(held=False)
    announce(stage, server, SecurityLevel.ENCRYPTED)
    assert stage.alice.port.specs[-1].direction is Direction.INACTIVE
    resume = asyncio.ensure_future(caller.renegotiate(held=False))
    await asyncio.sleep(0)
    stage.run(0.3)
    await resume
    assert stage.alice.port.specs[-1].direction is Direction.SENDRECV
    directions = [e.direction for e in stage.alice.events if isinstance(e, HoldChanged)]
    assert directions == [Direction.INACTIVE, Direction.SENDRECV]


async def test_a_far_end_that_refuses_the_hold_is_hung_up():
    stage, server, caller, callee = await confirmed(OnDrop.HOLD)

    def refuse(body):
        with callee.setup.command() as now:
            callee.usage.reject_modification(488, now=now)

    callee._answer_offer = refuse
    announce(stage, server, SecurityLevel.NOT_SECURE)
    await asyncio.sleep(0)
    stage.run(0.3)
    await asyncio.sleep(0.01)
    assert caller.state is CallState.TERMINATED


async def test_every_drop_raises_the_generation_before_the_next_sound():
    stage, server = Stage(), Server()
    stage.alice.vouched = True
    stage.tamper = server
    caller, _ = stage.answered()
    before = stage.alice.port.specs[-1].security_generation
    announce(stage, server, SecurityLevel.NOT_SECURE)
    assert stage.alice.port.specs[-1].security_generation == before + 1
    assert caller.state is CallState.CONFIRMED
