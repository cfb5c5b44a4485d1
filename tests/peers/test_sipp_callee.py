"""Calls from SIPp to the phone: reliable ringing, delayed offers, CANCEL, copies and lost ACKs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.config import CallerConfig, ChallengeConfig
from softphone.errors import LocalProtocolError
from softphone.events import CallState, Direction, EndedBy, HoldChanged
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import KeyMaterial
from softphone.sip import (
    AckReceived,
    Cause,
    InviteEnded,
    InviteReceived,
    ModificationReceived,
    PrackReceived,
    Timing,
)
from tests.peers.direct import (
    AUDIBLE_DBM0,
    Desk,
    answered_call,
    calling,
    description,
    direct,
    finished,
    left_by_far_end,
    next_call,
    sending,
    tone_level_of,
    until,
)
from tests.peers.phones import next_event
from tests.peers.sipp.runner import TONE_HZ

pytestmark = pytest.mark.peer("sipp")


@pytest.mark.feature("call")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_that_comes_in_is_answered_and_heard(sipp, transport):
    async with Phone() as phone:
        line = await phone.register(direct(transport))
        with calling(sipp, line, "uac_call", transport=transport) as run:
            call = await answered_call(line)
            assert await tone_level_of(call.audio, TONE_HZ) > AUDIBLE_DBM0
            await left_by_far_end(call)
            await finished(run)


def challenging(transport, algorithm, password=b"secret"):
    """An account that takes calls of the user "trunk" only."""
    users = (CallerConfig("trunk", KeyMaterial(password)),)
    return replace(direct(transport), challenge=ChallengeConfig(users, algorithms=(algorithm,)))


@pytest.mark.feature("digest of a caller")
@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_caller_that_is_challenged_comes_in_with_its_digest(sipp, transport, algorithm):
    async with Phone() as phone:
        line = await phone.register(challenging(transport, algorithm))
        with calling(sipp, line, "uac_challenged", transport=transport) as run:
            call = await answered_call(line)
            await left_by_far_end(call)
            await finished(run)
        assert len(run.received("SIP/2.0 401")) == 1
        assert f"algorithm={algorithm}" in run.received("SIP/2.0 401")[0]


@pytest.mark.feature("digest of a caller")
async def test_a_caller_with_another_password_does_not_come_in(sipp):
    async with Phone() as phone:
        line = await phone.register(challenging("udp", "SHA-256", b"another"))
        with calling(sipp, line, "uac_challenged") as run:
            await until(lambda: len(run.received("SIP/2.0 401")) >= 2)
        assert not line.call_states


@pytest.mark.feature("PRACK")
async def test_ringing_is_reliable_where_the_caller_requires_it(sipp, line):
    with calling(sipp, line, "uac_prack") as run:
        incoming = await next_call(line)
        incoming.ring()
        await until(lambda: run.received("SIP/2.0 200"))
        await left_by_far_end(await incoming.answer())
        await finished(run)
    (ringing,) = run.received("SIP/2.0 180")
    assert "RSeq:" in ringing


@pytest.mark.feature("PRACK")
async def test_a_reliable_response_is_sent_again_until_its_prack(sipp, line):
    with calling(sipp, line, "uac_prack_lost", retransmits=False) as run:
        incoming = await next_call(line)
        incoming.ring()
        # SIPp takes the two answers in this order only.
        await until(lambda: run.received("SIP/2.0 200"))
        await left_by_far_end(await incoming.answer())
        await finished(run)
    copies = run.received("SIP/2.0 180")
    assert len(copies) >= 3  # at 0, 0.5 and 1.5 s, and then it gets the PRACK
    assert len(set(copies)) == 1


@pytest.mark.feature("PRACK")
async def test_a_prack_for_another_response_is_refused(sipp, line):
    with calling(sipp, line, "uac_prack_wrong") as run:
        incoming = await next_call(line)
        incoming.ring()
        await until(lambda: run.received("SIP/2.0 200"))
        await left_by_far_end(await incoming.answer())
        await finished(run)


@pytest.mark.feature("PRACK")
async def test_without_prack_the_call_is_given_up(sipp):
    async with Desk(timing=Timing(t1=0.05)) as desk:
        with calling(sipp, desk, "uac_prack_never") as run:
            invited = await desk.expect(InviteReceived)
            with desk.change() as now:
                invited.usage.send_provisional(now=now)
            ended = await desk.expect(InviteEnded)
            assert (ended.cause, ended.status) == (Cause.TIMEOUT, 504)
            await finished(run)
    assert len(run.received("SIP/2.0 180")) > 3


@pytest.mark.feature("PRACK")
async def test_our_offer_in_a_reliable_183_is_answered_in_prack(sipp):
    async with Desk() as desk:
        with calling(sipp, desk, "uac_delayed_offer_183") as run:
            invited = await desk.expect(InviteReceived)
            assert invited.role is None
            with desk.change() as now:
                invited.usage.send_provisional(183, now=now, body=description())
            assert (await desk.expect(PrackReceived)).role == "answer"
            with desk.change() as now:
                invited.usage.accept(None, now=now)
            await desk.expect(InviteEnded)
            await finished(run)


@pytest.mark.feature("early media")
async def test_early_media_goes_both_ways_and_the_200_repeats_its_description(sipp, line):
    with calling(sipp, line, "uac_early_media") as run:
        incoming = await next_call(line)
        audio = await incoming.early_media()
        audio.play(ToneSource(660.0))
        assert await tone_level_of(audio, TONE_HZ) > AUDIBLE_DBM0
        await until(lambda: audio.statistics.packets_sent >= 5)
        assert incoming.state is CallState.EARLY
        call = await incoming.answer()
        assert await tone_level_of(call.audio, TONE_HZ) > AUDIBLE_DBM0
        run.go_on()
        await left_by_far_end(call)
        await finished(run)
    (early,) = run.received("SIP/2.0 183")
    answer = next(text for text in run.received("SIP/2.0 200") if "INVITE" in text)
    octets = early.partition("\n\n")[2]
    assert "m=audio" in octets
    assert answer.partition("\n\n")[2] == octets
    assert "RSeq" not in early


@pytest.mark.feature("early media")
async def test_the_answer_in_a_reliable_183_is_not_repeated_and_the_200_waits_for_prack(sipp, line):
    with calling(sipp, line, "uac_early_media_prack") as run:
        incoming = await next_call(line)
        await incoming.early_media()
        await left_by_far_end(await incoming.answer())
        await finished(run)
    log = run.messages
    assert log.index("PRACK sip:") < log.index("SIP/2.0 200")
    assert [text.count("m=audio") for text in run.received("SIP/2.0 200")] == [0, 0, 0]


@pytest.mark.feature("early media")
async def test_early_media_to_a_caller_without_an_offer_is_agreed_by_its_prack(sipp, line):
    with calling(sipp, line, "uac_delayed_offer_183") as run:
        incoming = await next_call(line)
        audio = await incoming.early_media()
        assert audio.codec == "PCMU"
        await left_by_far_end(await incoming.answer())
        await finished(run)


@pytest.mark.feature("early media")
@pytest.mark.parametrize("scenario", ["uac_prack_offer", "uac_update_early"])
async def test_early_media_follows_an_offer_in_prack_or_in_update(sipp, line, scenario):
    with calling(sipp, line, scenario) as run:
        incoming = await next_call(line)
        audio = await incoming.early_media()
        await until(lambda: audio.direction is Direction.RECVONLY)
        await left_by_far_end(await incoming.answer())
        await finished(run)


@pytest.mark.feature("PRACK")
async def test_a_second_offer_in_prack_is_answered_in_its_200(sipp):
    async with Desk() as desk:
        with calling(sipp, desk, "uac_prack_offer") as run:
            usage = (await desk.expect(InviteReceived)).usage
            with desk.change() as now:
                usage.send_provisional(183, now=now, body=description())
            assert (await desk.expect(PrackReceived)).role == "offer"
            with desk.change() as now:
                usage.answer_modification(description(2, "recvonly"), now=now)
                usage.accept(None, now=now)
            assert (await desk.expect(InviteEnded)).cause is Cause.REMOTE
            await finished(run)


@pytest.mark.feature("UPDATE")
async def test_updates_of_the_caller_hold_and_resume(sipp, line):
    with calling(sipp, line, "uac_update") as run:
        call = await answered_call(line)
        held = await next_event(call, HoldChanged)
        assert held.direction is Direction.RECVONLY
        await left_by_far_end(call)
        await finished(run)


@pytest.mark.feature("UPDATE")
async def test_an_update_before_the_answer_is_answered(sipp):
    async with Desk() as desk:
        with calling(sipp, desk, "uac_update_early") as run:
            usage = (await desk.expect(InviteReceived)).usage
            with desk.change() as now:
                usage.send_provisional(183, now=now, body=description())
            assert (await desk.expect(ModificationReceived)).role == "offer"
            with desk.change() as now:
                usage.answer_modification(description(2, "recvonly"), now=now)
                usage.accept(None, now=now)
            assert (await desk.expect(InviteEnded)).cause is Cause.REMOTE
            await finished(run)


@pytest.mark.feature("delayed offer")
async def test_a_caller_without_offer_gets_ours_in_the_200(sipp, line):
    with calling(sipp, line, "uac_delayed_offer") as run:
        call = await answered_call(line)
        await sending(call)
        run.go_on()
        await left_by_far_end(call)
        await finished(run)


@pytest.mark.feature("delayed offer")
async def test_a_reinvite_without_offer_gets_a_full_one(sipp, line):
    with calling(sipp, line, "uac_delayed_offer_reinvite") as run:
        call = await answered_call(line)
        await left_by_far_end(call)
        await finished(run)
    assert all("a=sendrecv" in answer for answer in run.received("SIP/2.0 200")[:2])


@pytest.mark.feature("CANCEL")
async def test_a_caller_may_give_up_while_we_ring(sipp, line):
    with calling(sipp, line, "uac_cancel") as run:
        incoming = await next_call(line)
        incoming.ring()
        ended = await incoming.ended
        assert ended.by is EndedBy.REMOTE
        with pytest.raises(LocalProtocolError):
            incoming.reject()
        await finished(run)


@pytest.mark.feature("late CANCEL")
async def test_a_cancel_after_our_200_changes_nothing(sipp, line):
    with calling(sipp, line, "uac_late_cancel") as run:
        call = await answered_call(line)
        await sending(call)
        run.go_on()
        await left_by_far_end(call)
        await finished(run)


@pytest.mark.feature("merged 482")
async def test_the_same_invite_by_another_path_is_a_loop(sipp, line):
    with calling(sipp, line, "uac_merged") as run:
        incoming = await next_call(line)
        await until(lambda: run.received("SIP/2.0 482"))
        await left_by_far_end(await incoming.answer())
        await finished(run)
    assert len(run.received("SIP/2.0 482")) == 1


@pytest.mark.feature("retransmissions")
async def test_an_invite_that_comes_twice_is_one_call(sipp, line):
    with calling(sipp, line, "uac_retransmission") as run:
        incoming = await next_call(line)
        await until(lambda: len(run.sent("INVITE")) == 2)
        await left_by_far_end(await incoming.answer())
        await finished(run)


@pytest.mark.feature("retransmissions")
async def test_our_200_is_sent_again_until_its_ack(sipp, line):
    with calling(sipp, line, "uac_late_ack", retransmits=False) as run:
        await left_by_far_end(await answered_call(line))
        await finished(run)
    copies = [one for one in run.received("SIP/2.0 200") if "1 INVITE" in one]
    assert len(copies) >= 2
    assert len(set(copies)) == 1


@pytest.mark.feature("retransmissions")
async def test_without_any_ack_our_200_ends_in_bye(sipp):
    async with Desk(timing=Timing(t1=0.05)) as desk:
        with calling(sipp, desk, "uac_no_ack") as run:
            usage = (await desk.expect(InviteReceived)).usage
            with desk.change() as now:
                usage.accept(description(), now=now)
            ended = await desk.expect((InviteEnded, AckReceived))
            assert isinstance(ended, InviteEnded)
            assert ended.cause is Cause.TIMEOUT
            await finished(run)
    assert len(run.received("SIP/2.0 200")) > 3


@pytest.mark.feature("retransmissions")
async def test_a_bye_that_comes_twice_is_answered_twice(sipp, line):
    with calling(sipp, line, "uac_bye_again", retransmits=False) as run:
        await left_by_far_end(await answered_call(line))
        await finished(run)
    first, second = (one for one in run.received("SIP/2.0 200") if "CSeq: 2 BYE" in one)
    assert first == second
