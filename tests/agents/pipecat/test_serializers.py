"""Bots that are built on pipecat's own serializers of carriers: unmodified, in calls under SRTP."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from tests.support.extra_site import PIPECAT

PIPECAT.need()
from pipecat.frames.frames import (
    EndFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.workers.runner import WorkerRunner

from softphone.agents import ReportKind, RestServer, StreamDialect
from softphone.events import EndedBy
from softphone.media.audio import ToneSource
from softphone.monitoring import PageAccess
from softphone.security import SecurityLevel
from tests.agents.conftest import bots as bot_servers
from tests.agents.conftest import calling
from tests.agents.pipecat.pipelines import Recorder
from tests.agents.pipecat.test_transport import echo
from tests.agents.test_agent_server import RATE, hears
from tests.agents.test_rest_server import SID, TOKEN
from tests.support.waiting import patiently, until

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


@asynccontextmanager
async def websocket_server(talk):
    """The URL of a server that runs `talk` with each WebSocket, as bots of pipecat's have one."""
    application = Starlette(routes=[WebSocketRoute("/media", talk)])
    # Pings would end the call of a busy machine.
    config = uvicorn.Config(application, lifespan="off", log_config=None, ws_ping_interval=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}/media"
        finally:
            server.should_exit = True
            await patiently(serving)


# pipecat authenticates in a way that aiohttp gives up; an error would keep it from asking at all.
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
async def test_a_pipeline_of_pipecats_ends_its_call_by_our_rest_server(serve, account_of):
    """Its own transport, and its serializer as it is without parameters: it hangs up by itself."""
    workers, answered = [], []

    async def talk(websocket):
        await websocket.accept()
        kind, data = await parse_telephony_websocket(websocket)
        assert kind == "twilio"
        serializer = TwilioFrameSerializer(
            *(data.stream_id, data.call_id, SID, TOKEN.reveal().decode()), base_url=rest.url
        )
        params = FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=serializer
        )
        transport = FastAPIWebsocketTransport(websocket, params)
        parts = [transport.input(), Recorder(echo), transport.output()]
        workers.append(PipelineWorker(Pipeline(parts)))
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(*workers)
        await runner.run()

    async def note(request, response):
        answered.append((request.method, request.path, response.status))

    async with websocket_server(talk) as url:
        serving = await serve(url, account_id=SID)
        rest = RestServer(serving.server, PageAccess(token=TOKEN), version="1")
        rest.application.on_response_prepare.append(note)
        async with rest, calling(await account_of("alice")) as call:
            assert call.security.level is SecurityLevel.ENCRYPTED
            call.audio.use_rates(read_hz=RATE)
            call.audio.play(ToneSource(700.0))
            await hears(call, 700.0)
            await workers[0].queue_frame(EndFrame())
            assert (await patiently(call.ended())).by is EndedBy.REMOTE
            await until(lambda: ReportKind.ENDED in serving.kinds())
    (sid,) = {each.call_sid for each in serving.reports}
    assert answered == [("POST", f"/2010-04-01/Accounts/{SID}/Calls/{sid}.json", 200)]
    assert serving.kinds() == [ReportKind.JOINED, ReportKind.ENDED]
