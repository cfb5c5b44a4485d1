"""Calls that we make: early media, forks, delayed offers, refusals and giving up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.call import Call, OutgoingCall
from softphone.call.leg import FAR_END_PATIENCE
from softphone.errors import (
    Busy,
    Canceled,
    LocalProtocolError,
    NoAnswer,
    NoPortFree,
    NotAcceptable,
    Redirected,
)
from softphone.events import AnswerClassified, CallState, EndedBy, ToneDetected
from softphone.media import (
    PcmBlock,
)
from softphone.security import (
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    ShortfallCode,
    SrtpPolicy,
)
from softphone.sip import EndpointConfig, NameAddr
from tests.support.sounds import samples, silence, tone
from tests.support.stage import Stage, edit_body, first_line
from tests.support.stage import without_keys as strip_keys

OPTIONAL = SecurityPolicy.compatible()
BOB = NameAddr.parse("<sip:bob@192.0.2.2>")


def outgoing_of(stage, **options):
    """What an application holds of a call of Alice's."""

    async def launch():
        return stage.dial(**options)

    return OutgoingCall(BOB, launch)


async def started(stage, outgoing, **options):
    """A task that waits for the answer, with the INVITE sent."""
    task = asyncio.ensure_future(outgoing.answered(**options))
    while not (stage.alice.endpoint.usages() or task.done()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    stage.run(0.1)
    return task


def early(stage, *, reliable, status=183):
    callee = stage.bob.leg
    body = callee.make_description()
    callee.apply_proposal(callee._proposal)
    with stage.bob.change() as now:
        callee.usage.send_provisional(status, now=now, body=body, reliable=reliable)
    stage.run(0.1)


async def test_an_answer_gives_the_call():
    stage = Stage()
    outgoing = outgoing_of(stage)
    task = await started(stage, outgoing)
    stage.bob.leg.accept()
    stage.run(0.2)
    call = await task
    assert isinstance(call, Call)
    assert call.id == outgoing.id
    assert call.state is CallState.CONFIRMED
    assert call is Call.for_leg(stage.alice.leg)


async def test_a_far_end_that_hangs_up_at_once_had_answered():
    stage = Stage()
    task = await started(stage, outgoing_of(stage))
    stage.bob.leg.accept()
    stage.run(0.2)
    stage.bob.leg.hang_up()
    stage.run(0.2)  # 200, ACK and BYE, and only then the task
    call = await task
    assert call.state is CallState.TERMINATED
    assert (await call.ended()).by is EndedBy.REMOTE


async def test_a_refusal_by_a_gateway_has_its_status_and_its_cause():
    stage = Stage()
    caller = stage.dial()
    stage.run(0.1)
    with stage.bob.change() as now:
        stage.bob.leg.usage.reject(503, now=now, headers=(("Reason", "Q.850;cause=34"),))
    stage.run(0.2)
    ended = caller.ended.result()
    assert (ended.by, ended.status, ended.q850_cause) == (EndedBy.REMOTE, 503, 34)


@pytest.mark.parametrize("reliable", [True, False])
async def test_early_media_is_judged_opened_and_told(reliable):
    stage = Stage()
    stage.bob.rings = False
    caller = stage.dial()
    stage.run(0.1)
    early(stage, reliable=reliable)
    assert "EarlyMediaStarted" in stage.alice.kinds()
    assert len(stage.alice.port.specs) == 1
    stage.bob.leg.accept()
    stage.run(0.3)
    assert caller.confirmed.done()
    keys = {spec.send_key.key.reveal() for spec in stage.alice.port.specs}
    assert len(keys) == 1
    assert caller.security.level is SecurityLevel.ENCRYPTED


async def test_what_is_heard_before_the_answer_is_detected_too():
    stage = Stage()
    stage.bob.rings = False
    outgoing = outgoing_of(stage)
    task = await started(stage, outgoing)
    assert outgoing.early_audio is None
    early(stage, reliable=False)
    outgoing.early_audio.detect(tones=True, answer=True)
    listener = stage.alice.port.commands[-1][2]
    sit = [tone(frequency, seconds=0.33) for frequency in (950.0, 1400.0, 1800.0)]
    pcm = samples(silence(0.3), *sit, silence(1.0))
    for at in range(0, pcm.size, 160):
        listener.write(PcmBlock(pcm[at : at + 160], 8000, at, 0))
        await asyncio.sleep(0)
    heard = [e for e in stage.alice.events if isinstance(e, ToneDetected)]
    assert [event.tone for event in heard] == ["sit"]
    (judged,) = [e for e in stage.alice.events if isinstance(e, AnswerClassified)]
    assert judged.kind == "machine"
    assert judged.confidence > 0.9
    assert "special information tones" in judged.reasons[0]
    assert not task.done()
    stage.bob.leg.accept()
    stage.run(0.3)
    assert (await task).state is CallState.CONFIRMED


async def test_an_offer_in_a_reliable_183_is_answered_in_the_prack():
    stage = Stage()
    stage.bob.rings = False
    caller = stage.dial(delayed=True)
    stage.run(0.1)
    callee = stage.bob.leg
    offer = callee.negotiation.create_offer()
    with stage.bob.change() as now:
        callee.usage.send_provisional(183, now=now, body=offer, reliable=True)
    stage.run(0.2)
    prack = next(data for name, data in stage.wire if data.startswith(b"PRACK"))
    assert b"RTP/SAVP" in prack
    assert len(stage.alice.port.specs) == len(stage.bob.port.specs) == 1
    with stage.bob.change() as now:
        callee.usage.accept(None, now=now)
    stage.run(0.3)
    assert caller.confirmed.done()
    assert callee.confirmed.done()


async def test_an_offer_in_clear_in_a_reliable_183_ends_the_call():
    stage = Stage()
    stage.bob.rings = False
    caller = stage.dial(delayed=True)
    stage.run(0.1)
    callee = stage.bob.leg
    offer = callee.negotiation.create_offer()
    stage.tamper = lambda name, data: edit_body(data, strip_keys) if name == "bob" else data
    with stage.bob.change() as now:
        callee.usage.send_provisional(183, now=now, body=offer, reliable=True)
    stage.run(0.2)
    assert caller.ended.result().by is EndedBy.POLICY
    assert stage.alice.port.specs == []


async def test_a_200_without_any_description_ends_the_call():
    stage = Stage()

    def bare(name, data):
        if name == "bob" and first_line(data).startswith("SIP/2.0 200"):
            head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
            kept = [line for line in head if not line.lower().startswith(b"content-")]
            return b"\r\n".join([*kept, b"Content-Length: 0"]) + b"\r\n\r\n"
        return data

    stage.tamper = bare
    caller, _ = stage.answered()
    assert isinstance(caller.failure, NotAcceptable)
    assert stage.alice.port.specs == []
    assert "BYE" in stage.sent("alice")


async def test_a_refusal_is_raised_by_its_cause():
    stage = Stage()
    task = await started(stage, outgoing_of(stage))
    stage.bob.leg.reject(486)
    stage.run(0.1)
    with pytest.raises(Busy):
        await task


async def test_a_redirection_names_the_other_places():
    stage = Stage()
    task = await started(stage, outgoing_of(stage))
    stage.bob.leg.redirect(("sip:carol@192.0.2.3",), 302)
    stage.run(0.1)
    with pytest.raises(Redirected) as caught:
        await task
    assert caught.value.contacts == ("sip:carol@192.0.2.3",)


async def test_a_canceled_wait_cancels_the_call():
    stage = Stage()
    task = await started(stage, outgoing_of(stage))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stage.run(0.3)
    assert stage.sent("alice") == ["INVITE", "CANCEL", "ACK"]
    assert stage.bob.leg.state is CallState.TERMINATED
    assert isinstance(stage.bob.leg.failure, Canceled)


async def test_nobody_answers_in_time():
    stage = Stage()
    task = await started(stage, outgoing_of(stage), timeout=0.02)
    with pytest.raises(NoAnswer, match=r"within 0\.02 seconds"):
        await task
    stage.run(0.3)
    assert stage.bob.leg.state is CallState.TERMINATED


async def test_a_far_end_that_ignores_the_cancel_is_given_up():
    stage = Stage()
    caller = stage.dial()
    stage.run(0.1)
    stage.tamper = lambda name, data: b"" if first_line(data).startswith("CANCEL") else data
    caller.cancel()
    assert caller.state is CallState.TERMINATED
    stage.run(100)
    assert not stage.alice.endpoint.waits_for_responses
    assert stage.alice.endpoint.usages() == ()


async def test_an_answer_that_crosses_the_cancel_is_hung_up():
    stage = Stage()
    caller = stage.dial()
    stage.run(0.1)
    stage.bob.leg.accept()
    caller.cancel()
    stage.run(0.5)
    assert stage.sent("alice") == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert stage.bob.leg.state is CallState.TERMINATED
    assert stage.alice.port.specs == []


async def test_optional_tries_once_more_in_clear_after_488():
    stage = Stage()
    stage.alice.policy = OPTIONAL
    stage.bob.policy = SecurityPolicy.clear()
    caller = stage.dial()
    stage.run(0.2)
    assert stage.sent("alice").count("INVITE") == 2
    invites = [data for name, data in stage.wire if data.startswith(b"INVITE")]
    assert [b"RTP/SAVP" in invite for invite in invites] == [True, False]
    stage.bob.leg.accept()
    stage.run(0.3)
    assert caller.confirmed.done()
    assert caller.security.level is SecurityLevel.NOT_SECURE
    assert len(stage.alice.port.closed) == 1


async def test_no_second_invite_goes_out_where_a_clear_call_could_not_pass():
    stage = Stage()
    stage.alice.policy = SecurityPolicy(srtp=SrtpPolicy.OPTIONAL, minimum=SecurityLevel.ENCRYPTED)
    stage.bob.policy = SecurityPolicy.clear()
    caller = stage.dial()
    stage.run(0.2)
    assert stage.sent("alice").count("INVITE") == 1
    assert caller.ended.result().status == 488


async def test_required_never_tries_in_clear():
    stage = Stage()
    stage.bob.policy = SecurityPolicy.clear()
    stage.dial()
    stage.run(0.2)
    assert stage.sent("alice").count("INVITE") == 1


async def test_no_port_is_an_error_before_anything_is_sent():
    stage = Stage()
    stage.alice.port._left = 0
    with pytest.raises(NoPortFree):
        await outgoing_of(stage).answered()
    assert stage.wire == []


async def test_no_port_for_the_second_invite_ends_the_call():
    stage = Stage()
    stage.alice.policy = OPTIONAL
    stage.bob.policy = SecurityPolicy.clear()
    stage.alice.port._left = 1
    caller = stage.dial()
    stage.run(0.2)
    assert caller.state is CallState.TERMINATED
    assert "port" in caller.explanation


async def test_a_policy_refusal_is_raised_as_such():
    stage = Stage()
    stage.tamper = lambda name, data: edit_body(data, strip_keys) if name == "bob" else data
    task = await started(stage, outgoing_of(stage))
    stage.bob.leg.accept()
    stage.run(0.2)
    with pytest.raises(SecurityShortfall):
        await task


async def test_what_needs_a_start_says_so():
    outgoing = outgoing_of(Stage())
    assert outgoing.id == ""
    assert outgoing.state is CallState.TRYING
    with pytest.raises(LocalProtocolError):
        outgoing.cancel()


async def test_early_media_that_nobody_speaks_for_waits_for_a_bounded_time():
    stage = Stage(config=EndpointConfig(answer_timeout=1000.0))
    stage.alice.policy = replace(stage.alice.policy, scope=Scope.END_TO_END)
    stage.alice.vouched = True
    caller = stage.dial()
    stage.run(0.1)
    early(stage, reliable=False)
    for _ in range(5):
        stage.run(30.0)
        stage.bob.leg.ring(183)
        assert caller.state is not CallState.TERMINATED
    stage.run(31.0)
    assert caller.ended.result().by is EndedBy.POLICY
    assert {s.code for s in caller.refused} == {ShortfallCode.FAR_END_UNKNOWN}
    assert stage.alice.port.specs == []
    assert "CANCEL" in stage.sent("alice")


async def test_a_phone_that_rings_in_silence_for_three_minutes_does_not_answer():
    stage = Stage(config=EndpointConfig(answer_timeout=1000.0))
    task = await started(stage, outgoing_of(stage))
    # Bob says once a minute that he still rings: somebody on the way swallows it.
    stage.tamper = lambda _, data: data.replace(b"SIP/2.0 180 Ringing", b"SIP/2.0 100 Trying")
    stage.run(182.0)
    with pytest.raises(NoAnswer) as caught:
        await task
    assert caught.value.status == 408
    assert "CANCEL" in stage.sent("alice")
    assert stage.alice.leg.ended.result().by is EndedBy.TIMEOUT


async def test_a_change_of_early_media_does_not_shorten_its_wait_for_the_far_ends_level():
    stage = Stage()
    stage.bob.rings = False
    stage.alice.policy = replace(stage.alice.policy, scope=Scope.END_TO_END)
    stage.alice.vouched = True
    caller = stage.dial()
    stage.run(0.1)
    early(stage, reliable=True)
    assert caller.awaiting_far_end
    callee = stage.bob.leg
    with stage.bob.change() as now:
        callee.usage.update(callee.negotiation.create_offer(), now=now)
    stage.run(2 * FAR_END_PATIENCE)
    assert caller.state is CallState.EARLY
    callee.accept()
    stage.run(FAR_END_PATIENCE + 0.1)
    assert caller.ended.result().by is EndedBy.POLICY
