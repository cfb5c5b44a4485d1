"""The external compliance server: asked with our certificate, closed when it is not clear."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from email.parser import BytesParser
from email.policy import HTTP

import pytest

from softphone.errors import ConfigurationError, TransferError
from softphone.messaging.compliance import (
    ALLOW,
    ComplianceEvent,
    ContentKind,
    Deny,
    Redact,
    ask_policies,
)
from softphone.messaging.compliance.server import ComplianceServer, FileHandoverLimit
from softphone.messaging.message import MessageDirection
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

EVENT = ComplianceEvent(ContentKind.MESSAGE, MessageDirection.SENT, "a@x", "b@y", 5, body="hello")


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


PICTURE = bytes(range(256)) * 1000
FILE = ComplianceEvent(
    *(
        ContentKind.FILE,
        MessageDirection.SENT,
        "a@x",
        "b@y",
        len(PICTURE),
        'a"b\r\n.png',
        "image/png",
    ),
    hashlib.sha256(PICTURE).hexdigest(),
)


def holding(data, size=None, *, fails=False):
    async def content():
        for at in range(0, len(data), 70_000):
            yield data[at : at + 70_000]
        if fails:
            raise TransferError("the file was changed while it was sent")

    return replace(FILE, size=len(data) if size is None else size, content=content)


async def test_a_file_is_given_to_the_server_with_the_question(tmp_path):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        policy = asking(tmp_path, web, handover=FileHandoverLimit(len(PICTURE)))
        assert await policy.decide(holding(PICTURE)) is ALLOW
        assert await policy.decide(replace(holding(PICTURE), kind=ContentKind.CAPTURE)) is ALLOW
        assert await policy.decide(EVENT) is ALLOW
    head, _, body = web.requests[0].partition(b"\r\n\r\n")
    form = BytesParser(policy=HTTP).parsebytes(head.partition(b"\r\n")[2] + b"\r\n\r\n" + body)
    event, file = form.iter_parts()
    assert [one.get_param("name", header="Content-Disposition") for one in (event, file)] == [
        "event",
        "file",
    ]
    told = json.loads(event.get_payload(decode=True))
    assert (told["name"], told["sha256"]) == (FILE.name, FILE.sha256)
    assert file.get_filename() == "content"
    assert file.get_payload(decode=True) == PICTURE
    assert b'"capture"' in web.requests[1]
    assert b"multipart" not in web.requests[2]


async def test_without_being_asked_to_no_file_is_given(tmp_path):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        assert await asking(tmp_path, web).decide(holding(PICTURE)) is ALLOW
    assert len(web.requests[0]) < 1000


@pytest.mark.parametrize("event", [holding(PICTURE + b"!"), FILE])
async def test_a_file_that_cannot_be_given_is_denied_and_the_server_not_asked(tmp_path, event):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        policy = asking(tmp_path, web, handover=FileHandoverLimit(len(PICTURE)))
        decision = await policy.decide(event)
    assert isinstance(decision, Deny) is (event.content is None or event.size > len(PICTURE))
    assert f"files of {len(PICTURE)} bytes at most" in decision.reason
    assert web.requests == []


async def test_a_file_that_changes_on_the_way_is_denied(tmp_path):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        policy = asking(tmp_path, web, handover=FileHandoverLimit(1 << 20))
        for event in (holding(PICTURE, fails=True), holding(PICTURE, len(PICTURE) + 1)):
            decided = await ask_policies((policy,), event)
            assert isinstance(decided, Deny)
    assert web.requests == []


async def test_a_server_that_is_silent_with_the_file_in_its_hands_denies(tmp_path):
    async with answering(tmp_path, b'{"verdict": "allow"}') as web:
        web.silent = True
        policy = asking(tmp_path, web, within=60, handover=FileHandoverLimit(1 << 20, within=0.5))
        assert isinstance(await policy.decide(holding(PICTURE)), Deny)


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
