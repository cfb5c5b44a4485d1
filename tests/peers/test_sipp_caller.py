"""Calls that the phone makes to SIPp: answers of every kind, forks, CANCEL and lost messages."""

from __future__ import annotations

import pytest

from softphone.errors import Busy, Canceled
from softphone.events import (
    CallRinging,
    CallState,
    Direction,
    EarlyMediaStarted,
    EndedBy,
    HoldChanged,
)
from softphone.sip import InviteAnswered, ModificationAnswered
from tests.peers.direct import (
    AUDIBLE_DBM0,
    Desk,
    description,
    dialing,
    finished,
    sending,
    tone_level_of,
    until,
)
from tests.peers.phones import next_event
from tests.peers.sipp.runner import TONE_HZ
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.peer("sipp")


@pytest.mark.feature("call")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_over_udp_and_tcp_is_answered_heard_and_ended(sipp, line, transport):
    async with dialing(sipp, line, "uas_answer", transport=transport) as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await sending(call)
        assert await tone_level_of(call.audio, TONE_HZ) > AUDIBLE_DBM0
    assert len(run.received("INVITE")) == 1


@pytest.mark.feature("call")
async def test_a_busy_peer_is_busy(sipp, line):
    async with dialing(sipp, line, "uas_busy") as (_, outgoing):
        with pytest.raises(Busy):
            await outgoing.answered(timeout=PATIENCE)


@pytest.mark.feature("early media")
async def test_early_media_is_heard_before_the_answer(sipp, line):
    async with dialing(sipp, line, "uas_early_media") as (run, outgoing):
        await next_event(outgoing, EarlyMediaStarted)
        assert outgoing.state is CallState.EARLY
        assert await tone_level_of(outgoing.early_audio, TONE_HZ) > AUDIBLE_DBM0
        assert outgoing.state is CallState.EARLY
        run.go_on()
        call = await outgoing.answered(timeout=PATIENCE)
        assert await tone_level_of(call.audio, TONE_HZ) > AUDIBLE_DBM0


@pytest.mark.feature("PRACK")
async def test_a_reliable_answer_is_acknowledged_and_the_200_needs_none(sipp, line):
    async with dialing(sipp, line, "uas_prack") as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await sending(call)
    assert len(run.received("PRACK")) == 1


@pytest.mark.feature("PRACK")
async def test_reliable_responses_are_acknowledged_one_by_one(sipp, line):
    async with dialing(sipp, line, "uas_prack_twice") as (run, outgoing):
        await outgoing.answered(timeout=PATIENCE)
    assert len(run.received("PRACK")) == 2


@pytest.mark.feature("PRACK")
async def test_a_lost_prack_is_sent_again(sipp, line):
    async with dialing(sipp, line, "uas_prack_lost", retransmits=False) as (run, outgoing):
        await outgoing.answered(timeout=PATIENCE)
    sent = run.received("PRACK")
    assert len(sent) >= 2  # timer E
    assert len(set(sent)) == 1


@pytest.mark.feature("PRACK")
async def test_an_offer_in_a_reliable_183_is_answered_in_prack(sipp, line):
    async with dialing(sipp, line, "uas_delayed_offer_183", delayed_offer=True) as (_, outgoing):
        await next_event(outgoing, EarlyMediaStarted)
        await sending(await outgoing.answered(timeout=PATIENCE))


@pytest.mark.feature("UPDATE")
async def test_an_update_in_the_early_dialog_is_answered(sipp, line):
    async with dialing(sipp, line, "uas_prack_offer") as (_, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await sending(call)


@pytest.mark.feature("UPDATE")
async def test_updates_of_the_called_side_hold_and_resume(sipp, line):
    async with dialing(sipp, line, "uas_update") as (_, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        held = await next_event(call, HoldChanged)
        assert (held.direction, held.by) == (Direction.RECVONLY, EndedBy.REMOTE)
        ended = await call.ended()
        assert ended.by is EndedBy.REMOTE


@pytest.mark.feature("delayed offer")
async def test_an_offer_in_the_200_is_answered_in_the_ack(sipp, line):
    async with dialing(sipp, line, "uas_delayed_offer_once", delayed_offer=True) as (run, outgoing):
        await sending(await outgoing.answered(timeout=PATIENCE))
    (ack,) = run.received("ACK")
    assert "RTP/AVP 0" in ack


@pytest.mark.feature("delayed offer")
async def test_without_an_offer_of_ours_the_ack_has_our_answer(sipp):
    async with Desk() as desk:
        with sipp.run("uas_delayed_offer") as run:
            usage = desk.invite(run.uri(), None)
            answered = await desk.expect(InviteAnswered)
            assert answered.role == "offer"
            with desk.change() as now:
                usage.acknowledge(description(), now=now)
                usage.reinvite(None, now=now)
            again = await desk.expect(ModificationAnswered)
            assert again.role == "offer"
            with desk.change() as now:
                usage.acknowledge(description(2), now=now)
                usage.bye(now=now)
            await finished(run)


@pytest.mark.feature("forking")
async def test_one_fork_answers_and_the_other_gets_ack_and_bye(sipp, line):
    async with dialing(sipp, line, "uas_forking") as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await sending(call)
        await until(lambda: any("BYE" in answer for answer in run.sent("SIP/2.0 200")))
        run.go_on()
        ended = await call.ended()
        assert ended.by is EndedBy.REMOTE
    assert [bye.count("tag=sipp-one") for bye in run.received("BYE")] == [1]


@pytest.mark.feature("forking")
async def test_of_three_early_dialogs_the_last_one_answers(sipp, line):
    async with dialing(sipp, line, "uas_forking_early") as (run, outgoing):
        call = await outgoing.answered(timeout=PATIENCE)
        await sending(call)
    assert len(run.received("ACK")) == 1


@pytest.mark.feature("CANCEL")
async def test_a_ringing_call_is_canceled(sipp, line):
    async with dialing(sipp, line, "uas_cancel") as (_, outgoing):
        await next_event(outgoing, CallRinging)
        outgoing.cancel()
        with pytest.raises(Canceled):
            await outgoing.answered()


@pytest.mark.feature("CANCEL")
async def test_cancel_waits_for_the_first_provisional_response(sipp, line):
    async with dialing(sipp, line, "uas_cancel_before_provisional") as (run, outgoing):
        outgoing.cancel()
    log = run.messages
    assert log.index("SIP/2.0 180 Ringing") < log.index("CANCEL sip:")


@pytest.mark.feature("late CANCEL")
async def test_a_200_that_crosses_our_cancel_gets_ack_and_bye(sipp, line):
    async with dialing(sipp, line, "uas_late_cancel") as (run, outgoing):
        await next_event(outgoing, CallRinging)
        outgoing.cancel()
    assert len(run.received("BYE")) == 1


@pytest.mark.feature("retransmissions")
async def test_an_invite_without_answer_is_sent_again_and_makes_one_call(sipp, line):
    async with dialing(sipp, line, "uas_no_100", retransmits=False) as (run, outgoing):
        await outgoing.answered(timeout=PATIENCE)
    invites = run.received("INVITE")
    assert len(invites) >= 3  # at 0, 0.5 and 1.5 s: timer A; then the 200 comes
    assert len(set(invites)) == 1


@pytest.mark.feature("retransmissions")
async def test_every_copy_of_the_200_gets_an_ack(sipp, line):
    with sipp.run("uas_200_again", retransmits=False) as run:
        async with line.dial(run.uri()) as outgoing:
            await outgoing.answered(timeout=PATIENCE)
            await until(lambda: len(run.received("ACK")) == 3)
        await finished(run)


@pytest.mark.feature("retransmissions")
async def test_a_bye_without_answer_is_sent_again(sipp, line):
    async with dialing(sipp, line, "uas_bye_lost", retransmits=False) as (run, outgoing):
        await outgoing.answered(timeout=PATIENCE)
    assert len(run.received("BYE")) >= 2  # timer E
