"""A pipeline of pipecat's on a call: TLS and SRTP to the lab, on loopback."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from tests.support.extra_site import PIPECAT

PIPECAT.need()
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from softphone import OutgoingCall, Phone, SecurityLevel, SrtpPolicy
from softphone.agents.pipecat import (
    CallEventFrame,
    CallHoldFrame,
    CallMetricsData,
    CallResumeFrame,
    CallTransferFrame,
    PlaybackInterruptedFrame,
    SoftphoneParams,
    SoftphoneTransport,
)
from softphone.errors import CallError, ConfigurationError, LocalProtocolError
from softphone.events import (
    AnswerClassified,
    CallEnded,
    DigitReceived,
    Direction,
    EndedBy,
    HoldChanged,
    TransferRequested,
    VoiceStarted,
)
from softphone.media.audio import ReceivedAudio
from softphone.media.audio.tones import power_level
from tests.support.direct import address_of, secure
from tests.support.sounds import samples, silence, speech
from tests.support.waiting import patiently, until

LOUD = -40.0


def tone(seconds, rate=24000, kind=TTSAudioRawFrame):
    """A frame of 1 kHz."""
    time = np.arange(round(seconds * rate)) / rate
    pcm = (8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    return kind(audio=pcm.tobytes(), sample_rate=rate, num_channels=1)


def echo(frame):
    if isinstance(frame, InputAudioRawFrame):
        return OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
    return None


class Listener:
    """What a caller gets, taken by a task: events, and how many seconds of it were loud."""

    def __init__(self, call) -> None:
        self.call = call
        self.events: list = []
        self.loud = 0.0
        self.quiet_since_loud = 0.0
        self.task = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        async for item in self.call.stream():
            if not isinstance(item, ReceivedAudio):
                self.events.append(item)
            elif power_level(item.pcm) > LOUD:
                self.loud += item.seconds
                self.quiet_since_loud = 0.0
            else:
                self.quiet_since_loud += item.seconds

    def of(self, kind) -> list:
        return [each for each in self.events if isinstance(each, kind)]

    async def over(self) -> CallEnded:
        await patiently(self.task)
        return self.events[-1]


async def test_a_caller_is_answered_heard_echoed_and_its_end_is_told(call_of):
    bot, call = await call_of(reply=echo)
    listener = Listener(call)
    await bot.event("on_client_connected")
    assert bot.names()[:7] == [
        *("on_joined", "on_connected", "on_dialin_ready", "on_dialin_connected"),
        *("on_first_participant_joined", "on_participant_joined", "on_client_connected"),
    ]
    (participant,) = await bot.event("on_first_participant_joined")
    assert bot.transport.get_client_id(participant) == bot.transport.call.id
    assert participant["from"] == "sip:alice@127.0.0.1"
    assert participant["sip_headers"]["Call-ID"] == bot.transport.call.id
    bot.transport.call.security.require(SecurityLevel.ENCRYPTED)
    await call.audio.write(samples(speech(0.5)))
    await until(lambda: listener.loud > 0.2)
    heard = bot.middle.of(InputAudioRawFrame)
    assert {(each.sample_rate, each.num_channels) for each in heard} == {(16000, 1)}
    # As a far end reports a hook flash, for which our own `send_digits` has no key.
    bot.transport.call._leg.emit_digit("!", 100.0, "rfc4733")
    await call.send_digits("7A#")
    await bot.middle.wait_for(InputDTMFFrame, lambda frame: frame.button == KeypadEntry.POUND)
    assert [each.button.value for each in bot.middle.of(InputDTMFFrame)] == ["7", "#"]
    tones = [data["tone"] for name, *rest in bot.told if name == "on_dtmf_event" for data in rest]
    assert tones == ["!", "7", "A", "#"]
    call.hangup()
    (data,) = await bot.event("on_dialin_stopped")
    assert (data["sessionId"], data["by"]) == (bot.transport.call.id, "remote")
    assert (await bot.event("on_participant_left"))[0] == participant
    await bot.event("on_client_disconnected")
    ended = await bot.middle.wait_for(CallEventFrame, lambda f: isinstance(f.event, CallEnded))
    assert ended.event.by is EndedBy.REMOTE
    figures = bot.middle.of(MetricsFrame)[-1].data[0]
    assert isinstance(figures, CallMetricsData)
    assert figures.packets_received > 20
    assert figures.cumulative_lost == 0
    # Sound for a call that is over is refused, and not kept.
    assert await bot.transport.output().write_audio_frame(tone(1.0)) is False


async def test_the_last_word_is_played_before_the_bye(call_of):
    bot, call = await call_of()
    listener = Listener(call)
    await bot.event("on_client_connected")
    await bot.say(OutputDTMFUrgentFrame.from_string("5"))
    await bot.say(tone(0.5), OutputDTMFFrame.from_string("12#"), tone(0.5), EndFrame())
    ended = await listener.over()
    assert ended.by is EndedBy.REMOTE
    assert [each.digit for each in listener.of(DigitReceived)] == ["5", "1", "2", "#"]
    assert listener.loud >= 0.9
    await bot.over()
    assert "on_dialin_stopped" in bot.names()
    assert "on_client_disconnected" not in bot.names()


async def test_an_interruption_tells_what_was_sent_and_the_rest_is_never_heard(call_of):
    bot, call = await call_of()
    listener = Listener(call)
    await bot.event("on_client_connected")
    await bot.say(tone(9.0))
    await bot.middle.wait_for(BotStartedSpeakingFrame)
    await until(lambda: listener.loud > 0.4)
    await bot.worker.queue_frame(InterruptionFrame())
    told = await bot.end.wait_for(PlaybackInterruptedFrame)
    assert bot.middle.of(PlaybackInterruptedFrame)[0].sent_seconds == told.sent_seconds
    assert 0.0 < told.discarded_seconds < 0.13
    await until(lambda: listener.quiet_since_loud > 0.3)
    # Not more was heard than is reported, but for the edges of frames and what the caller's jitter
    # buffer made up; a busy machine may have dropped some of it.
    made_up = 0.02 * call.audio.statistics.concealed
    assert listener.loud < told.sent_seconds + 0.15 + made_up
    assert listener.loud > told.sent_seconds - 0.5
    # The next words are counted anew.
    await bot.say(tone(0.3))
    await until(lambda: listener.loud > told.sent_seconds + 0.2)
    await until(lambda: listener.quiet_since_loud > 0.2)
    await bot.worker.queue_frame(InterruptionFrame())
    await until(lambda: len(bot.end.of(PlaybackInterruptedFrame)) == 2)
    assert bot.end.of(PlaybackInterruptedFrame)[1].sent_seconds == pytest.approx(0.3, abs=0.03)


async def test_a_stall_of_the_loop_loses_nothing_that_is_told_as_sent(call_of, monkeypatch):
    bot, call = await call_of()
    listener = Listener(call)
    await bot.event("on_client_connected")
    audio, handed = bot.transport.call.audio, []
    write = audio.write

    async def counted(pcm, **options):
        handed.append(len(pcm) // 2)
        await write(pcm, **options)

    monkeypatch.setattr(audio, "write", counted)
    await bot.say(tone(9.0))
    await until(lambda: listener.loud > 0.1)
    threading.Event().wait(0.5)  # nothing runs meanwhile: neither pipecat nor media
    await until(lambda: listener.loud > 0.7)
    await bot.worker.queue_frame(InterruptionFrame())
    told = await bot.end.wait_for(PlaybackInterruptedFrame)
    # To pipecat it was one utterance, and all of it was counted.
    assert len(bot.middle.of(BotStartedSpeakingFrame)) == 1
    all_of_it = told.sent_seconds + told.discarded_seconds
    assert all_of_it == pytest.approx(sum(handed) / 24000, abs=0.001)
    # Where the caller's media go on before the bot's, its jitter buffer makes up what did not come
    # in time: more is heard than was sent.
    await until(lambda: listener.quiet_since_loud > 0.3)
    made_up = 0.02 * call.audio.statistics.concealed
    assert listener.loud < told.sent_seconds + 0.15 + made_up


async def test_what_may_not_be_interrupted_is_played(call_of):
    bot, call = await call_of(SoftphoneParams(lead_seconds=0.5))
    listener = Listener(call)
    await bot.event("on_client_connected")
    sound = tone(0.4)
    sound.interruptible = False
    await bot.say(sound)
    await until(lambda: listener.loud > 0.05)
    await bot.worker.queue_frame(InterruptionFrame())
    await until(lambda: listener.loud >= 0.36)
    assert not bot.end.of(PlaybackInterruptedFrame)


def direction(value):
    return lambda frame: isinstance(frame.event, HoldChanged) and frame.event.direction is value


async def test_hold_resume_and_a_transfer_wait_for_their_turn(call_of):
    bot, call = await call_of()
    listener = Listener(call)
    await bot.event("on_client_connected")
    await bot.say(tone(0.3), CallHoldFrame())
    await bot.middle.wait_for(CallEventFrame, direction(Direction.SENDONLY))
    await until(lambda: listener.loud >= 0.2)
    await bot.say(CallResumeFrame())
    await bot.middle.wait_for(CallEventFrame, direction(Direction.SENDRECV))
    await bot.transport.hold()
    await bot.transport.resume()
    await bot.say(CallTransferFrame("nobody"))
    error = await bot.middle.wait_for(ErrorFrame)
    assert error.error.startswith("cannot transfer the call: ")
    assert "404" in await bot.transport.sip_refer({"toEndPoint": "nobody"})
    # The lab's 600 is an echo: the caller goes on without the bot.
    await bot.say(CallTransferFrame("600"))
    (data,) = await bot.event("on_dialin_stopped")
    assert data["by"] == "local"
    await bot.event("on_client_disconnected")
    assert not listener.of(CallEnded)


async def test_what_is_said_to_a_far_end_that_holds_us_is_played_afterwards(tmp_path, bots):
    async with Phone() as phone, Phone() as other:
        bob = await phone.register(secure(tmp_path, "bob", SrtpPolicy.REQUIRED))
        alice = await other.register(secure(tmp_path, "alice", SrtpPolicy.REQUIRED))
        async with alice.dial(address_of(bob)) as outgoing:
            bot = await bots(await patiently(anext(bob.incoming())))
            call = await patiently(outgoing.answered())
            listener = Listener(call)
            await bot.event("on_client_connected")
            await call.hold()
            await bot.middle.wait_for(CallEventFrame, direction(Direction.RECVONLY))
            await bot.say(tone(0.5), EndFrame())
            await bot.middle.wait_for(BotStartedSpeakingFrame)
            assert listener.loud == 0.0
            await call.resume()
            assert (await listener.over()).by is EndedBy.REMOTE
            assert listener.loud >= 0.4


async def test_a_transfer_that_the_far_end_asks_for_is_refused(tmp_path, bots):
    async with Phone() as phone, Phone() as other:
        bob = await phone.register(secure(tmp_path, "bob", SrtpPolicy.REQUIRED))
        alice = await other.register(secure(tmp_path, "alice", SrtpPolicy.REQUIRED))
        async with alice.dial(address_of(bob)) as outgoing:
            bot = await bots(await patiently(anext(bob.incoming())))
            call = await patiently(outgoing.answered())
            with pytest.raises(CallError, match="603"):
                await call.transfer("sip:premium@127.0.0.1")
            asked = await bot.middle.wait_for(
                CallEventFrame, lambda frame: isinstance(frame.event, TransferRequested)
            )
            assert asked.event.refer_to == "sip:premium@127.0.0.1"


async def test_the_calls_own_detector_reports_speech(call_of):
    bot, call = await call_of(SoftphoneParams(detect_voice=True, detect_answer=True))
    await call.audio.write(samples(speech(1.0), silence(1.5)))
    await bot.middle.wait_for(VADUserStartedSpeakingFrame)
    await bot.middle.wait_for(VADUserStoppedSpeakingFrame)
    await bot.middle.wait_for(CallEventFrame, lambda f: isinstance(f.event, VoiceStarted))
    answered = await bot.middle.wait_for(
        CallEventFrame, lambda f: isinstance(f.event, AnswerClassified)
    )
    assert answered.event.kind == "human"


async def test_a_bot_dials_until_somebody_answers(account_of, bots):
    bob, alice = await account_of("bob"), await account_of("alice")
    bot = await bots(alice, SoftphoneParams())
    await bot.event("on_joined")
    transport = bot.transport
    assert await transport.start_dialout({}) == ("", "dial-out needs phoneNumber or sipUri")
    session, wrong = await transport.start_dialout({"sipUri": "not a uri"})
    assert session == ""
    assert "not a uri" in wrong
    assert (await bot.event("on_dialout_error"))[0]["errorMsg"] == wrong
    bot.told.clear()
    session, wrong = await transport.start_dialout({"phoneNumber": "nobody"})
    assert wrong is None
    (data,) = await bot.event("on_dialout_error")
    assert data == {"sessionId": session, "errorMsg": data["errorMsg"], "status": 404}
    bot.told.clear()
    await transport.start_dialout({"phoneNumber": "bob", "headers": {"X-Order": "7"}})
    _, wrong = await transport.start_dialout({"phoneNumber": "bob"})
    assert wrong == "the transport has one call, which is not over yet"
    incoming = await patiently(anext(bob.incoming()))
    assert incoming.headers.get("X-Order") == "7"
    incoming.ring()
    await bot.event("on_dialout_connected")
    bot.told.clear()
    call = await incoming.answer()
    listener = Listener(call)
    await bot.event("on_client_connected")
    assert bot.names()[0] == "on_dialout_answered"
    assert await transport.send_dtmf({"tones": "42", "digitDurationMs": 80}) is None
    await until(lambda: len(listener.of(DigitReceived)) == 2)
    assert "x" in await transport.send_dtmf({"tones": "x"})
    assert await transport.stop_dialout(session) is None
    await listener.over()
    (data,) = await bot.event("on_dialout_stopped")
    assert data["by"] == "local"
    await bot.event("on_client_disconnected")
    assert await transport.send_dtmf({"tones": "1"}) == "no call is up"


async def test_a_call_that_rings_ends_with_its_pipeline(account_of, bots):
    bob, alice = await account_of("bob"), await account_of("alice")
    bot = await bots(alice)
    await bot.event("on_joined")
    await bot.transport.start_dialout({"phoneNumber": "bob"})
    incoming = await patiently(anext(bob.incoming()))
    incoming.ring()
    await bot.event("on_dialout_connected")
    await bot.stop()
    assert (await patiently(incoming.ended)).by is EndedBy.REMOTE


async def test_a_pipeline_that_ends_while_it_dials_gives_the_call_up(account_of, bots, monkeypatch):
    start, reached = OutgoingCall.start, asyncio.Event()

    async def slow(outgoing) -> None:
        await reached.wait()
        await start(outgoing)

    monkeypatch.setattr(OutgoingCall, "start", slow)
    bob, alice = await account_of("bob"), await account_of("alice")
    bot = await bots(alice)
    await bot.event("on_joined")
    dialing = asyncio.ensure_future(bot.transport.start_dialout({"phoneNumber": "bob"}))
    await asyncio.sleep(0)
    bot.transport._session.leave()
    reached.set()
    assert await patiently(dialing) == ("", "the pipeline has ended")
    assert await bot.event("on_dialout_error") == [
        {"sessionId": "", "errorMsg": "the pipeline has ended"}
    ]
    await bot.stop()
    assert not alice.calls
    assert not bob.calls


async def test_a_caller_that_gave_up_is_an_error(account_of, bots):
    bob, alice = await account_of("bob"), await account_of("alice")
    async with alice.dial("bob"):
        incoming = await patiently(anext(bob.incoming()))
    await patiently(incoming.ended)
    bot = await bots(incoming)
    (data,) = await bot.event("on_dialin_error")
    assert data["sessionId"] == incoming.id
    assert data["errorMsg"]
    await bot.say(tone(0.1), EndFrame())
    await bot.over()


async def test_a_pipeline_that_only_speaks_answers_and_one_that_only_listens_ends(account_of, bots):
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.workers.runner import WorkerRunner

    bob, alice = await account_of("bob"), await account_of("alice")
    for part in ("output", "input"):
        async with alice.dial("bob") as outgoing:
            incoming = await patiently(anext(bob.incoming()))
            transport = SoftphoneTransport(await incoming.answer() if part == "input" else incoming)
            worker = PipelineWorker(Pipeline([getattr(transport, part)()]), enable_rtvi=False)
            runner = WorkerRunner(handle_sigint=False)
            await runner.add_workers(worker)
            running = asyncio.ensure_future(runner.run())
            call = await patiently(outgoing.answered())
            if part == "output":
                listener = Listener(call)
                await worker.queue_frame(tone(0.3))
                await until(lambda listener=listener: listener.loud > 0.2)
            await until(lambda transport=transport: transport.call is not None)
            await worker.queue_frame(EndFrame())
            assert (await patiently(call.ended())).by is EndedBy.REMOTE
            await patiently(running)


async def test_a_call_at_a_rate_that_calls_have_not_is_refused_in_words(call_of, account_of, bots):
    bob, alice = await account_of("bob"), await account_of("alice")
    async with alice.dial("bob"):
        incoming = await patiently(anext(bob.incoming()))
        bot = await bots(incoming, rates=(16000, 44100))
        (data,) = await bot.event("on_dialin_error")
        assert "Hz" in data["errorMsg"]


@pytest.mark.parametrize(
    "wrong",
    [{"audio_in_channels": 2}, {"audio_out_channels": 2}, {"video_out_enabled": True}],
    ids=str,
)
def test_what_a_call_cannot_have_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"call has one channel|no video"):
        SoftphoneTransport(None, SoftphoneParams(**wrong))


async def test_dialing_before_the_pipeline_runs_and_commands_without_a_call(account_of):
    transport = SoftphoneTransport(await account_of("bob"))
    assert transport.input() is transport.input()
    assert transport.output() is transport.output()
    _, wrong = await transport.start_dialout({"phoneNumber": "bob"})
    assert wrong == "the pipeline has not started yet: dial in `on_joined`"
    with pytest.raises(LocalProtocolError, match="no call is up"):
        await transport.transfer("600")
    # A mixer's next frame would come at once: without a call it takes its time.
    transport.output()._params.audio_out_mixer = object()
    transport.output()._sample_rate = 24000
    assert await transport.output().write_audio_frame(tone(0.01)) is False
