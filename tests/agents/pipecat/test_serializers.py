"""Bots that are built on pipecat's own serializers of carriers: unmodified, in calls under SRTP."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.extra_site import PIPECAT

PIPECAT.need()
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer

from softphone.agents import ReportKind, StreamDialect
from softphone.media.audio import ToneSource
from tests.agents.conftest import bots as bot_servers
from tests.agents.conftest import calling
from tests.agents.test_agent_server import RATE, hears
from tests.support.waiting import until

__all__ = ["bot_servers"]


def of_twilio(start):
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    return TwilioFrameSerializer(start["start"]["streamSid"], params=params)


def of_telnyx(start):
    params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
    encoding = start["start"]["media_format"]["encoding"]
    return TelnyxFrameSerializer(start["stream_id"], encoding, encoding, params=params)


def of_vonage(start):
    assert start["content-type"] == "audio/l16;rate=16000"
    return VonageFrameSerializer()


async def answer(serializer, message, digits):
    """What a bot says to a message: its sound again, and an interruption to a digit."""
    heard = await serializer.deserialize(message)
    if isinstance(heard, InputAudioRawFrame):
        return await serializer.serialize(
            OutputAudioRawFrame(heard.audio, heard.sample_rate, heard.num_channels)
        )
    if isinstance(heard, InputDTMFFrame):
        digits.append(heard.button.value)
        return await serializer.serialize(InterruptionFrame())
    return None


@pytest.mark.parametrize(
    ("dialect", "make"),
    [
        (StreamDialect.TWILIO, of_twilio),
        (StreamDialect.TELNYX, of_telnyx),
        (StreamDialect.VONAGE, of_vonage),
    ],
)
async def test_a_bot_with_pipecats_serializer(bot_servers, serve, account_of, dialect, make):
    digits, texts = [], []

    async def script(session):
        start = await session.socket.receive_json()
        if start["event"] == "connected":
            start = await session.socket.receive_json()
        serializer = make(start)
        await serializer.setup(SimpleNamespace(audio_in_sample_rate=16000))
        async for message in session.socket:
            texts.append(str(message.data))
            said = await answer(serializer, message.data, digits)
            if isinstance(said, str):
                await session.socket.send_str(said)
            elif said:
                await session.socket.send_bytes(said)

    bot = await bot_servers(script)
    serving = await serve(bot.url, dialect=dialect)
    async with calling(await account_of("alice")) as call:
        call.audio.use_rates(read_hz=RATE)
        call.audio.play(ToneSource(700.0))
        await hears(call, 700.0)
        await call.send_digits("5")
        await until(lambda: digits)
        if dialect is StreamDialect.VONAGE:
            await until(lambda: any("websocket:cleared" in each for each in texts))
    await until(lambda: ReportKind.ENDED in serving.kinds())
    assert digits == ["5"]
    assert bot.failures == []
