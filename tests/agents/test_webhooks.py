"""Webhooks: signed, in order, again after a failure, within bounds, and never in a call's way."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from softphone.agents import (
    AgentReport,
    ReportKind,
    WebhookConfig,
    WebhookSender,
    parse_webhook_secret,
)
from softphone.agents.webhooks import MOST_ATTEMPTS, MOST_WAITING, sign_event
from softphone.backoff import ExponentialBackoff
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import foreign, store
from tests.support.waiting import until

SECRET = KeyMaterial(bytes(range(32)))
REPORT = AgentReport(ReportKind.JOINED, "a@h", "sip:bob@h", "MZ1", "", "CA1")
AT_ONCE = ExponentialBackoff(first=0.0, longest=0.0)


def sender(url: str, **more) -> WebhookSender:
    more = {"backoff": AT_ONCE, "wall": lambda: 1_700_000_000.75, **more}
    return WebhookSender(WebhookConfig(url=url, secret=SECRET), **more)


def test_the_signature_is_that_of_standard_webhooks():
    """The example of its specification."""
    secret = parse_webhook_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    body = b'{"test": 2432232314}'
    signature = sign_event(secret.reveal(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://app.example.test/secret"}, "loopback"),
        ({"url": "ftp://app.example.test/secret"}, "https://HOST"),
        ({"secret": KeyMaterial(bytes(23))}, "24 octets"),
        ({"tls": TlsSettings()}, "HTTPS"),
    ],
)
def test_what_is_no_webhook(given, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        WebhookConfig(**{"url": "https://app.example.test/", "secret": SECRET, **given})
    assert "/secret" not in str(caught.value)


def test_a_secret_that_is_none_is_not_told():
    with pytest.raises(ConfigurationError) as caught:
        parse_webhook_secret("whsec_not base64")
    assert "not base64:" in str(caught.value)
    assert "whsec_" not in str(caught.value)


async def test_an_event_is_posted_over_a_verified_connection(
    applications, bot_credential, bot_tls, caplog
):
    application = await applications(credential=bot_credential)
    config = WebhookConfig(url=application.url, secret=SECRET, tls=bot_tls())
    async with WebhookSender(config, wall=lambda: 1_700_000_000.75) as sending:
        sending.offer(REPORT)
        sending.offer(replace(REPORT, kind=ReportKind.ENDED))
    (headers, _, body), (later, _, _) = application.requests
    assert json.loads(body) == {
        "type": "call.joined",
        "timestamp": "2023-11-14T22:13:20.750000+00:00",
        "data": {
            "kind": "joined",
            "call_id": "a@h",
            "peer": "sip:bob@h",
            "stream_id": "MZ1",
            "reason": "",
            "call_sid": "CA1",
        },
    }
    assert headers["webhook-timestamp"] == "1700000000"
    signature = sign_event(SECRET.reveal(), headers["webhook-id"], 1_700_000_000, body)
    assert headers["webhook-signature"] == signature
    assert headers["webhook-id"] != later["webhook-id"]
    assert sending.delivered_total == 2
    assert caplog.text == ""
    assert SECRET.reveal().hex() not in repr(config) + repr(sending)


async def test_who_is_not_trusted_is_told_nothing(applications, bot_credential, bot_tls):
    application = await applications(credential=bot_credential)
    tls = replace(bot_tls(), store=store(foreign()))
    config = WebhookConfig(url=application.url, secret=SECRET, tls=tls)
    async with WebhookSender(config, backoff=AT_ONCE) as sending:
        sending.offer(REPORT)
        await until(lambda: sending.lost_total)
    assert application.requests == []


async def test_a_failure_is_repeated_with_the_same_id_and_another_time(applications):
    application = await applications()
    application.answers = [500, 503, 429, 200, 200]
    times = iter(range(1000, 2000))
    async with sender(application.url, wall=lambda: next(times)) as sending:
        sending.offer(REPORT)
        sending.offer(replace(REPORT, kind=ReportKind.ENDED))
    kinds = [json.loads(body)["type"] for _, _, body in application.requests]
    assert kinds == ["call.joined"] * 4 + ["call.ended"]
    first = [headers for headers, _, _ in application.requests[:4]]
    assert len({each["webhook-id"] for each in first}) == 1
    assert len({each["webhook-timestamp"] for each in first}) == 4
    assert len({each["webhook-signature"] for each in first}) == 4
    assert (sending.delivered_total, sending.lost_total) == (2, 0)


@pytest.mark.parametrize(
    ("answers", "requests"), [([302], 1), ([410], 1), ([401], 1), ([500] * 9, MOST_ATTEMPTS)]
)
async def test_what_is_not_taken_is_given_up(applications, answers, requests, caplog):
    application = await applications()
    application.answers = list(answers)
    async with sender(application.url) as sending:
        sending.offer(REPORT)
        await until(lambda: sending.lost_total)
    assert len(application.requests) == requests
    assert str(answers[0]) in caplog.text
    assert "tenant" not in caplog.text


async def test_the_delays_grow(applications, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("softphone.agents.webhooks.asyncio.sleep", sleep)
    config = WebhookConfig(url="http://127.0.0.1:9/", secret=SECRET)
    sending = WebhookSender(config, entropy=lambda count: b"\xff" * count)
    assert await sending._send("msg_1", b"{}")
    assert [round(each, 2) for each in slept] == [1.0, 2.0, 4.0, 8.0]


async def test_no_more_than_a_bound_waits(applications, monkeypatch, caplog):
    """An application that hangs costs memory within a bound, and no time."""
    monkeypatch.setattr("softphone.agents.webhooks.LAST_PATIENCE", 0.01)
    got = asyncio.Event()

    async def hangs(reader, writer):
        got.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hangs, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with sender(f"http://127.0.0.1:{port}/") as sending:
            sending.offer(REPORT)
            await got.wait()
            for _ in range(MOST_WAITING + 250):
                sending.offer(REPORT)
            assert sending.lost_total == 251
    assert sending.lost_total == MOST_WAITING + 251
    assert len(caplog.records) == 4


async def test_a_fault_of_ours_is_logged_and_ends_no_call(monkeypatch, caplog):
    def broken(*given):
        raise RuntimeError("a fault")

    monkeypatch.setattr("softphone.agents.webhooks.sign_event", broken)
    async with sender("http://127.0.0.1:9/") as sending:
        sending.offer(REPORT)
        await until(lambda: "sent no more" in caplog.text)
        sending.offer(REPORT)
    assert sending.lost_total == 2


def test_the_settings_are_those_of_a_web_server():
    assert WebhookConfig(url="http://[::1]:8080/x", secret=SECRET).tls.service is Service.HTTPS
