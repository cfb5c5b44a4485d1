"""Sessions that change or are refreshed, with SIPp: UPDATE, glare, session timers."""

from __future__ import annotations

import asyncio

import pytest

from softphone.events import CallState, Direction, EndedBy
from softphone.sip import (
    AckReceived,
    Cause,
    InviteAnswered,
    InviteEnded,
    InviteReceived,
    ModificationAnswered,
    ProvisionalReceived,
    SessionRefreshed,
)
from tests.peers.direct import (
    Desk,
    answered_call,
    calling,
    description,
    dialing,
    finished,
    left_by_far_end,
    sending,
    until,
)
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.peer("sipp")


@pytest.mark.feature("UPDATE")
async def test_our_update_in_the_early_and_the_confirmed_dialog(sipp):
    async with Desk() as desk:
        with sipp.run("uas_update_received") as run:
            usage = desk.invite(run.uri(), description())
            assert (await desk.expect(ProvisionalReceived)).role == "answer"
            await until(lambda: run.sent("SIP/2.0 200"))  # the PRACK has arrived (RFC 3311 5.1)
            with desk.change() as now:
                usage.update(description(2), now=now)
            assert (await desk.expect(ModificationAnswered)).role == "answer"
            assert (await desk.expect(InviteAnswered)).role is None
            with desk.change() as now:
                usage.update(description(3, "sendonly"), now=now)
            held = await desk.expect(ModificationAnswered)
            assert b"a=recvonly" in held.body.data
            with desk.change() as now:
                usage.bye(now=now)
            await finished(run)


@pytest.mark.feature("UPDATE")
async def test_the_update_of_a_called_side(sipp):
    async with Desk() as desk:
        with calling(sipp, desk, "uac_update_received") as run:
            usage = (await desk.expect(InviteReceived)).usage
            with desk.change() as now:
                usage.accept(description(), now=now)
            await desk.expect(AckReceived)
            with desk.change() as now:
                usage.update(description(2, "sendonly"), now=now)
            assert (await desk.expect(ModificationAnswered)).role == "answer"
            with desk.change() as now:
                usage.bye(now=now)
            await finished(run)


@pytest.mark.feature("glare 491")
async def test_a_hold_that_meets_491_is_tried_again_after_two_to_four_seconds(sipp, line):
    clock = asyncio.get_running_loop().time
    async with dialing(sipp, line, "uas_491") as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        before = clock()
        await call.hold()
        assert 2.1 <= clock() - before < 5.0
        assert call.held
    assert len(run.received("INVITE")) == 3


@pytest.mark.feature("glare 491")
async def test_both_sides_change_at_once(sipp, line):
    async with dialing(sipp, line, "uas_glare") as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await call.hold()
        assert call.state is CallState.CONFIRMED
    assert len(run.received("SIP/2.0 491")) == 1


@pytest.mark.feature("glare 491")
async def test_a_called_phone_tries_again_within_two_seconds(sipp, line):
    clock = asyncio.get_running_loop().time
    with calling(sipp, line, "uac_491") as run:
        call = await answered_call(line)
        before = clock()
        await call.hold()
        assert clock() - before < 2.5
        assert call.audio.direction is Direction.SENDONLY
        call.hangup()
        await finished(run)


@pytest.mark.feature("422")
async def test_a_422_is_answered_with_a_longer_interval(sipp, line):
    async with dialing(sipp, line, "uas_422") as (_, outgoing):
        await outgoing.answered(timeout=PATIENCE)


@pytest.mark.feature("422")
async def test_too_short_an_interval_gets_422(sipp, line):
    with calling(sipp, line, "uac_422") as run:
        await left_by_far_end(await answered_call(line))
        await finished(run)
    (refusal,) = run.received("SIP/2.0 422")
    assert "Min-SE: 90" in refusal


@pytest.fixture
def short_sessions(monkeypatch):
    """Has intervals of seconds count, so that a test sees them pass."""
    monkeypatch.setattr("softphone.sip.invite.session_timer.SHORTEST", 1.0)


@pytest.mark.usefixtures("short_sessions")
@pytest.mark.feature("session timers")
@pytest.mark.parametrize("method", ["update", "invite"])
async def test_we_refresh_the_session_where_we_are_asked_to(sipp, line, method):
    with sipp.run(f"uas_refreshed_by_{method}") as run:
        async with line.dial(run.uri()) as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            await left_by_far_end(call)
        await finished(run)


@pytest.mark.feature("session timers")
async def test_the_far_end_refreshes_the_session(sipp, line):
    async with dialing(sipp, line, "uas_refresh") as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await sending(call)
        await until(lambda: run.received("ACK"))
        run.go_on()
        await left_by_far_end(call)


@pytest.mark.feature("session timers")
async def test_a_called_side_refreshes_the_session(sipp):
    async with Desk(min_se=4.0) as desk:
        with calling(sipp, desk, "uac_refreshed") as run:
            usage = (await desk.expect(InviteReceived)).usage
            with desk.change() as now:
                usage.accept(description(), now=now)
            assert (await desk.expect(SessionRefreshed)).by_us
            assert (await desk.expect(InviteEnded)).cause is Cause.REMOTE
            await finished(run)


@pytest.mark.usefixtures("short_sessions")
@pytest.mark.feature("session timers")
async def test_a_peer_that_is_gone_gets_bye(sipp, line):
    async with dialing(sipp, line, "uas_gone") as (_, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            ended = await call.ended()
    assert (ended.by, ended.status) == (EndedBy.TIMEOUT, 408)


@pytest.mark.feature("session timers")
async def test_a_caller_that_is_gone_gets_bye(sipp):
    async with Desk(min_se=3.0) as desk:
        with calling(sipp, desk, "uac_gone") as run:
            usage = (await desk.expect(InviteReceived)).usage
            with desk.change() as now:
                usage.accept(description(), now=now)
            ended = await desk.expect(InviteEnded)
            assert (ended.cause, ended.status) == (Cause.TIMEOUT, 408)
            await finished(run)
