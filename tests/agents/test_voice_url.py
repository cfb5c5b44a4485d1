"""The voice URL: what it is asked, over which connection, and what becomes of a call after it."""

from __future__ import annotations

import asyncio
import wave
from dataclasses import replace

import pytest

from softphone.agents import AgentServer, BotConfig, ReportKind, VoiceConfig
from softphone.agents.dialects import StreamDialect
from softphone.agents.signature import sign_url
from softphone.agents.twiml import Connect, Hangup, TwimlError
from softphone.agents.voice_url import VoiceClient
from softphone.errors import CallError, CertificateError, ConfigurationError, TransportError
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings
from tests.agents.conftest import calling
from tests.agents.test_agent_server import silent
from tests.support.certificates import foreign, store
from tests.support.waiting import patiently, until

TOKEN = KeyMaterial(b"a token of the tests")
EMPTY = b"<Response/>"


def response(inner: str) -> bytes:
    return f"<Response>{inner}</Response>".encode()


def test_the_signature_is_that_of_twilios_documentation():
    """The example of "Validating requests are coming from Twilio"."""
    fields = {
        "Digits": "1234",
        "To": "+18005551212",
        "From": "+14158675309",
        "Caller": "+14158675309",
        "CallSid": "CA1234567890ABCDE",
    }
    signature = sign_url("https://mycompany.com/myapp.php?foo=1&bar=2", b"12345", fields)
    assert signature == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://app.example.test/secret"}, "loopback"),
        ({"url": "http://localhost:80/secret"}, "loopback"),
        ({"url": "wss://app.example.test/secret"}, "https://HOST"),
        ({"url": "https://user@app.example.test/secret"}, "neither a user"),
        ({"url": "https://app.example.test:0/secret"}, "https://HOST"),
        ({"token": KeyMaterial(b"")}, "empty"),
        ({"tls": TlsSettings()}, "HTTPS"),
        ({"timeout": 61.0}, "0.1 to 60"),
    ],
)
def test_what_is_no_voice_url(given, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        VoiceConfig(**{"url": "https://app.example.test/voice", "token": TOKEN, **given})
    assert "secret" not in str(caught.value)


def test_only_the_server_that_is_configured_is_asked():
    client = VoiceClient(VoiceConfig(url="https://App.example.test/voice", token=TOKEN))
    client.check_url("https://app.example.test:443/other?x=1")
    for url in (
        "https://app.example.test:8443/voice",
        "https://app.example.test.evil.test/voice",
        "http://127.0.0.1/voice",
        "file:///etc/passwd",
    ):
        with pytest.raises(ConfigurationError):
            client.check_url(url)


async def test_it_is_asked_over_a_verified_connection(applications, bot_credential, bot_tls):
    application = await applications(credential=bot_credential)
    application.answers = [response("<Hangup/>")]
    client = VoiceClient(VoiceConfig(url=application.url, token=TOKEN, tls=bot_tls()))
    fields = {"From": "sip:j\u00f6@example.test", "To": "+49 30", "A": "&=+"}
    assert await client.fetch(application.url, fields) == (Hangup(),)
    ((headers, told, _),) = application.requests
    assert told == fields
    assert headers["x-twilio-signature"] == sign_url(application.url, TOKEN.reveal(), fields)
    assert headers["host"] == application.url.split("/")[2]
    assert headers["content-type"].startswith("application/x-www-form-urlencoded")


async def test_who_is_not_trusted_is_told_nothing(applications, bot_credential, bot_tls):
    application = await applications(credential=bot_credential)
    tls = replace(bot_tls(), store=store(foreign()))
    client = VoiceClient(VoiceConfig(url=application.url, token=TOKEN, tls=tls))
    with pytest.raises(CertificateError):
        await client.fetch(application.url, {})
    assert application.requests == []


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (302, TransportError, "302"),
        (404, TransportError, "404"),
        (500, TransportError, "500"),
        (204, TransportError, "204"),
        (b"<html/>", TwimlError, "root element"),
        (b"<Response>" + b" " * 70_000 + b"</Response>", TransportError, "larger|more"),
    ],
)
async def test_other_answers_are_errors(applications, answer, error, words):
    application = await applications()
    application.answers = [answer, EMPTY]
    client = VoiceClient(VoiceConfig(url=application.url, token=TOKEN))
    with pytest.raises(error, match=words) as caught:
        await client.fetch(application.url, {})
    assert "tenant" not in str(caught.value)
    assert len(application.requests) == 1


async def test_an_application_that_says_nothing_is_given_up():
    async def mute(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        client = VoiceClient(VoiceConfig(url=url, token=TOKEN, timeout=0.1))
        with pytest.raises(TransportError, match=r"0\.1 s"):
            await client.fetch(url, {})


# Calls


async def status_of(alice) -> int:
    """What a call is refused with."""
    with pytest.raises(CallError) as caught:
        async with calling(alice):
            pass
    return caught.value.status


async def test_calls_are_refused_as_the_document_says(applications, bots, serve, account_of):
    bot, application = await bots(silent), await applications()
    elsewhere = bot.url.replace("127.0.0.1", "127.0.0.2")
    serving = await serve(bot.url, voice=VoiceConfig(url=application.url, token=TOKEN))
    alice = await account_of("alice")
    cases = [
        (response('<Reject reason="busy"/>'), 486, [ReportKind.REFUSED]),
        (response('<Pause length="0"/><Reject/>'), 603, [ReportKind.REFUSED]),
        (response("<Hangup/>"), 480, [ReportKind.REFUSED]),
        (EMPTY, 480, [ReportKind.REFUSED]),
        (response("<Dial>1</Dial>"), 480, [ReportKind.UNSUPPORTED, ReportKind.REFUSED]),
        (stream(elsewhere), 480, [ReportKind.BOT_FAILED, ReportKind.REFUSED]),
        (stream("file:///x"), 480, [ReportKind.BOT_FAILED, ReportKind.REFUSED]),
        (500, 480, [ReportKind.BOT_FAILED, ReportKind.REFUSED]),
    ]
    for answer, status, kinds in cases:
        application.answers, serving.reports[:] = [answer], []
        assert await status_of(alice) == status
        await until(lambda kinds=kinds: serving.kinds() == kinds)
        if ReportKind.UNSUPPORTED in kinds:
            assert serving.reports[0].reason == "Dial"
    assert bot.requests == 0
    assert serving.server.failures_total == 3


def stream(url: str, inner: str = "", after: str = "") -> bytes:
    return response(f'<Connect><Stream url="{url}">{inner}</Stream></Connect>{after}')


async def test_a_document_connects_one_bot_after_the_other(applications, bots, serve, account_of):
    """The bot's end is not that of the call: the next verb follows."""

    async def leaves_at_once(session):
        await session.begin()
        if len(bot.sessions) > 1:
            await session.listen()

    bot, application = await bots(leaves_at_once), await applications()
    other = bot.url.replace("/media", "/other?call=2")
    told = '<Parameter name="order" value="{from}"/><Parameter name="fixed" value="z"/>'
    application.answers = [
        stream(bot.url, told, f'<Pause length="0"/>{stream(other)[10:-11].decode()}<Say/>')
    ]
    serving = await serve(
        bot.url,
        voice=VoiceConfig(url=application.url, token=TOKEN),
        parameters={"who": "{from}", "fixed": "x"},
    )
    alice = await account_of("alice")
    async with calling(alice) as call:
        await until(lambda: len(bot.sessions) == 2 and bot.sessions[1].stream)
        await bot.sessions[1].socket.close()
        await patiently(call.ended())
    first, second = (each.of("start")[0]["start"] for each in bot.sessions)
    assert first["customParameters"] == {
        "who": "sip:alice@127.0.0.1",
        "order": "{from}",
        "fixed": "z",
    }
    assert second["customParameters"] == {"who": "sip:alice@127.0.0.1", "fixed": "x"}
    assert first["callSid"] == second["callSid"]
    await until(lambda: ReportKind.ENDED in serving.kinds())
    ((headers, fields, _),) = application.requests
    assert headers["x-twilio-signature"] == sign_url(application.url, TOKEN.reveal(), fields)
    assert fields == {
        "AccountSid": first["accountSid"],
        "ApiVersion": "2010-04-01",
        "CallSid": first["callSid"],
        "CallStatus": "ringing",
        "Called": "bob",
        "Caller": "sip:alice@127.0.0.1",
        "Direction": "inbound",
        "From": "sip:alice@127.0.0.1",
        "To": "bob",
    }
    assert {each.call_sid for each in serving.reports} == {first["callSid"]}
    assert serving.kinds()[-2:] == [ReportKind.UNSUPPORTED, ReportKind.ENDED]
    assert serving.reports[-2].reason == "Say"


async def test_each_bot_gets_what_is_its_own(applications, bots, serve, account_of):
    """A document names one of several bots: it sees its own token and parameters, no other's."""
    first, second = await bots(silent), await bots(silent)
    tokens = KeyMaterial(b"token of the first"), KeyMaterial(b"token of the second")
    application = await applications()
    other = second.url.replace("/media", "/other")
    application.answers = [stream(second.url), stream(other), stream(first.url)]
    serving = await serve(
        first.url,
        BotConfig(url=second.url, token=tokens[1], parameters={"of": "the second"}),
        voice=VoiceConfig(url=application.url, token=TOKEN),
        token=tokens[0],
        parameters={"of": "the first"},
    )
    alice = await account_of("alice")
    for bot, heard in ((second, 1), (second, 2), (first, 1)):
        async with calling(alice):
            await until(lambda: len(bot.sessions) == heard and bot.sessions[-1].stream)  # noqa: B023
    signatures = [each.headers["x-twilio-signature"] for each in second.sessions]
    secret = tokens[1].reveal()
    assert signatures == [sign_url(second.url, secret), sign_url(other, secret)]
    (session,) = first.sessions
    assert session.headers["x-twilio-signature"] == sign_url(first.url, tokens[0].reveal())
    told = [
        each.of("start")[0]["start"]["customParameters"]
        for each in (*first.sessions, *second.sessions)
    ]
    assert told == [{"of": "the first"}, {"of": "the second"}, {"of": "the second"}]
    await until(lambda: serving.kinds().count(ReportKind.ENDED) == 3)


async def test_a_bot_that_is_not_there_has_its_own_announcement(
    applications, bots, serve, account_of, tmp_path
):
    """The first bot has none: its call would be refused."""
    path = tmp_path / "sorry.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    bot, application = await bots(silent), await applications()
    absent = "ws://127.0.0.1:9/media"
    application.answers = [stream(absent)]
    serving = await serve(
        bot.url,
        BotConfig(url=absent, announcement=path, patience=0.2),
        voice=VoiceConfig(url=application.url, token=TOKEN),
    )
    async with calling(await account_of("alice")) as call:
        await patiently(call.ended())
    assert serving.kinds() == [ReportKind.BOT_FAILED]
    assert bot.sessions == []


async def test_which_bot_a_url_names(account_of):
    account = await account_of("bob")
    at = [BotConfig(url=f"wss://bot.example.test{path}") for path in ("/a", "/b")]
    elsewhere = BotConfig(url="wss://bot.example.test:8443/c")
    server = AgentServer(account, *at, elsewhere)
    for config in (*at, elsewhere):
        server.check_program((Connect(config.url),))
        assert server._connector_for(Connect(config.url)).config is config
    server.check_program((Connect("wss://bot.example.test:8443/other"),))
    for url, words in (
        ("wss://bot.example.test/secret", "several bots"),
        ("wss://evil.example.test/secret", "not the bot's server"),
        ("ws://bot.example.test:8443/secret", "loopback"),
    ):
        with pytest.raises(ConfigurationError, match=words) as caught:
            server.check_program((Connect(url),))
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (BotConfig(url="wss://bot.example.test/"), "one URL"),
        (BotConfig(url="wss://b.example.test/", dialect=StreamDialect.VONAGE), "sample rate"),
    ],
)
async def test_bots_that_go_not_together(account_of, other, words):
    account = await account_of("bob")
    with pytest.raises(ConfigurationError, match=words):
        AgentServer(account, BotConfig(url="wss://bot.example.test/"), other)


async def test_a_caller_who_gives_up_is_let_go(applications, bots, serve, account_of):
    """While the application thinks, and while the document has it ring."""
    bot, application = await bots(silent), await applications()
    application.answers = [response('<Pause length="3600"/>') for _ in range(9)]
    serving = await serve(bot.url, voice=VoiceConfig(url=application.url, token=TOKEN))
    alice = await account_of("alice")
    async with alice.dial("bob"):
        await until(lambda: application.requests)
    await until(lambda: not serving.server._tasks)
    assert serving.reports == []
