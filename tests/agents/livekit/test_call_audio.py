"""An agent session of livekit-agents on a call: sound both ways, pauses, what was heard, functions.

Its stand-ins of speech services are nodes of the agent: a tone is what it says.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from softphone.agents import livekit
from softphone.agents.realtime import Tool
from softphone.agents.sound_coding import SoundCoding
from softphone.config import DialPolicyConfig
from softphone.errors import ConfigurationError
from softphone.events import DigitReceived, EndedBy
from softphone.media.audio import ToneSource
from softphone.security import SecurityLevel
from tests.agents.conftest import calling
from tests.agents.realtime.test_openai_calls import SPEECH_HZ, falls_silent
from tests.agents.realtime.test_playback import FRAME, Stream, sound
from tests.agents.test_agent_server import RATE, hears
from tests.support.extra_site import LIVEKIT
from tests.support.realtime_service import ANSWER_HZ, Ear, tone
from tests.support.waiting import PATIENCE, patiently, until

LIVEKIT.need()

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt, tts

from softphone.agents.livekit import CallAudioInput, CallAudioOutput, call_tools


def test_what_is_exported_is_there(monkeypatch):
    assert all(getattr(livekit, name) for name in livekit.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        livekit.nothing  # noqa: B018
    monkeypatch.setattr(livekit, "has_module", lambda name: False)
    with pytest.raises(ModuleNotFoundError, match=r"needs that: .*\[livekit\]"):
        livekit.__getattr__("call_tools")


# The output alone: its media loop is the test


class Line(Stream):
    """The audio of a call whose media loop is the test."""

    def __init__(self):
        super().__init__(24000)
        self.rates = {}
        self.paused = False

    def use_rates(self, **rates):
        self.rates |= rates

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


class FarEnd:
    """A call that is up until `over` is set."""

    def __init__(self):
        self.audio = Line()
        self.over = asyncio.Event()

    async def ended(self):
        await self.over.wait()


@pytest.fixture
async def far_end():
    """A call, its output, and the events of that."""
    call = FarEnd()
    output = CallAudioOutput(call)
    call.told = []
    output.on("playback_started", lambda event: call.told.append("started"))
    output.on(
        "playback_finished",
        lambda event: call.told.append((round(event.playback_position, 3), event.interrupted)),
    )
    call.output = output
    yield call
    call.over.set()
    await output.aclose()


def frame(samples, rate=24000, channels=1):
    return rtc.AudioFrame(sound(0, samples * channels), rate, channels, samples)


async def send(call, frames):
    for _ in range(frames):
        await call.audio.send(3 * FRAME)


async def test_a_segment_is_finished_when_its_last_sample_was_sent(far_end):
    output = far_end.output
    for _ in range(4):
        await output.capture_frame(frame(480))
    output.flush()
    await send(far_end, 4)
    assert far_end.told == ["started"]
    await send(far_end, 1)  # a frame counts as sent when the next one is read
    assert (await output.wait_for_playout()).playback_position == pytest.approx(0.08)
    assert far_end.told == ["started", (0.08, False)]
    assert far_end.audio.sent.tobytes() == 4 * sound(0, 480)
    assert far_end.audio.rates == {"write_hz": 24000}
    assert output.can_pause


@pytest.mark.parametrize("flushed_first", [True, False])
async def test_an_interruption_tells_how_much_was_sent(far_end, flushed_first):
    output = far_end.output
    await output.capture_frame(frame(24000))
    if flushed_first:
        output.flush()
    await send(far_end, 10)
    output.clear_buffer()
    if not flushed_first:
        await output.capture_frame(frame(24000))  # of the same segment: it comes late
        output.flush()
    await send(far_end, 2)
    await output.wait_for_playout()
    assert far_end.told == ["started", (0.2, True)]
    assert far_end.audio.sent.size == 10 * 480
    # The next segment is whole.
    await output.capture_frame(frame(480))
    output.flush()
    await send(far_end, 3)
    await output.wait_for_playout()
    assert far_end.told[2:] == ["started", (0.02, False)]
    output.clear_buffer()
    output.flush()
    await send(far_end, 1)
    assert len(far_end.told) == 4


async def test_a_segment_waits_for_the_one_before(far_end):
    output = far_end.output
    await output.capture_frame(frame(480))
    output.flush()
    second = asyncio.ensure_future(output.capture_frame(frame(480)))
    await asyncio.sleep(0)
    assert not second.done()
    await send(far_end, 3)
    await second
    assert far_end.told == ["started", (0.02, False), "started"]


async def test_pauses_are_those_of_the_call(far_end):
    far_end.output.pause()
    assert far_end.audio.paused
    far_end.output.resume()
    assert not far_end.audio.paused


async def test_the_end_of_the_call_ends_a_segment(far_end):
    output = far_end.output
    await output.capture_frame(frame(24000))
    output.flush()
    await send(far_end, 5)
    far_end.over.set()
    await output.wait_for_playout()
    assert far_end.told == ["started", (0.1, True)]


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (24000, 2)])
async def test_other_frames_are_refused(far_end, rate, channels):
    with pytest.raises(ConfigurationError, match="24000 Hz"):
        await far_end.output.capture_frame(frame(480, rate, channels))


# A session on a call


class NoModel(llm.LLM):
    """The model is the agent's own node."""

    def chat(self, **_):
        raise NotImplementedError


class NoRecognizer(stt.STT):
    def __init__(self):
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, *_, **__):
        raise NotImplementedError


class NoVoice(tts.TTS):
    def __init__(self):
        streaming = tts.TTSCapabilities(streaming=True)
        super().__init__(capabilities=streaming, sample_rate=24000, num_channels=1)

    def synthesize(self, *_, **__):
        raise NotImplementedError


class Bot(Agent):
    """Falls silent when it hears something loud; says a tone; calls the functions of `wishes`."""

    def __init__(self, tools, wishes):
        super().__init__(instructions="Be brief.", tools=tools)
        self.wishes = wishes
        self.told = []
        self.seconds = 20.0
        self.ear = Ear(16000, SoundCoding.PCM)

    async def stt_node(self, audio, model_settings):
        async for heard in audio:
            if self.ear.hear(bytes(heard.data)) == "started":
                self.session.interrupt()
        if False:
            yield None

    async def llm_node(self, chat_ctx, tools, model_settings):
        last = chat_ctx.items[-1]
        if last.type == "function_call_output":
            self.told.append((last.output, last.is_error))
        elif self.wishes:
            name, arguments = self.wishes.pop(0)
            call = llm.FunctionToolCall(name=name, arguments=json.dumps(arguments), call_id=name)
            yield llm.ChatChunk(id="1", delta=llm.ChoiceDelta(role="assistant", tool_calls=[call]))
            return
        yield "Well."

    async def tts_node(self, text, model_settings):
        async for _ in text:
            pass
        octets = tone(self.seconds, 24000, SoundCoding.PCM)
        for begin in range(0, len(octets), 9600):
            piece = octets[begin : begin + 9600]
            yield rtc.AudioFrame(piece, 24000, 1, len(piece) // 2)


def session_of_stand_ins():
    return AgentSession(
        stt=NoRecognizer(),
        llm=NoModel(),
        tts=NoVoice(),
        vad=None,
        turn_handling={"turn_detection": "manual"},
        aec_warmup_duration=None,
    )


@asynccontextmanager
async def session_on(call, agent):
    """A session of stand-ins whose sound is a call's, and its output."""
    session, output = session_of_stand_ins(), CallAudioOutput(call)
    session.input.audio, session.output.audio = CallAudioInput(call), output
    await session.start(agent, record=False)
    yield session, output
    await call.ended()
    await session.aclose()
    await output.aclose()


async def two_digits(call):
    digits = ""
    async for event in call.events():
        if isinstance(event, DigitReceived):
            digits += event.digit
        if len(digits) == 2:
            return digits


PREMIUM = ("transfer", {"target": "0900-1234567"})


async def test_a_session_on_a_call_over_srtp(account_of):
    """It greets, is interrupted, presses keys, and hangs up when its last word was heard.

    Of the transfers that it is told to make, the dial policy refuses one.
    """
    policy = DialPolicyConfig(country="49")
    bob, alice = await account_of("bob", policy=policy), await account_of("alice")
    wishes = [PREMIUM, ("send_digits", {"digits": "4#"}), ("hang_up", {})]
    finished, noted = [], []
    waited_for = asyncio.Event()

    async def serve():
        async for incoming in bob.incoming():
            async with await incoming.answer() as call:
                agent = Bot(call_tools(call, bob, Tool), wishes)
                async with session_on(call, agent) as (session, output):
                    output.on("playback_finished", finished.append)
                    greeting = session.say("Hello")
                    await greeting.wait_for_playout()
                    noted.append(greeting.interrupted)
                    agent.seconds = 0.3
                    await session.generate_reply(user_input="transfer me")
                    await session.generate_reply(user_input="press four")
                    noted.extend(agent.told)
                    await waited_for.wait()
                    session.generate_reply(user_input="goodbye")
                return

    serving = asyncio.ensure_future(serve())
    async with calling(alice) as call:
        assert call.security.level is SecurityLevel.ENCRYPTED
        digits = asyncio.ensure_future(two_digits(call))
        call.audio.use_rates(read_hz=RATE)
        await hears(call, ANSWER_HZ)
        call.audio.play(ToneSource(SPEECH_HZ))
        await until(lambda: finished)
        await falls_silent(call)
        call.audio.play(None)
        assert await patiently(digits) == "4#"
        waited_for.set()
        assert (await patiently(call.ended())).by is EndedBy.REMOTE
    await asyncio.wait_for(serving, PATIENCE)
    interrupted, (refusal, is_error), pressed = noted
    assert interrupted
    assert pressed == ("done", False)
    assert finished[0].interrupted
    assert 0.1 <= finished[0].playback_position < 19.0
    assert is_error
    assert "premium" in refusal
    assert wishes == []


async def test_a_session_transfers_its_caller(account_of):
    policy = DialPolicyConfig(country="49", internal=("_6XX",))
    bob, alice = await account_of("bob", policy=policy), await account_of("alice")
    agent = None

    async def serve():
        nonlocal agent
        async for incoming in bob.incoming():
            async with await incoming.answer() as call:
                agent = Bot(call_tools(call, bob, Tool), [("transfer", {"target": "600"})])
                agent.seconds = 0.3
                async with session_on(call, agent) as (session, _):
                    session.generate_reply(user_input="somebody else, please")
                return

    serving = asyncio.ensure_future(serve())
    async with calling(alice) as call:
        await asyncio.wait_for(serving, PATIENCE)
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(SPEECH_HZ))
        await hears(call, SPEECH_HZ)  # 600 is an echo
    assert agent.wishes == []


async def test_transfers_need_a_policy(account_of):
    with pytest.raises(ConfigurationError, match="dial policy"):
        call_tools(None, await account_of("bob"), [Tool.TRANSFER])
