"""An echo by an agent session of livekit-agents on a call, for echo_bots.

The agent hears by its `stt_node` and speaks by `session.say`, so the session's own queues both ways
are in a measurement.  No service is: recognizer and voice are named only because a session without
them neither hears nor speaks.
"""

from __future__ import annotations

from livekit import rtc
from livekit.agents import Agent, AgentSession, stt
from livekit.agents.utils.aio import Chan

from softphone import IncomingCall
from softphone.agents.livekit import CallAudioInput, CallAudioOutput

RATE = 16000


class NoRecognizer(stt.STT):
    """Recognizes nothing: the agent's node takes its place."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, *_, **__):
        raise AssertionError("the agent recognizes speech by a node of its own")


class Echo(Agent):
    """Says what it hears."""

    def __init__(self) -> None:
        super().__init__(instructions="")
        self.heard: Chan[rtc.AudioFrame] = Chan()

    async def stt_node(self, audio, model_settings):
        """Keep the sound, and recognize nothing."""
        async for frame in audio:
            self.heard.send_nowait(frame)
        if False:
            yield None


async def echo_by_livekit(incoming: IncomingCall) -> None:
    """Echo by a session."""
    async with await incoming.answer() as call:
        session = AgentSession(
            stt=NoRecognizer(),
            vad=None,
            turn_handling={"turn_detection": "manual"},
            aec_warmup_duration=None,
        )
        output = CallAudioOutput(call, sample_rate=RATE)
        session.input.audio = CallAudioInput(call, sample_rate=RATE)
        session.output.audio = output
        agent = Echo()
        await session.start(agent, record=False)
        session.say("", audio=agent.heard)
        await call.ended()
        await session.aclose()
        await output.aclose()
