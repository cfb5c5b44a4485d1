"""Calls over HTTP as Twilio's REST interface has them: who may, what is refused, what happens."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from jsonschema import Draft202012Validator

from softphone.agents import AgentServer, BotConfig, ReportKind, RestServer, VoiceConfig
from softphone.agents.rest_openapi import CALL_SCHEMA, ERROR_SCHEMA, STATUSES
from softphone.config import DialPolicyConfig, load_account
from softphone.errors import ConfigurationError, DialRefused, TransportError
from softphone.monitoring import PageAccess
from softphone.phone import Phone
from softphone.security import KeyMaterial
from tests.agents.test_agent_server import silent
from tests.agents.test_voice_url import response, stream
from tests.support.certificates import authority
from tests.support.waiting import PATIENCE, patiently, until

SID = "AC" + "7" * 32
TOKEN = KeyMaterial(b"a token of the tests, 16 octets and more")
VOICE = VoiceConfig(url="http://127.0.0.1:9/voice", token=KeyMaterial(b"other"))
BOT = BotConfig(url="ws://127.0.0.1:9/media", account_id=SID)
NO_CALL = "CA" + "0" * 32


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Client:
    """Sends requests as SID; each answer is a status and an object as the document describes it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.calls = f"{url}/2010-04-01/Accounts/{SID}/Calls"
        self.url = url

    def call(self, sid: str) -> str:
        return f"{self.calls}/{sid}.json"

    async def send(self, method: str, url: str, **more) -> tuple[int, dict]:
        auth = more.pop("auth", basic(SID, TOKEN.reveal().decode()))
        headers = more.pop("headers", {}) | ({"Authorization": auth} if auth else {})
        async with self.session.request(method, url, headers=headers, **more) as answer:
            found = await answer.json()
            if "openapi" not in found:
                schema = CALL_SCHEMA if answer.status < 300 else ERROR_SCHEMA
                Draft202012Validator(schema).validate(found)
            if answer.status >= 300:
                assert found["status"] == answer.status
            return answer.status, found

    async def create(self, **fields: str) -> tuple[int, dict]:
        return await self.send("POST", f"{self.calls}.json", data=fields)

    async def update(self, sid: str, **fields: str) -> tuple[int, dict]:
        return await self.send("POST", self.call(sid), data=fields)

    async def fetch(self, sid: str) -> tuple[int, dict]:
        return await self.send("GET", self.call(sid))


@asynccontextmanager
async def serving(server, access=None, **session):
    access = access or PageAccess(token=TOKEN)
    async with (
        RestServer(server, access, version="1") as rest,
        aiohttp.ClientSession(**session) as http,
    ):
        yield Client(http, rest.url)


class Account:
    """An account that places no calls: `error` is why."""

    aor = "sip:alice@127.0.0.1"
    draining = False
    error: Exception | None = None

    def dial(self, target):
        async def start():
            raise self.error

        return SimpleNamespace(start=start)


@pytest.fixture
async def idle():
    """A client of a server without calls."""
    async with serving(AgentServer(Account(), BOT, voice=VOICE)) as made:
        yield made


async def test_the_document_agrees_with_the_routes(idle):
    status, document = await idle.send("GET", f"{idle.url}/openapi.json", auth=None)
    assert status == 200
    described = {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    rest = RestServer(AgentServer(Account(), BOT), PageAccess(token=TOKEN), version="1")
    served = {
        (route.resource.canonical, route.method) for route in rest.application.router.routes()
    }
    assert described == served
    for path, item in document["paths"].items():
        named = {each["name"] for each in item.get("parameters", ())}
        assert named == {part[1:-1] for part in path.replace(".json", "").split("/") if "{" in part}
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_each_described_field_is_taken_and_no_other(idle):
    """The form of each operation: a field beside those of the document is named and refused."""
    _, document = await idle.send("GET", f"{idle.url}/openapi.json", auth=None)
    for path, item in document["paths"].items():
        if "post" not in item:
            continue
        form = item["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        status, found = await idle.create(Record="true")
        assert (status, found["code"]) == (400, 20001)
        assert "Record" in found["message"]
        if "{call}" not in path:
            assert all(name in found["message"] for name in form["schema"]["properties"])


WRONG = [
    None,
    basic(SID, "wrong"),
    basic(SID, ""),
    basic("AC" + "8" * 32, TOKEN.reveal().decode()),
    basic("", TOKEN.reveal().decode()),
]


@pytest.mark.parametrize(
    ("user", "said"), [(None, b"HTTP/1.1 401 "), (SID, b"HTTP/1.1 100 Continue\r\n\r\n")]
)
async def test_a_request_that_waits_for_100_is_authenticated_first(idle, user, said):
    host, port = idle.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = idle.calls.removeprefix(idle.url)
    fields = ["Content-Type: application/x-www-form-urlencoded", "Content-Length: 9"]
    if user:
        fields.append(f"Authorization: {basic(user, TOKEN.reveal().decode())}")
    head = [f"POST {path}.json HTTP/1.1", f"Host: {host}", "Expect: 100-continue", *fields]
    writer.write("\r\n".join([*head, "", ""]).encode())
    assert (await patiently(reader.readuntil(b"\r\n\r\n"))).startswith(said)
    writer.close()


async def test_a_form_of_an_unknown_character_set_is_no_failure_of_ours(idle):
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=none"}
    status, found = await idle.send("POST", f"{idle.calls}.json", data=b"To=%FF", headers=kind)
    assert status in (400, 201), found


async def test_nobody_is_served_without_the_token(idle):
    for auth in WRONG:
        for method, url in (("POST", f"{idle.calls}.json"), ("GET", idle.call(NO_CALL))):
            status, found = await idle.send(method, url, auth=auth)
            assert (status, found["code"]) == (401, 20003)
    status, _ = await idle.send("GET", f"{idle.url}/elsewhere", auth=None)
    assert status == 401
    pair = basic(SID, TOKEN.reveal().decode()).removeprefix("Basic ")
    for header, expected in ((f"basic {pair}", 404), (f"Bearer {pair}", 401), ("\xff", 401)):
        found = await idle.send("GET", idle.call(NO_CALL), auth=header)
        assert found[0] == expected


async def test_what_is_not_there_is_not_found(idle):
    other = idle.call(NO_CALL).replace(SID, "AC" + "8" * 32)
    for method, url, data in (
        ("GET", idle.call(NO_CALL), None),
        ("POST", idle.call(NO_CALL), {"Status": "completed"}),
        ("GET", other, None),
        ("POST", f"{idle.url}/2010-04-01/Accounts/AC8/Calls.json", {"To": "bob"}),
        ("GET", f"{idle.url}/2010-04-01/Accounts", None),
    ):
        status, found = await idle.send(method, url, data=data)
        assert (status, found["code"]) == (404, 20404)
    status, found = await idle.send("GET", f"{idle.calls}.json")
    assert (status, found["code"]) == (405, 20004)


HANGUP = response("<Hangup/>").decode()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Twiml": HANGUP}, 21201),
        ({"To": " ", "Twiml": HANGUP}, 21201),
        ({"To": "bob"}, 21205),
        ({"To": "bob", "From": "+4930123", "Twiml": HANGUP}, 21212),
        ({"To": "bob", "Twiml": HANGUP, "Url": VOICE.url}, 20001),
        ({"To": "bob", "Url": "https://127.0.0.1:9/voice"}, 21205),
        ({"To": "bob", "Url": "http://127.0.0.1:10/voice"}, 21205),
        ({"To": "bob", "Url": "http://evil.example.test/"}, 21205),
        ({"To": "bob", "Url": "file:///etc/passwd"}, 21205),
        ({"To": "bob", "Url": VOICE.url, "Method": "GET"}, 20001),
        ({"To": "bob", "Twiml": "<Response>"}, 12100),
        ({"To": "bob", "Twiml": "<!DOCTYPE Response><Response/>"}, 12100),
        ({"To": "bob", "Twiml": response("<Dial>1</Dial>").decode()}, 12100),
        ({"To": "bob", "Twiml": stream("ws://127.0.0.1:10/media").decode()}, 21205),
        ({"To": "bob", "Twiml": stream("wss://evil.example.test/").decode()}, 21205),
        ({"To": "bob", "Twiml": HANGUP, "Timeout": "0"}, 20001),
        ({"To": "bob", "Twiml": HANGUP, "Timeout": "1e2"}, 20001),
        ({"To": "bob", "Twiml": HANGUP, "StatusCallback": "http://h/"}, 20001),
    ],
)
async def test_what_is_no_call(fields, code):
    account = Account()
    account.error = AssertionError("it was placed")
    async with serving(AgentServer(account, BOT, voice=VOICE)) as client:
        status, found = await client.create(**fields)
    assert (status, found["code"]) == (400, code)


async def test_forms_have_bounds(idle):
    url = f"{idle.calls}.json"
    for data, headers, expected in (
        ("To=bob&To=eve", {}, 400),
        ("&".join(f"a{n}=1" for n in range(200)), {}, 400),
        (b"To=\xff", {}, 400),
        (gzip.compress(bytes(1 << 20)), {"Content-Encoding": "gzip"}, 400),
        ("To=" + "x" * 300_000, {}, 413),
        ('{"To": "bob"}', {"Content-Type": "application/json"}, 415),
    ):
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        assert (await idle.send("POST", url, data=data, headers=headers))[0] == expected


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (TransportError("no server"), 503, 20503),
        (DialRefused("+49301****00", status=403), 400, 21215),
        (ConfigurationError("no URI"), 400, 21211),
    ],
)
async def test_what_the_account_refuses(error, status, code):
    account = Account()
    account.error = error
    async with serving(AgentServer(account, BOT)) as client:
        answer, found = await client.create(To="bob", Twiml=HANGUP, From="alice")
    assert (answer, found["code"]) == (status, code)


async def test_nothing_is_placed_while_we_leave_or_with_too_many_calls(monkeypatch):
    account = Account()
    account.error = AssertionError("it was placed")
    async with serving(AgentServer(account, BOT)) as client:
        monkeypatch.setattr("softphone.agents.agent_server.MOST_CALLS", 0)
        status, found = await client.create(To="bob", Twiml=HANGUP)
        assert (status, found["code"]) == (429, 20429)
        account.draining = True
        assert (await client.create(To="bob", Twiml=HANGUP))[0] == 503


async def test_clients_without_a_request_are_let_go(monkeypatch):
    monkeypatch.setattr("softphone.agents.rest_server.PATIENCE", 0.2)
    monkeypatch.setattr("softphone.agents.rest_server.MOST_CLIENTS", 2)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(serving(AgentServer(Account(), BOT)))
        port = int(client.url.rpartition(":")[2])
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _, writer in opened[:2]:
            writer.write(b"POST / HTTP/1.1\r\n")
        for reader, writer in opened:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await patiently(reader.readexactly(1))
            writer.close()
        monkeypatch.undo()
        assert (await client.fetch(NO_CALL))[0] == 404


def test_it_is_served_with_a_token_and_elsewhere_over_tls():
    with pytest.raises(ConfigurationError, match="token"):
        RestServer(AgentServer(Account(), BOT), PageAccess(), version="1")
    with pytest.raises(ConfigurationError, match="TLS"):
        PageAccess("192.0.2.1", token=TOKEN)


async def test_it_is_served_over_tls(bot_credential):
    access = PageAccess(credential=bot_credential, token=TOKEN)
    async with serving(AgentServer(Account(), BOT), access) as client:
        assert client.url.startswith("https://")
        pem = authority().certificate.public_bytes(Encoding.PEM).decode()
        trusting = ssl.create_default_context(cadata=pem)
        status, _ = await client.send("GET", client.call(NO_CALL), ssl=trusting)
        assert status == 404


# Calls


async def test_a_call_is_placed_redirected_and_ended(applications, bots, account_of):
    """With a document, with another one in the call, with a URL, and to its end."""
    bot, application = await bots(silent), await applications()
    alice, bob = await account_of("alice"), await account_of("bob")
    reports: list = []
    config = BotConfig(url=bot.url, account_id=SID)
    voice = VoiceConfig(url=application.url, token=KeyMaterial(b"other"))
    server = AgentServer(alice, config, voice=voice, report=reports.append)
    async with serving(server) as client:
        status, made = await client.create(To="bob", From="alice", Twiml=stream(bot.url).decode())
        assert (status, made["direction"], made["to"]) == (201, "outbound-api", "bob")
        assert made["status"] in STATUSES[:2]
        sid = made["sid"]
        incoming = await patiently(anext(bob.incoming()))
        refused = await client.update(sid, Twiml=HANGUP)
        assert (refused[0], refused[1]["code"]) == (400, 21220)
        call = await incoming.answer()
        await until(lambda: bot.sessions and bot.sessions[0].stream)
        assert (await client.fetch(sid))[1]["status"] == "in-progress"
        assert bot.sessions[0].of("start")[0]["start"]["callSid"] == sid
        refused = await client.update(sid, Status="canceled")
        assert (refused[0], refused[1]["code"]) == (400, 21220)

        other = stream(bot.url.replace("/media", "/second")).decode()
        assert (await client.update(sid, Twiml=other))[0] == 200
        await until(lambda: len(bot.sessions) == 2 and bot.sessions[1].stream)
        await until(lambda: bot.sessions[0].of("stop"))

        application.answers = [response('<Pause length="3600"/>')]
        assert (await client.update(sid, Url=application.url))[0] == 200
        await until(lambda: application.requests and bot.sessions[1].of("stop"))
        asked = application.requests[0][1]
        assert (asked["CallSid"], asked["CallStatus"]) == (sid, "in-progress")

        status, made = await client.update(sid, Status="completed")
        assert (status, made["status"]) == (200, "completed")
        status, found = await client.update(sid, Status="completed")
        assert (status, found["code"]) == (404, 20404)
        assert (await client.fetch(sid))[0] == 404
        await patiently(call.ended())
        await until(lambda: not server._tasks)
    assert [each.kind for each in reports] == [
        ReportKind.JOINED,
        ReportKind.JOINED,
        ReportKind.ENDED,
    ]
    assert bot.failures == []


async def test_calls_that_are_not_answered(bots, serve, account_of):
    """One that is placed is canceled, one that rings here is refused."""
    bot = await bots(silent, answers=[503] * 100)
    alice, dave = await account_of("alice"), await account_of("dave")
    serving_bob = await serve(bot.url, patience=60.0, account_id=SID)
    server = AgentServer(alice, BotConfig(url=bot.url, account_id=SID))
    async with serving(server) as client, serving(serving_bob.server) as bobs:
        _, made = await client.create(To="dave", Twiml=HANGUP, Timeout="30")
        incoming = await patiently(anext(dave.incoming()))
        incoming.ring()
        status, ended = await client.update(made["sid"], Status="canceled")
        assert (status, ended["status"]) == (200, "canceled")
        await patiently(incoming.ended)
        assert (await client.fetch(made["sid"]))[0] == 404

        async with alice.dial("bob") as outgoing:
            await until(lambda: serving_bob.server._calls)
            (sid,) = serving_bob.server._calls
            assert (await bobs.fetch(sid))[1]["status"] == "ringing"
            assert (await bobs.update(sid, Status="completed"))[0] == 200
            with pytest.raises(Exception, match="480"):
                await outgoing.answered(timeout=PATIENCE)
        assert serving_bob.kinds() == [ReportKind.REFUSED]
    await until(lambda: not serving_bob.server._tasks)


async def test_the_dial_policy_judges_what_is_placed(lab, account_of):
    config = load_account(lab.accounts["alice"]).config
    async with Phone() as phone:
        policy = DialPolicyConfig(allow=("_+49.",))
        alice = await phone.register(replace(config, dial_policy=policy))
        async with serving(AgentServer(alice, BOT)) as client:
            status, found = await client.create(To="+44900123456", Twiml=HANGUP)
    assert (status, found["code"]) == (400, 21215)
    assert "900123456" not in found["message"]
