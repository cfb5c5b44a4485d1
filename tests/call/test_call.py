"""An established call, as the application holds it."""

from __future__ import annotations

import asyncio

import pytest

from softphone.call import Call
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import CallState, Direction, EndedBy
from softphone.sip import MalformedMessage, ReferReceived
from tests.support.stage import Stage, edit_body


def calls(stage, **options):
    caller, callee = stage.answered(**options)
    return Call.of(caller), Call.of(callee)


async def during(stage, work, seconds=0.3):
    """Run a coroutine while virtual time passes."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    stage.run(seconds)
    return await task


def without_events(name, data):
    """No telephone-event is offered or answered."""

    def edit(body):
        lines = body.replace(b" 101\r\n", b"\r\n").split(b"\r\n")
        return b"\r\n".join(line for line in lines if b":101 " not in line)

    return edit_body(data, edit)


async def test_there_is_one_call_for_a_leg():
    stage = Stage()
    call, other = calls(stage)
    assert Call.of(call._leg) is call
    assert call.id == other.id
    assert call.state is CallState.CONFIRMED
    assert call.streams == (call.audio,)
    assert str(call.peer.uri) == "sip:bob@192.0.2.2"


async def test_hold_and_resume_do_nothing_twice():
    stage = Stage()
    call, _ = calls(stage)
    await during(stage, call.hold())
    assert call.held
    sent = len(stage.wire)
    await call.hold()
    assert len(stage.wire) == sent
    await during(stage, call.resume())
    await call.resume()
    assert call.audio.direction is Direction.SENDRECV


async def test_leaving_the_block_hangs_up():
    stage = Stage()
    call, other = calls(stage)
    async with call:
        assert call.state is CallState.CONFIRMED
    stage.run(0.1)
    assert (await call.ended()).by is EndedBy.LOCAL
    assert (await other.ended()).by is EndedBy.REMOTE
    assert [type(event).__name__ async for event in call.events()][-1] == "CallEnded"


async def test_a_wait_for_the_end_that_is_given_up_harms_nothing():
    stage = Stage()
    call, _ = calls(stage)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call.ended(), 0.001)
    call.hangup()
    assert (await call.ended()).by is EndedBy.LOCAL


async def test_digits_go_as_telephone_events_where_they_were_agreed():
    stage = Stage()
    call, _ = calls(stage)
    await call.send_digits("5", duration_ms=1)
    assert ("digits", call._leg.stream.handle, "5") in stage.alice.port.commands
    assert "INFO" not in stage.sent("alice")


async def test_digits_go_by_info_where_they_were_not():
    stage = Stage()
    stage.tamper = without_events
    call, other = calls(stage)
    await call.send_digits("4b", duration_ms=1)
    stage.run(0.1)
    digits = [event.digit for event in stage.bob.events if hasattr(event, "digit")]
    assert digits == ["4", "B"]
    with pytest.raises(ConfigurationError, match="'!x'"):
        await call.send_digits("1x!")
    other.hangup()
    stage.run(0.1)
    with pytest.raises(LocalProtocolError):
        await call.send_digits("1")


async def test_an_attended_transfer_names_the_dialog_as_its_peer_sees_it():
    stage = Stage()
    call, _ = calls(stage)
    consultation, seen = calls(stage)
    asked = asyncio.ensure_future(call.transfer(consultation))
    await asyncio.sleep(0)
    refers = []
    stage.bob.legs[0].handlers = {
        **stage.bob.legs[0].handlers,
        ReferReceived: lambda leg, event: refers.append(event),
    }
    stage.run(0.1)
    (event,) = refers
    call_id, to_tag, from_tag = event.replaces.split(";")
    local, remote = seen._leg.usage.local.tag, seen._leg.usage.remote.tag
    assert (call_id, to_tag, from_tag) == (seen.id, f"to-tag={local}", f"from-tag={remote}")
    assert event.referred_by is not None
    with stage.bob.change() as now:
        event.subscription.accept(now=now)
        event.subscription.progress(200, "OK", now=now)
    stage.run(0.1)
    await asked
    assert call.state is CallState.TERMINATED


async def test_a_target_that_is_none_is_refused_before_anything_is_sent():
    stage = Stage()
    call, _ = calls(stage)
    sent = len(stage.wire)
    with pytest.raises(MalformedMessage):
        await call.transfer("not a uri")
    assert len(stage.wire) == sent


async def test_what_comes_after_the_end_is_our_mistake():
    stage = Stage()
    call, _ = calls(stage)
    call.hangup()
    call.hangup()
    for work in (call.hold, lambda: call.transfer("sip:a@h")):
        with pytest.raises(LocalProtocolError):
            await work()
    with pytest.raises(LocalProtocolError):
        call.reject_transfer()
