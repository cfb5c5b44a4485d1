"""The echo bots of softphone's that bench_bot_latency calls, each in a process of its own.

    python bench/agents/echo_bots.py KIND CA_FILE CERTIFICATE_FILE KEY_FILE

KIND is `plain` (softphone's own API), `pipecat` (a pipeline), `livekit` (an agent session),
`stream` (the media-stream server, with a bot in another process behind its WebSocket) or `realtime`
(a realtime agent, with a stand-in of OpenAI's service in another process).  `stream-bot` and
`realtime-service` are these two processes.  Each prints a line of JSON with its port when it is
ready, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from softphone import Account, IncomingCall, Phone
from softphone.agents import AgentServer, BotConfig
from softphone.agents.realtime import RealtimeAgent, RealtimeConfig, RealtimeService
from softphone.config import AccountConfig, MediaPreferences, TlsConfig
from softphone.security import ClientCertificates, CryptoSuite, KeyMaterial

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
MEDIA = MediaPreferences(codecs=("PCMU",), srtp="required", suites=(SUITE,))
"""What both ends of every call have: the rival's SRTP has no other suite that is sure."""


async def stream_bot(request: web.Request) -> web.WebSocketResponse:
    """Send back each message of sound (Twilio Media Streams)."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        said = message.json()
        if said["event"] == "media":
            payload = {"payload": said["media"]["payload"]}
            await socket.send_json(
                {"event": "media", "streamSid": said["streamSid"], "media": payload}
            )
    return socket


async def realtime_service(request: web.Request) -> web.WebSocketResponse:
    """Send back what is heard as one long answer (OpenAI Realtime), without a VAD's delay."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    ids = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    async for message in socket:
        event = message.json()
        if event["type"] == "session.update":
            await socket.send_json({"type": "session.updated", "session": event["session"]})
            await socket.send_json({"type": "response.created", "response": {"id": "r"}})
        elif event["type"] == "input_audio_buffer.append":
            delta = {"type": "response.output_audio.delta", "delta": event["audio"]}
            await socket.send_json({**delta, **ids})
    return socket


SOCKETS = {"stream-bot": stream_bot, "realtime-service": realtime_service}


class Behind:
    """The process behind a bot's WebSocket; `url` is where it serves."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        port = json.loads(self._process.stdout.readline())["port"]
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


async def serve_plain(account: Account) -> None:
    """Echo by softphone's own API."""
    await _each(account, echo_plainly)


async def echo_plainly(incoming: IncomingCall) -> None:
    """Answer, and write what is read."""
    call = await incoming.answer()
    async for heard in call.audio:
        await call.audio.write(heard.pcm)


async def serve_pipecat(account: Account) -> None:
    """Echo by a pipeline."""
    from loguru import logger

    from bench.call.pipecat_echo import echo_by_pipecat

    logger.remove()
    await _each(account, echo_by_pipecat)


async def serve_livekit(account: Account) -> None:
    """Echo by an agent session."""
    from bench.agents.livekit_echo import echo_by_livekit

    await _each(account, echo_by_livekit)


async def serve_stream(account: Account) -> None:
    """Join calls with the bot behind a WebSocket."""
    behind = await asyncio.to_thread(Behind, "stream-bot")
    try:
        await AgentServer(account, BotConfig(url=behind.url)).serve()
    finally:
        behind.close()


async def serve_realtime(account: Account) -> None:
    """Let the stand-in talk."""
    behind = await asyncio.to_thread(Behind, "realtime-service")
    config = RealtimeConfig(
        service=RealtimeService.OPENAI, key=KeyMaterial(b"not-a-real-key"), url=behind.url
    )
    try:
        await RealtimeAgent(account, config).serve()
    finally:
        behind.close()


async def _each(account: Account, echo: Callable[[Any], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as calls:
        async for incoming in account.incoming():
            calls.create_task(echo(incoming))


KINDS = {
    "plain": serve_plain,
    "pipecat": serve_pipecat,
    "livekit": serve_livekit,
    "stream": serve_stream,
    "realtime": serve_realtime,
}


async def serve_bot(kind: str, authority: str, certificate: str, key: str) -> None:
    """Take calls until the input ends."""
    config = AccountConfig(
        aor="sip:bot@127.0.0.1",
        listen="tls:127.0.0.1:0",
        tls=TlsConfig(ca=(Path(authority),), certificate=Path(certificate), key=Path(key)),
        media=MEDIA,
        client_certificates=ClientCertificates.NONE,
        accept_from=("127.0.0.1",),
    )
    async with Phone() as phone:
        account = await phone.register(config)
        serving = asyncio.create_task(KINDS[kind](account))
        print(json.dumps({"port": account.listening[2]}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def serve_socket(kind: str) -> None:
    """Serve a WebSocket until the input ends."""
    app = web.Application()
    app.router.add_get("/{tail:.*}", SOCKETS[kind])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    name, *files = sys.argv[1:]
    asyncio.run(serve_socket(name) if name in SOCKETS else serve_bot(name, *files))
