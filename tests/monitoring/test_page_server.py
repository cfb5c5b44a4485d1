"""Small pages over HTTP: who may see them, what a rude client gets, and what is refused."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from softphone.errors import ConfigurationError
from softphone.lab import CertificateNames, Validity
from softphone.monitoring import Page, PageAccess, PageServer, parse_place
from softphone.monitoring.page_server import MOST_CLIENTS
from softphone.security import KeyMaterial
from softphone.trust import TlsCredential
from tests.support.certificates import authority
from tests.support.waiting import patiently, until

TOKEN = KeyMaterial(b"0123456789abcdef0123456789abcdef")


async def ask(port, data=b"GET /a HTTP/1.1\r\n\r\n", tls=None):
    """Everything that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(data)
        return await patiently(reader.read())
    finally:
        writer.close()


def server(**access):
    pages = {"/a": lambda: Page("this is a\n"), "/b": lambda: Page("no\n", 503)}
    return PageServer(pages, PageAccess(**access), what="the pages")


def credential(folder):
    issued = authority().issue("pages", CertificateNames(ip=("127.0.0.1",)), validity=Validity())
    written = issued.write(folder, "pages")
    return TlsCredential(written.certificate, written.key)


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /a HTTP/1.1", b"200 OK", b"this is a\n"),
        (b"GET /a?x=1 HTTP/1.1", b"200 OK", b"this is a\n"),
        (b"GET /b HTTP/1.1", b"503 Service Unavailable", b"no\n"),
        (b"GET / HTTP/1.1", b"404 Not Found", b""),
        (b"POST /a HTTP/1.1", b"405 Method Not Allowed", b""),
        (b"\x16\x03\x01\x02", b"405 Method Not Allowed", b""),
    ],
)
async def test_each_request_gets_one_answer_that_no_cache_keeps(request_line, status, body):
    async with server() as pages:
        answer = await ask(pages.port, request_line + b"\r\n\r\n")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"Cache-Control: no-store" in head
    assert content == body


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"", b"401"),
        (b"Authorization: Bearer wrong\r\n", b"401"),
        (b"Authorization: Basic " + TOKEN.reveal() + b"\r\n", b"401"),
        (b"authorization:  bearer " + TOKEN.reveal() + b" \r\n", b"200"),
    ],
)
async def test_with_a_token_only_who_has_it_sees_anything(field, status):
    async with server(token=TOKEN) as pages:
        request = b"GET /a HTTP/1.1\r\n" + field + b"\r\n"
        assert (await ask(pages.port, request)).startswith(b"HTTP/1.1 " + status)
        unknown = await ask(pages.port, b"GET /nothing HTTP/1.1\r\n" + field + b"\r\n")
        assert unknown.startswith(b"HTTP/1.1 " + (b"404" if status == b"200" else b"401"))


async def test_over_tls_it_shows_its_certificate(tmp_path):
    context = ssl.create_default_context(cafile=authority().write(tmp_path))
    access = {"host": "0.0.0.0", "credential": credential(tmp_path), "token": TOKEN}
    async with server(**access) as pages:
        assert pages.url.startswith("https://")
        request = b"GET /a HTTP/1.1\r\nAuthorization: Bearer " + TOKEN.reveal() + b"\r\n\r\n"
        assert b"this is a" in await ask(pages.port, request, tls=context)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "localhost"])
@pytest.mark.parametrize("has", ["nothing", "token", "credential"])
def test_beyond_loopback_it_needs_both_tls_and_a_token(host, has):
    given = {
        "nothing": {},
        "token": {"token": TOKEN},
        "credential": {"credential": TlsCredential("a", "b")},
    }[has]
    with pytest.raises(ConfigurationError, match="is not loopback"):
        PageAccess(host, **given)
    PageAccess(host, token=TOKEN, credential=TlsCredential("a", "b"))
    PageAccess(host, loopback_only=False)


def test_a_short_token_is_refused_and_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        PageAccess(token=KeyMaterial(b"swordfish"))
    assert "swordfish" not in str(caught.value)
    assert TOKEN.reveal().decode() not in repr(PageAccess(token=TOKEN))


async def test_clients_that_say_nothing_keep_few_places():
    async with server() as pages:
        idle = [await asyncio.open_connection("127.0.0.1", pages.port) for _ in range(MOST_CLIENTS)]
        await until(lambda: len(pages._open) == MOST_CLIENTS)
        assert await ask(pages.port, b"") == b""
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        await until(lambda: not pages._open)
        assert (await ask(pages.port)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("text", "place"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:0", ("::1", 0))],
)
def test_a_place_is_an_address_and_a_port(text, place):
    assert parse_place(text, what="--metrics") == place


@pytest.mark.parametrize("text", ["9464", "localhost:9464", "1.2.3:1", "127.0.0.1:70000", ""])
def test_what_is_none_is_refused(text):
    with pytest.raises(ConfigurationError, match="--metrics"):
        parse_place(text, what="--metrics")
