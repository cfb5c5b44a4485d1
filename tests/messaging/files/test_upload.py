"""Slots: the service is found once, its limit counts, its answer is read or refused."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.errors import TransferError
from softphone.messaging.files.upload import UploadService, add_file_link, file_link_of
from tests.support.certificates import authority
from tests.support.chat import ALICE, DOMAIN, config, signed_in, stream, user

UPLOAD = "urn:xmpp:http:upload:0"
INFO, ITEMS = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"
LIMIT = (
    "<x xmlns='jabber:x:data' type='result'>"
    "<field var='max-file-size'><value>1000</value></field></x>"
)


@pytest.fixture
async def asking(tmp_path, entropy):
    one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
    upload = UploadService()
    with pytest.raises(TransferError, match="nobody is signed in"):
        await upload.request_slot("a", 1, "text/plain")
    upload.attach(one)
    connection = await signed_in(one)
    yield upload, connection, one
    connection.abort()
    await one.end_stream()


async def answered(connection, inner, kind="result"):
    """Answer the next question, and give it."""
    asked = await connection.until("<iq ([^>]*)>.*?</iq>")
    key, to = (re.search(f"\\b{name}=[\"'](.*?)[\"']", asked[1])[1] for name in ("id", "to"))
    connection.say(f"<iq type='{kind}' id='{key}' from='{to}' to='{ALICE}/desk'>{inner}</iq>")
    return asked[0]


async def find(connection, feature=UPLOAD):
    await answered(connection, f"<query xmlns='{ITEMS}'><item jid='files.{DOMAIN}'/></query>")
    await answered(connection, f"<query xmlns='{INFO}'/>")
    await answered(connection, f"<query xmlns='{INFO}'><feature var='{feature}'/>{LIMIT}</query>")


def slot(put="https://f.test/put", get="https://f.test/get"):
    headers = "".join(f"<header name='Cookie'>{number}</header>" for number in range(12))
    return f"<slot xmlns='{UPLOAD}'><put url='{put}'>{headers}</put><get url='{get}'/></slot>"


async def test_the_service_is_found_once_and_asked_for_each_slot(asking):
    upload, connection, _ = asking
    first = asyncio.create_task(upload.request_slot("a <b>.png", 900, "image/png"))
    await find(connection)
    asked = await answered(connection, slot())
    assert 'filename="a &lt;b&gt;.png"' in asked
    assert ('size="900"' in asked, 'content-type="image/png"' in asked) == (True, True)
    given = await first
    assert (given.put, given.get) == ("https://f.test/put", "https://f.test/get")
    assert given.headers == tuple(("Cookie", str(number)) for number in range(8))
    second = asyncio.create_task(upload.request_slot("b", 1, "text/plain"))
    await answered(connection, slot("https://f.test/2"))
    assert (await second).put == "https://f.test/2"
    with pytest.raises(TransferError, match=f"files.{DOMAIN} takes files of 1000 bytes"):
        await upload.request_slot("c", 1001, "text/plain")


async def test_a_server_without_one_is_an_error(asking):
    upload, connection, _ = asking
    asked = asyncio.create_task(upload.request_slot("a", 1, "text/plain"))
    await find(connection, "urn:other")
    with pytest.raises(TransferError, match=f"{DOMAIN} has no place for files"):
        await asked


@pytest.mark.parametrize(
    ("inner", "kind", "words"),
    [
        ("<slot xmlns='urn:xmpp:http:upload:0'/>", "result", "has no place"),
        ("", "result", "has no place"),
        (
            "<error type='modify'><not-acceptable"
            " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
            "error",
            "no place for a: not-acceptable",
        ),
    ],
)
async def test_an_answer_without_a_slot_is_an_error(asking, inner, kind, words):
    upload, connection, _ = asking
    asked = asyncio.create_task(upload.request_slot("a", 1, "text/plain"))
    await find(connection)
    await answered(connection, inner, kind)
    with pytest.raises(TransferError, match=words):
        await asked


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://f.test/a%20b", True),
        ("http://f.test/a", False),
        ("https:///a", False),
        ("https://[::1/a", False),
        ("javascript:1", False),
        (f"https://f.test/{'a' * 3000}", False),
    ],
)
async def test_only_https_links_are_files(asking, url, there):
    _, _, one = asking
    stanza = one.make_message(mto=ALICE, mbody="x")
    assert file_link_of(stanza) == ""
    add_file_link(stanza, url)
    assert file_link_of(stanza) == (url if there else "")
