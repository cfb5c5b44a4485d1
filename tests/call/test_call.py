"""An established call, as the application holds it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest

from softphone.call import Call
from softphone.call.leg import DigitMethod
from softphone.errors import ConfigurationError, LocalProtocolError, NotAcceptable
from softphone.events import (
    AnswerClassified,
    CallAnswered,
    CallEnded,
    CallRinging,
    CallState,
    DigitReceived,
    Direction,
    EndedBy,
    VoiceStarted,
    VoiceStopped,
)
from softphone.media import PcmBlock
from softphone.media.audio import ToneSource
from softphone.media.audio.dtmf_overlay import OverlaySource
from softphone.media.processing import NoiseSuppression, VoiceProcessing
from softphone.security import SecurityPolicy, SecurityShortfall
from softphone.sip import parse_uri
from tests.support.loudness_model import LoudnessModel
from tests.support.sounds import keys, samples, silence, speech, tone
from tests.support.stage import Stage, edit_body, first_line


def calls(stage, **options):
    caller, callee = stage.answered(**options)
    return Call.for_leg(caller), Call.for_leg(callee)


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
    assert Call.for_leg(call._leg) is call
    assert call.id == other.id
    assert call.state is CallState.CONFIRMED
    assert call.streams == (call.audio,)
    assert str(call.peer.uri) == "sip:bob@192.0.2.2"
    leg = call._leg
    call.hangup()
    assert Call.for_leg(leg) is call
    gone = ref(call)
    del call
    # The end is the application's to keep; who asks then is told of it all the same.
    assert gone() is None
    late = Call.for_leg(leg)
    assert late.state is CallState.TERMINATED
    assert Call.for_leg(leg) is late


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


async def test_digits_go_as_tones_where_nothing_else_is_taken():
    stage = Stage()
    stage.tamper = lambda name, data: without_events(name, data).replace(b"INFO, ", b"")
    call, _ = calls(stage)
    await call.send_digits("4", duration_ms=1)
    command, handle, overlay = stage.alice.port.commands[-1]
    assert (command, handle) == ("play", call._leg.stream.handle)
    assert isinstance(overlay, OverlaySource)
    assert "INFO" not in stage.sent("alice")


async def test_a_method_that_is_asked_for_is_taken_or_refused_by_name():
    stage = Stage()
    call, _ = calls(stage)
    await call.send_digits("4", duration_ms=1, method="info")
    stage.run(0.1)
    await call.send_digits("5", duration_ms=1, method="inband")
    assert [e.via for e in stage.bob.events if isinstance(e, DigitReceived)] == ["info"]
    with pytest.raises(ConfigurationError, match="morse"):
        await call.send_digits("4", method="morse")
    stage = Stage()
    stage.tamper = without_events
    call, _ = calls(stage)
    with pytest.raises(NotAcceptable, match="RFC 4733"):
        await call.send_digits("4", method="rtp")


async def test_what_is_detected_is_told_in_the_calls_events():
    stage = Stage()
    call, _ = calls(stage)
    detection = call.audio.detect(digits=True, voice=True, tones=True, answer=True)
    listener = stage.alice.port.commands[-1][2]
    call.audio.play(ToneSource(440.0))
    sound = samples(silence(0.3), speech(0.8), silence(1.5), keys("5"), silence(0.2))
    beep = samples(tone(1000.0, seconds=0.3), silence(1.0))
    pcm = np.concatenate((sound, beep))
    for at in range(0, pcm.size, 160):
        listener.write(PcmBlock(pcm[at : at + 160], 8000, at, 0))
        await asyncio.sleep(0)
    told = [e for e in stage.alice.events if not isinstance(e, CallAnswered | CallRinging)]
    started, stopped, human, digit, beep, machine = told
    assert isinstance(started, VoiceStarted)
    assert started.barge_in
    assert isinstance(stopped, VoiceStopped)
    assert (human.kind, machine.kind) == ("human", "machine")
    assert (digit.digit, digit.via) == ("5", "inband")
    assert beep.tone == "beep"
    detection.stop()
    detection.stop()
    assert stage.alice.port.commands[-1][:3:2] == ("record", None)
    with pytest.raises(LocalProtocolError, match="say what"):
        call.audio.detect()


async def test_a_call_hears_speech_by_its_model():
    stage = Stage()
    call, _ = calls(stage)
    model = LoudnessModel()
    call._leg.setup = replace(call._leg.setup, speech_model=model)
    call.audio.detect(voice=True)
    listener = stage.alice.port.commands[-1][2]
    pcm = samples(tone(700.0, seconds=0.5, level=-9.0), silence(0.5))
    for at in range(0, pcm.size, 160):
        listener.write(PcmBlock(pcm[at : at + 160], 8000, at, 0))
        await asyncio.sleep(0)
    told = [e for e in stage.alice.events if isinstance(e, VoiceStarted | VoiceStopped)]
    assert [type(each) for each in told] == [VoiceStarted, VoiceStopped]
    assert told[1].at == pytest.approx(0.5, abs=0.05)
    assert len(model.batches) == 8000 // 256


@pytest.mark.parametrize("speaking", [False, True], ids=["silent", "speaking"])
async def test_who_answered_is_found_out_while_we_already_speak(speaking):
    stage = Stage()
    call, _ = calls(stage)
    call.audio.detect(answer=True)
    listener = stage.alice.port.commands[-1][2]
    if speaking:
        call.audio.play(ToneSource(440.0))
    pcm = samples(silence(0.4), speech(0.8), silence(2.0))
    for at in range(0, pcm.size, 160):
        listener.write(PcmBlock(pcm[at : at + 160], 8000, at, 0))
        await asyncio.sleep(0)
    (verdict,) = [e for e in stage.alice.events if isinstance(e, AnswerClassified)]
    # 0.8 s after the last word, whether or not we have begun to speak.
    assert (verdict.kind, verdict.at) == ("human", pytest.approx(2.0, abs=0.15))


async def test_an_account_removes_echo_and_noise_but_tones_and_recordings_hear_what_came(tmp_path):
    stage = Stage()
    call, _ = calls(stage)
    wanted = VoiceProcessing(True, NoiseSuppression.HIGH)
    call._leg.setup = replace(call._leg.setup, voice_processing=wanted)
    call._leg._sound = None  # made at first use, and the answer was it
    sound = call._leg.sound
    assert sound.processes
    detection = call.audio.detect(digits=True, voice=True, tones=True, answer=True)
    speech_row, tone_row = detection._listeners
    assert (sound._listeners, sound._raw_listeners) == ([speech_row], [tone_row])
    recording = call.audio.record_both(tmp_path / "both.wav")
    assert sound._raw_listeners == [tone_row, recording.far]
    recording.close()
    detection.stop()
    assert (sound._listeners, sound._raw_listeners) == ([], [])
    call.audio.process(None)
    assert len(call.audio.detect(voice=True, tones=True)._listeners) == 1
    call.hangup()
    stage.run(0.1)
    with pytest.raises(LocalProtocolError):
        call.audio.process(wanted)
    with pytest.raises(LocalProtocolError):
        call.audio.detect(voice=True)


async def test_an_account_whose_digits_are_tones_listens_for_them():
    stage = Stage()
    stage.alice.digits_by = DigitMethod.INBAND
    call, _ = calls(stage)
    command, _, listener = stage.alice.port.commands[-1]
    assert (command, type(listener).__name__) == ("record", "LiveDetector")
    call.hangup()
    assert listener._closed


async def test_an_attended_transfer_names_the_dialog_as_its_peer_sees_it():
    stage = Stage()
    call, _ = calls(stage)
    consultation, seen = calls(stage)
    asked = asyncio.ensure_future(call.transfer(consultation))
    await asyncio.sleep(0)
    refers = []
    stage.bob.legs[0]._refer_received = refers.append
    stage.run(0.1)
    (event,) = refers
    call_id, to_tag, from_tag = event.replaces.split(";")
    local, remote = seen._leg.usage.local.tag, seen._leg.usage.remote.tag
    assert (call_id, to_tag, from_tag) == (seen.id, f"to-tag={local}", f"from-tag={remote}")
    assert event.referred_by is not None
    with stage.bob.change() as now:
        event.subscription.accept(now=now)
        event.subscription.notify_progress(200, "OK", now=now)
    stage.run(0.1)
    await asked
    assert call.state is CallState.TERMINATED


async def test_a_target_that_is_none_is_refused_before_anything_is_sent():
    stage = Stage()
    call, _ = calls(stage)
    sent = len(stage.wire)
    with pytest.raises(ConfigurationError, match="'not a uri' is not a SIP URI"):
        await call.transfer("not a uri")
    assert len(stage.wire) == sent


@pytest.mark.parametrize(
    ("target", "refer_to"),
    [
        ("601", "sip:601@192.0.2.1"),
        ("carol@192.0.2.3", "sip:carol@192.0.2.3"),
        ("sips:carol@example.test", "sips:carol@example.test"),
        ("<sip:carol@192.0.2.3>", "sip:carol@192.0.2.3"),
    ],
)
async def test_a_transfer_leads_to_a_uri_or_to_a_user_of_our_own_domain(target, refer_to):
    stage = Stage()
    call, _ = calls(stage)
    asked = asyncio.ensure_future(call.transfer(target))
    await asyncio.sleep(0)
    stage.run(0.1)
    (refer,) = [data for _, data in stage.wire if first_line(data).startswith("REFER")]
    assert f"Refer-To: <{refer_to}>".encode() in refer
    asked.cancel()


@pytest.mark.parametrize("caller", ["alice", "bob"])
async def test_a_transfer_to_a_user_leads_where_dialing_the_user_would(caller):
    stage = Stage()
    stage.alice.aor = parse_uri("sips:alice@example.test:5071")
    stage.dial(caller)
    stage.run(0.1)
    stage.parties["bob" if caller == "alice" else "alice"].leg.accept()
    stage.run(0.3)
    asked = asyncio.ensure_future(Call.for_leg(stage.alice.leg).transfer("601"))
    await asyncio.sleep(0)
    stage.run(0.1)
    (refer,) = [data for _, data in stage.wire if first_line(data).startswith("REFER")]
    assert b"Refer-To: <sips:601@example.test:5071>" in refer
    asked.cancel()


@pytest.mark.parametrize(
    ("reasons", "status", "cause", "text"),
    [
        ((), 0, 0, ""),
        (('Q.850;cause=16;text="Normal clearing"',), 0, 16, "Normal clearing"),
        (('SIP;cause=486;text="Busy Here"',), 486, 0, "Busy Here"),
        (("q.850;cause=17", 'SIP;cause=600;text="Busy"'), 600, 17, "Busy"),
        (('Q.850;cause=16, Q.850;cause=31, SIP ;cause="x"',), 0, 16, ""),
    ],
)
async def test_a_gateway_s_cause_is_apart_from_a_sip_status(reasons, status, cause, text):
    stage = Stage()
    call, _ = calls(stage)
    with stage.bob.change() as now:
        stage.bob.leg.usage.bye(now=now, headers=tuple(("Reason", each) for each in reasons))
    stage.run(0.2)
    assert await call.ended() == CallEnded(EndedBy.REMOTE, status, text, cause)


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


async def test_an_attended_transfer_joins_no_call_in_clear_to_one_that_may_not_be():
    stage = Stage()
    call, _ = calls(stage)
    stage.alice.policy = stage.bob.policy = SecurityPolicy.clear()
    plain, _ = calls(stage)
    for one, other in ((call, plain), (plain, call)):
        with pytest.raises(SecurityShortfall, match="SRTP is required"):
            await one.transfer(other)
    assert "REFER" not in stage.sent("alice")
    assert call.state is plain.state is CallState.CONFIRMED
