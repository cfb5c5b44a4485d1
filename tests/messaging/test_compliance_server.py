"""The external compliance server: asked with our certificate, closed when it is not clear."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from softphone.errors import ConfigurationError
from softphone.messaging.compliance import ComplianceEvent, Kind
from softphone.messaging.compliance_server import ComplianceServer
from softphone.messaging.hook import ALLOW, Deny, Redact
from softphone.messaging.message import Direction
from softphone.trust import Service
from tests.support.certificates import (
    alice,
    authority,
    foreign,
    mallory,
    raw_server_context,
    server,
    settings,
)
from tests.support.http import WebServer

EVENT = ComplianceEvent(Kind.MESSAGE, Direction.SENT, "a@x", "b@y", 5, body="hello")


@asynccontextmanager
async def answering(tmp_path, body, issued=None):
    context = raw_server_context((issued or server()).write(tmp_path, "web"), ask_client=True)
    context.load_verify_locations(authority().write(tmp_path, "clients"))
    web = WebServer(ask=body)
    web.server = await asyncio.start_server(web._serve, "127.0.0.1", 0, ssl=context)
    web.port = web.server.sockets[0].getsockname()[1]
    async with web.server:
        yield web


def asking(tmp_path, web, who=None, **more):
    tls = settings(tmp_path, who or alice(), service=Service.HTTPS)
    return ComplianceServer(f"https://127.0.0.1:{web.port}/ask", tls, **more)


@pytest.mark.parametrize(
    ("body", "decision"),
    [
        (b'{"verdict": "allow"}', ALLOW),
        (b'{"verdict": "deny", "reason": "no\\u001b[2J cards"}', Deny("no[2J cards")),
        (b'{"verdict": "redact", "body": "***"}', Redact("***")),
        (b'{"verdict": "redact"}', None),
        (b'{"verdict": "ALLOW"}', None),
        (b'["allow"]', None),
        (b"allow", None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
async def test_only_a_clear_verdict_is_one(tmp_path, body, decision):
    async with answering(tmp_path, body) as web:
        got = await asking(tmp_path, web).decide(EVENT)
    assert got == (decision or Deny("the compliance server did not answer"))
    told = json.loads(web.requests[0].partition(b"\r\n\r\n")[2])
    assert (told["kind"], told["direction"], told["body"]) == ("message", "sent", "hello")


async def test_a_server_that_fails_is_silent_or_gone_denies(tmp_path):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        policy = asking(tmp_path, web, within=0.5)
        web.status = "500 Oops"
        assert isinstance(await policy.decide(EVENT), Deny)
        web.silent = True
        assert isinstance(await policy.decide(EVENT), Deny)
    assert isinstance(await policy.decide(EVENT), Deny)


async def test_a_server_that_is_not_believed_hears_nothing(tmp_path):
    strange = foreign().server("127.0.0.1")
    async with answering(tmp_path, b'{"verdict": "allow"}', strange) as web:
        assert isinstance(await asking(tmp_path, web).decide(EVENT), Deny)
    assert web.requests == []


async def test_a_client_that_the_server_does_not_know_is_denied(tmp_path):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        assert isinstance(await asking(tmp_path, web, mallory()).decide(EVENT), Deny)
    assert web.requests == []


def test_a_client_certificate_is_needed(tmp_path):
    with pytest.raises(ConfigurationError, match="client certificate"):
        ComplianceServer("https://a.test/", settings(tmp_path, None, service=Service.HTTPS))
