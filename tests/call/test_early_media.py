"""Early media of ours: our description before the answer, in a 183 (RFC 3261 13.2.1, RFC 3262)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from softphone.call import AudioStream, IncomingCall
from softphone.call.leg import FAR_END_PATIENCE, DigitMethod
from softphone.errors import (
    CallFailed,
    Canceled,
    ConfigurationError,
    LocalProtocolError,
    NotAcceptable,
)
from softphone.events import (
    CallAnswered,
    CallState,
    DigitReceived,
    EarlyMediaStarted,
    EndedBy,
)
from softphone.media import DigitDetected, PcmBlock
from softphone.media.audio import ReceivedAudio
from softphone.security import (
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    SrtpPolicy,
)
from softphone.sip import EndpointConfig, security_call_info
from tests.support.attack import assert_never_in_clear, assert_refused, rewriting, unopened
from tests.support.stage import Stage, edit_body, first_line, in_clear, with_header
from tests.support.waiting import PATIENCE


def unreliable(name, data):
    """The caller does not know 100rel."""
    if first_line(data).startswith("INVITE"):
        return data.replace(b"100rel, ", b"").replace(b", 100rel", b"")
    return data


def demanding(name, data):
    """The caller demands 100rel."""
    return with_header(data, "Require", "100rel") if first_line(data).startswith("INVITE") else data


def dropping(start):
    """A wire that loses the messages that start so."""
    return lambda name, data: b"" if first_line(data).startswith(start) else data


def ringing(tamper=None, **options):
    """A call that has reached Bob, who has sent nothing but 100."""
    stage = Stage()
    stage.bob.rings = False
    if tamper is not None:
        stage.tamper = tamper
    stage.dial(**options)
    stage.run(0.1)
    return stage, IncomingCall(stage.bob.leg)


async def started(stage, incoming, seconds=0.2):
    """A task that starts early media, after some time on the wire."""
    task = asyncio.ensure_future(incoming.early_media())
    await asyncio.sleep(0)
    stage.run(seconds)
    await asyncio.sleep(0)
    return task


async def answered(stage, incoming, seconds=0.3):
    task = asyncio.ensure_future(incoming.answer())
    await asyncio.sleep(0)
    stage.run(seconds)
    await asyncio.sleep(0)
    return task


def bodies(stage, start, name="bob"):
    """The bodies of the messages that one side sent, by their first line."""
    found = [d for sender, d in stage.wire if sender == name and first_line(d).startswith(start)]
    return [data.partition(b"\r\n\r\n")[2] for data in found]


def answer_of(stage):
    """The body of the 200 to the INVITE."""
    found = [d for n, d in stage.wire if n == "bob" and b"INVITE\r\n" in d]
    (answer,) = [d for d in found if d.startswith(b"SIP/2.0 200")]
    return answer.partition(b"\r\n\r\n")[2]


async def test_after_an_unreliable_183_the_200_has_the_same_octets():
    stage, incoming = ringing(unreliable)
    assert incoming.early_audio is None
    audio = await (await started(stage, incoming))
    assert isinstance(audio, AudioStream)
    assert incoming.early_audio is not None
    assert incoming.state is stage.alice.leg.state is CallState.EARLY
    (early,) = bodies(stage, "SIP/2.0 183")
    assert b"RTP/SAVP" in early
    assert b"RSeq" not in b"".join(d for n, d in stage.wire if n == "bob")
    call = await (await answered(stage, incoming))
    assert answer_of(stage) == early
    assert call.security.level is SecurityLevel.ENCRYPTED
    assert stage.alice.leg.confirmed.done()
    assert len(stage.bob.port.specs) == 1  # media went on as it was


@pytest.mark.parametrize("tamper", [unreliable, None])
async def test_header_fields_of_the_application_go_into_the_183(tamper):
    stage, incoming = ringing(tamper)
    with pytest.raises(ConfigurationError, match="Contact is written"):
        await incoming.early_media(headers={"Contact": "<sip:eve@192.0.2.9>"})
    assert stage.sent("bob") in ([], ["100"])
    task = asyncio.ensure_future(incoming.early_media(headers={"X-Queue": "7"}))
    await asyncio.sleep(0)
    stage.run(0.2)
    await task
    (early,) = [d for _, d in stage.wire if d.startswith(b"SIP/2.0 183")]
    assert b"\r\nX-Queue: 7\r\n" in early


@pytest.mark.parametrize("tamper", [unreliable, None])
async def test_it_may_ring_before_and_after_early_media(tamper):
    stage, incoming = ringing(tamper)
    incoming.ring()
    await (await started(stage, incoming))
    incoming.ring()
    stage.run(0.2)
    await (await answered(stage, incoming))
    provisional = [code for code in stage.sent("bob") if code.startswith("18")]
    assert provisional == ["180", "183", "180"]
    (early,) = filter(None, bodies(stage, "SIP/2.0 18"))
    assert answer_of(stage) == (early if tamper is unreliable else b"")
    assert stage.alice.leg.confirmed.done()
    assert stage.bob.kinds() == ["EarlyMediaStarted", "CallAnswered"]


@pytest.mark.parametrize("tamper", [None, demanding])
async def test_after_an_acknowledged_183_the_200_has_no_description(tamper):
    stage, incoming = ringing(tamper)
    await (await started(stage, incoming))
    assert stage.sent("alice") == ["INVITE", "PRACK"]
    await (await answered(stage, incoming))
    assert answer_of(stage) == b""
    assert stage.alice.leg.confirmed.done()
    assert len(stage.bob.port.specs) == 1


async def test_one_stream_goes_on_from_early_media_through_the_answer_to_the_end():
    stage, incoming = ringing()
    with pytest.raises(LocalProtocolError, match="early_media"):
        incoming.stream()
    early = await (await started(stage, incoming))
    early.use_rates(read_hz=8000)
    stream = incoming.stream()
    (sink,) = [c[2] for c in stage.bob.port.commands if c[0] == "record"]
    sink.write(PcmBlock(np.full(160, 1, dtype=np.int16), 8000, 0, 0))
    stage.bob.leg.emit_digit("5", 100.0, "rfc4733")
    call = await (await answered(stage, incoming))
    sink.write(PcmBlock(np.full(160, 2, dtype=np.int16), 8000, 160, 0))
    call.hangup()
    items = [item async for item in stream]
    assert [type(item).__name__ for item in items] == [
        *("EarlyMediaStarted", "ReceivedAudio", "DigitReceived"),
        *("CallAnswered", "ReceivedAudio", "CallEnded"),
    ]
    assert [int(item.pcm[0]) for item in items if isinstance(item, ReceivedAudio)] == [1, 2]


async def test_the_stream_of_a_call_that_is_given_up_ends_with_that():
    stage, incoming = ringing()
    await (await started(stage, incoming))
    stream = incoming.stream()
    stage.alice.leg.cancel()
    stage.run(0.2)
    *_, last = [item async for item in stream]
    assert (last.by, last.status) == (EndedBy.REMOTE, 487)


async def test_the_200_waits_for_the_prack():
    held = []

    def hold(name, data):
        if first_line(data).startswith("PRACK"):
            held.append(data)
            return b""
        return data

    stage, incoming = ringing(hold)
    await (await started(stage, incoming))
    task = await answered(stage, incoming, 1.0)
    assert "200" not in stage.sent("bob")
    assert not incoming.unanswered
    with pytest.raises(LocalProtocolError, match="answered already"):
        await incoming.answer()
    with pytest.raises(LocalProtocolError, match="answered already"):
        await incoming.early_media()
    stage.deliver("bob", held[0])
    stage.run(0.3)
    await asyncio.wait_for(task, PATIENCE)
    assert stage.sent("bob")[-2:] == ["200", "200"]  # to the PRACK, then to the INVITE
    assert answer_of(stage) == b""


async def test_a_183_that_waits_behind_a_180_is_sent_before_the_200():
    stage, incoming = ringing(demanding)
    incoming.ring()
    await (await started(stage, incoming, 0.0))
    await (await answered(stage, incoming, 1.0))
    assert [s for s in stage.sent("bob") if s != "100"] == ["180", "200", "183", "200", "200"]
    assert answer_of(stage) == b""
    assert stage.alice.leg.confirmed.done()


async def test_a_call_whose_200_waits_for_the_prack_can_be_given_up():
    stage, incoming = ringing(dropping("PRACK"))
    await (await started(stage, incoming))
    task = await answered(stage, incoming)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.sent("bob")[-1] == "480"
    stage.tamper = lambda name, data: data
    stage.run(40)
    assert stage.alice.leg.ended.result().status == 480
    assert "200" not in stage.sent("bob")[stage.sent("bob").index("480") :]


@pytest.mark.parametrize("reply", [True, False])
async def test_a_prack_that_never_comes_ends_the_call_in_bounded_time(reply):
    stage, incoming = ringing(dropping("PRACK"))
    await (await started(stage, incoming))
    waiting = await answered(stage, incoming) if reply else None
    stage.run(40)
    assert "504" in stage.sent("bob")
    ended = await incoming.ended
    assert (ended.by, ended.status) == (EndedBy.TIMEOUT, 504)
    assert stage.bob.port.closed == set(stage.bob.port.opened)
    if waiting is not None:
        with pytest.raises(CallFailed):
            await waiting
    with pytest.raises(CallFailed, match="No PRACK came"):
        await incoming.early_media()


async def test_our_offer_in_a_183_is_answered_by_the_prack():
    stage, incoming = ringing(delayed=True)
    audio = await (await started(stage, incoming))
    (offer,) = bodies(stage, "SIP/2.0 183")
    (answer,) = bodies(stage, "PRACK", "alice")
    assert b"a=crypto" in offer
    assert b"a=crypto" in answer
    assert audio.security.suite is not None
    assert incoming.security.level is SecurityLevel.ENCRYPTED
    await (await answered(stage, incoming))
    assert answer_of(stage) == b""
    assert bodies(stage, "ACK", "alice") == [b""]
    assert stage.alice.leg.confirmed.done()


async def test_without_an_offer_and_without_100rel_there_is_no_early_media_and_the_call_goes_on():
    stage, incoming = ringing(unreliable, delayed=True)
    with pytest.raises(NotAcceptable, match="lacks 100rel") as refused:
        await incoming.early_media()
    assert refused.value.status == 421
    assert stage.bob.port.opened == {}
    await (await answered(stage, incoming))
    assert stage.alice.leg.confirmed.done()


async def test_a_prack_that_answers_our_offer_in_clear_ends_the_call_before_any_sound():
    stage, incoming = ringing(rewriting("PRACK", by="alice"), delayed=True)
    with pytest.raises(SecurityShortfall):
        await (await started(stage, incoming))
    assert_refused(stage.bob.leg)
    assert unopened(stage.bob)
    assert stage.sent("bob")[-1] == "488"


async def test_an_answer_is_needed_for_our_offer_however_it_comes():
    def bare(name, data):
        if first_line(data).startswith("PRACK"):
            head = data.partition(b"\r\n\r\n")[0]
            lines = [
                x for x in head.split(b"\r\n") if not x.startswith((b"Content-L", b"Content-T"))
            ]
            return b"\r\n".join((*lines, b"Content-Length: 0", b"", b""))
        return data

    stage, incoming = ringing(bare, delayed=True)
    early = await started(stage, incoming)
    assert not early.done()  # nothing is agreed: no media
    with pytest.raises(NotAcceptable, match="our offer was never answered"):
        await (await answered(stage, incoming))
    with pytest.raises(NotAcceptable):
        await early
    assert unopened(stage.bob)


async def test_early_media_is_told_once_and_its_security_is_right_while_it_lasts():
    stage, incoming = ringing()
    before = incoming.security
    assert before.media == ()
    await (await started(stage, incoming))
    await incoming.early_media()
    assert stage.sent("bob").count("183") == 1
    state = incoming.security
    assert (state.level, len(state.media)) == (SecurityLevel.ENCRYPTED, 1)
    assert stage.bob.events == [EarlyMediaStarted(state)]
    await (await answered(stage, incoming))
    assert stage.bob.events == [EarlyMediaStarted(state), CallAnswered(state)]


async def test_where_clear_is_allowed_early_media_is_told_as_clear():
    stage = Stage()
    stage.bob.rings = False
    for party in stage.parties.values():
        party.policy = SecurityPolicy(minimum=SecurityLevel.NOT_SECURE, srtp=SrtpPolicy.OPTIONAL)
    stage.tamper = lambda name, data: edit_body(data, in_clear)
    stage.dial()
    stage.run(0.1)
    incoming = IncomingCall(stage.bob.leg)
    await (await started(stage, incoming))
    assert incoming.security.level is SecurityLevel.NOT_SECURE
    assert not stage.bob.port.specs[0].secure


async def test_where_srtp_is_required_nothing_is_ever_open_in_clear():
    stage, incoming = ringing(rewriting("INVITE", by="alice"))
    assert not incoming.unanswered  # refused before anybody is alerted
    assert stage.sent("bob")[-1] == "488"
    with pytest.raises(SecurityShortfall):
        await incoming.early_media()
    assert unopened(stage.bob)


async def test_an_update_changes_early_media_and_the_200_says_nothing_of_it():
    stage, incoming = ringing()
    await (await started(stage, incoming))
    caller = stage.alice.leg
    caller._finalize_early_answer()
    offer = caller.negotiation.create_offer()
    with stage.alice.change() as now:
        caller.usage.update(offer, now=now)
    stage.run(0.2)
    assert len(stage.bob.port.specs) == 2
    assert_never_in_clear(stage)
    await (await answered(stage, incoming))
    assert answer_of(stage) == b""
    assert stage.bob.kinds().count("EarlyMediaStarted") == 1


async def test_an_update_with_an_offer_before_our_answer_is_final_is_refused():
    stage, incoming = ringing(unreliable)
    await (await started(stage, incoming))
    invite = stage.wire[0][1]
    tagged = next(
        d for n, d in stage.wire if n == "bob" and first_line(d).endswith("183 Session Progress")
    )
    to = next(line for line in tagged.split(b"\r\n") if line.startswith(b"To: "))
    lines = [to if line.startswith(b"To: ") else line for line in invite.split(b"\r\n")]
    update = (
        b"\r\n".join(lines)
        .replace(b"INVITE", b"UPDATE")
        .replace(b"branch=z9hG4bK", b"branch=z9hG4bKu")
    )
    cseq = next(line for line in update.split(b"\r\n") if line.startswith(b"CSeq"))
    stage.deliver("bob", update.replace(cseq, b"CSeq: 999999 UPDATE"))
    stage.run(0.2)
    assert stage.sent("bob")[-1] == "500"
    assert len(stage.bob.port.specs) == 1
    await (await answered(stage, incoming))
    assert stage.alice.leg.confirmed.done()


@pytest.mark.parametrize("delayed", [False, True])
async def test_a_caller_that_gives_up_early_media_leaves_nothing(delayed):
    stage, incoming = ringing(delayed=delayed)
    await (await started(stage, incoming))
    stage.alice.leg.cancel()
    stage.run(0.5)
    assert (await incoming.ended).by is EndedBy.REMOTE
    assert stage.bob.port.closed == set(stage.bob.port.opened)
    assert stage.sent("bob")[-1] == "487" or "487" in stage.sent("bob")
    with pytest.raises(Canceled):
        await incoming.answer()


async def test_early_media_that_is_canceled_while_it_waits_is_told():
    stage, incoming = ringing(dropping("PRACK"), delayed=True)
    early = await started(stage, incoming)
    assert not early.done()
    stage.alice.leg.cancel()
    stage.run(0.5)
    with pytest.raises(Canceled):
        await early
    assert unopened(stage.bob)


async def test_a_bye_in_the_early_dialog_ends_the_call():
    stage, incoming = ringing()
    await (await started(stage, incoming))
    lines = [d for n, d in stage.wire if n == "alice"][-1].split(b"\r\n")
    bye = b"\r\n".join(
        line.replace(b"PRACK", b"BYE")
        .replace(b"CSeq: ", b"CSeq: 9")
        .replace(b"z9hG4bK", b"z9hG4bKx")
        for line in lines
        if not line.startswith(b"RAck")
    )
    stage.deliver("bob", bye)
    assert (await incoming.ended).by is EndedBy.REMOTE
    assert {"200", "487"} <= set(stage.sent("bob"))


async def test_without_a_free_port_early_media_refuses_the_call():
    stage = Stage()
    stage.bob.rings = False
    stage.bob.port._left = 0
    stage.dial()
    stage.run(0.1)
    with pytest.raises(CallFailed, match="media stream") as refused:
        await (await started(stage, IncomingCall(stage.bob.leg)))
    assert refused.value.status == 503


async def test_digits_are_taken_before_the_answer():
    stage, incoming = ringing()
    audio = await (await started(stage, incoming))
    (handle,) = stage.bob.port.opened
    stage.bob.port.callbacks[handle](DigitDetected(handle, "7", 100.0))
    assert DigitReceived("7", 100.0, "rfc4733") in stage.bob.events
    audio.send_digits("1")
    assert ("digits", handle, "1") in stage.bob.port.commands


async def test_tones_are_detected_once_where_the_account_takes_its_digits_so():
    stage, incoming = ringing()
    stage.bob.leg.setup = replace(stage.bob.leg.setup, digits_by=DigitMethod.INBAND)
    await (await started(stage, incoming))
    await (await answered(stage, incoming))
    assert len([c for c in stage.bob.port.commands if c[0] == "record"]) == 1


async def test_an_unanswered_call_with_early_media_ends_by_the_time_it_may_ring():
    stage = Stage(config=EndpointConfig(answer_timeout=20.0))
    stage.bob.rings = False
    stage.dial()
    stage.run(0.1)
    incoming = IncomingCall(stage.bob.leg)
    await (await started(stage, incoming))
    stage.run(25)
    ended = await incoming.ended
    assert (ended.by, ended.status) == (EndedBy.TIMEOUT, 480)
    assert stage.bob.port.closed == set(stage.bob.port.opened)


def asking_for_both_ends():
    """A call of which Bob must know that the caller's side is secure, too."""
    stage = Stage()
    stage.bob.rings = False
    stage.bob.policy, stage.bob.vouched = SecurityPolicy(scope=Scope.END_TO_END), True
    stage.dial()
    stage.run(0.1)
    return stage, IncomingCall(stage.bob.leg)


async def test_early_media_waits_for_the_far_end_s_level_and_the_answer_bounds_the_wait():
    stage, incoming = asking_for_both_ends()
    early = await started(stage, incoming, 15)
    assert not early.done()
    assert unopened(stage.bob)
    assert incoming.unanswered
    answering = await answered(stage, incoming, FAR_END_PATIENCE + 0.1)
    with pytest.raises(SecurityShortfall):
        await answering
    with pytest.raises(SecurityShortfall):
        await early
    assert unopened(stage.bob)
    assert "EarlyMediaStarted" not in stage.bob.kinds()


async def test_early_media_opens_once_the_far_end_s_level_is_known():
    stage, incoming = asking_for_both_ends()
    early = await started(stage, incoming, 1)
    assert not early.done()
    caller = stage.alice.leg
    info = (("Call-Info", security_call_info(SecurityLevel.ENCRYPTED)),)
    with stage.alice.change() as now:
        caller.usage.update(None, now=now, headers=info)
    stage.run(0.2)
    assert (await early).security.suite is not None
    assert incoming.security.scope is Scope.END_TO_END
    await (await answered(stage, incoming))
    assert stage.bob.kinds().count("EarlyMediaStarted") == 1
