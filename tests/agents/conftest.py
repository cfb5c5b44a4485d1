"""A lab, phones with SRTP, and stand-ins of bots: real WebSocket servers on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from softphone import Account
from softphone.agents import AgentReport, AgentServer, BotConfig, ReportKind
from softphone.config import load_account
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.trust import Service
from tests.support.certificates import raw_server_context, server, settings
from tests.support.waiting import patiently, until

SUBPROTOCOLS = ("audio.jambonz.org", "media")
SCRIPT = Callable[["BotSession"], Awaitable[None]]


@dataclass
class BotSession:
    """One connection to the stand-in: what it was sent, and what its script says."""

    socket: web.WebSocketResponse
    headers: dict[str, str]
    messages: list[dict[str, Any]] = field(default_factory=list)
    stream: str = ""

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.messages if each["event"] == event]

    async def next(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        message = await self.socket.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        found: dict[str, Any] = json.loads(message.data)
        self.messages.append(found)
        if found["event"] == "start":
            self.stream = found["start"]["streamSid"]
        return found

    async def begin(self) -> None:
        """Take `connected` and `start`."""
        while not self.stream:
            assert await self.next() is not None

    async def say(self, event: str, **body: Any) -> None:
        await self.socket.send_json({"event": event, "streamSid": self.stream, **body})

    async def play(self, payload: str) -> None:
        await self.say("media", media={"payload": payload})

    async def mark(self, name: str) -> None:
        await self.say("mark", mark={"name": name})

    async def listen(self) -> None:
        """Take messages to the end."""
        while await self.next() is not None:
            pass

    async def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        found = self.of(event)
        while len(found) < count:
            message = await self.next()
            assert message is not None, self.of("stop")
            if message["event"] == event:
                found.append(message)
        return found


class StandIn:
    """A bot's server.  `script` talks on each connection; `answers` refuse the first handshakes."""

    def __init__(self, script: SCRIPT, answers: list[int]) -> None:
        self.script = script
        self.answers = answers
        self.sessions: list[BotSession] = []
        self.requests = 0
        self.failures: list[BaseException] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if self.answers:
            status = self.answers.pop(0)
            return web.Response(status=status, headers={"Location": "/elsewhere"})
        socket = web.WebSocketResponse(max_msg_size=1 << 22, protocols=SUBPROTOCOLS)
        await socket.prepare(request)
        session = BotSession(socket, {k.lower(): v for k, v in request.headers.items()})
        self.sessions.append(session)
        try:
            await self.script(session)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failures.append(error)
        if not socket.closed:
            await socket.close(code=WSCloseCode.OK)
        return socket


class StandInApplication:
    """An application's server: answers each POST with the next of `answers`, a body or a status."""

    def __init__(self) -> None:
        self.answers: list[bytes | int] = []
        self.requests: list[tuple[dict[str, str], dict[str, str], bytes]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, dict(parse_qsl(body.decode(), True)), body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, int):
            return web.Response(status=answer, headers={"Location": self.url})
        return web.Response(body=answer, content_type="text/xml")


@pytest.fixture
async def applications():
    """`await applications()`: a stand-in at its `url`; over TLS with `credential`."""
    async with AsyncExitStack() as stack:

        async def make(*, credential=None):
            made = StandInApplication()
            app = web.Application()
            app.router.add_post("/{tail:.*}", made.handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            context = None if credential is None else raw_server_context(credential)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            scheme = "http" if context is None else "https"
            made.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/voice?tenant=7"
            return made

        yield make


@pytest.fixture
async def bots(tmp_path):
    """`await bots(script)`: a stand-in at its `url`; over TLS with `credential`."""
    async with AsyncExitStack() as stack:

        async def make(script, *, answers=(), credential=None, ask_client=False, host="127.0.0.1"):
            made = StandIn(script, list(answers))
            app = web.Application()
            app.router.add_get("/{tail:.*}", made.handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            context = None
            if credential is not None:
                context = raw_server_context(credential)
                if ask_client:
                    context.load_verify_locations(cadata=_authority_pem())
                    context.verify_mode = 2
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
            await site.start()
            port = runner.addresses[0][1]
            scheme = "ws" if context is None else "wss"
            made.url = f"{scheme}://{host}:{port}/media"
            return made

        yield make


def _authority_pem() -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    from tests.support.certificates import authority

    return authority().certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab") as made:
        yield made


@pytest.fixture
async def account_of(lab):
    """`await account_of("alice")`: a registered account of the lab, on a phone of its own."""
    async with AsyncExitStack() as stack:

        async def register(name, *, policy=None, **media):
            phone = await stack.enter_async_context(Phone())
            config = replace(load_account(lab.accounts[name]).config, dial_policy=policy)
            return await phone.register(config.with_media(srtp="required", **media))

        yield register


class Serving:
    """An agent server that runs, and what it has reported."""

    def __init__(self, account: Account, server: AgentServer, reports: list) -> None:
        self.account = account
        self.server = server
        self.reports = reports

    def kinds(self) -> list[ReportKind]:
        return [each.kind for each in self.reports if isinstance(each, AgentReport)]


@pytest.fixture
async def serve(account_of):
    """`await serve(bot.url, ...)`: bob's calls are joined with the bot."""
    async with AsyncExitStack() as stack:

        async def begin(url, *others, voice=None, **config):
            account = await account_of("bob")
            reports: list = []
            bot = BotConfig(url=url, **config)
            made = AgentServer(account, bot, *others, voice=voice, report=reports.append)
            task = asyncio.ensure_future(made.serve())

            async def end() -> None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            stack.push_async_callback(end)
            return Serving(account, made, reports)

        yield begin


@pytest.fixture
def bot_tls(tmp_path):
    """TLS settings that believe the test authority; `bot_tls(issued)` shows a certificate."""

    def make(issued=None):
        return settings(tmp_path, issued, "bot-client", service=Service.HTTPS)

    return make


@pytest.fixture
def bot_credential(tmp_path):
    return server().write(tmp_path, "bot")


@asynccontextmanager
async def calling(account, target="bob", *, within=20.0):
    """A call that is up; hung up at the end."""
    async with account.dial(target) as outgoing:
        yield await outgoing.answered(timeout=within)


__all__ = ["calling", "patiently", "until"]
