"""Requests over HTTPS: nothing leaves before the gate has agreed, and nothing goes elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    TransportError,
    TransportTimeout,
)
from softphone.net.http import (
    HttpsClient,
    HttpsLimits,
    HttpsRequest,
    ResponseTooLarge,
    basic_authorization,
    https_target,
    web_target,
)
from softphone.sans_io import Target, Transport
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import foreign, raw_server_context, server, settings, store
from tests.support.http import WebServer


@asynccontextmanager
async def secure(tmp_path, issued=None, **answers):
    """A `WebServer` over TLS."""
    web = WebServer(**answers)
    context = raw_server_context((issued or server()).write(tmp_path, "web"))
    web.server = await asyncio.start_server(web._serve, "127.0.0.1", 0, ssl=context)
    web.port = web.server.sockets[0].getsockname()[1]
    async with web.server:
        yield web


def client(tmp_path, **limits):
    return HttpsClient(settings(tmp_path, None, service=Service.HTTPS), HttpsLimits(**limits))


def url(web, path="file?a=b%20c"):
    return f"https://127.0.0.1:{web.port}/{path}"


async def test_a_request_goes_as_it_is_and_its_answer_comes(tmp_path):
    async with secure(tmp_path, **{"file?a=b%20c": b"body"}) as web:
        answer = await client(tmp_path).send_request(
            HttpsRequest(url(web), headers=(("X-A", "1"),))
        )
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"body", "4")
    assert "pbx.example.test" in answer.identity.subject
    (request,) = web.requests
    assert request.startswith(b"GET /file?a=b%20c HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{web.port}".encode() in request
    assert b"X-A: 1" in request


async def pieces(count, size):
    for number in range(count):
        yield bytes([number % 256]) * size


async def test_what_is_large_goes_out_in_pieces_and_whole(tmp_path):
    count, size = 160, 50_000  # more than a connection may have waiting
    async with secure(tmp_path, file=b"") as web:
        request = HttpsRequest(url(web, "file"), "PUT", (), pieces(count, size), count * size)
        assert (await client(tmp_path).send_request(request)).status == 200
    body = web.requests[0].partition(b"\r\n\r\n")[2]
    assert body == b"".join([piece async for piece in pieces(count, size)])


async def test_pieces_are_taken_as_they_come(tmp_path):
    got = []
    async with secure(tmp_path, file=b"x" * 300_000) as web:
        answer = await client(tmp_path).send_request(HttpsRequest(url(web, "file")), got.append)
    assert (answer.body, sum(map(len, got))) == (b"", 300_000)
    assert len(got) > 1


async def test_too_much_is_not_taken(tmp_path):
    async with secure(tmp_path, file=b"x" * 3000) as web:
        with pytest.raises(ResponseTooLarge):
            await client(tmp_path, size=2999).send_request(HttpsRequest(url(web, "file")))


async def test_a_server_that_is_not_believed_sees_no_request(tmp_path):
    async with secure(tmp_path, foreign().server("127.0.0.1"), file=b"x") as web:
        header = basic_authorization("anna", KeyMaterial(b"secret"))
        with pytest.raises(CertificateUntrusted):
            await client(tmp_path).send_request(HttpsRequest(url(web, "file"), headers=(header,)))
    assert web.requests == []


async def test_a_redirect_is_an_answer_and_is_not_followed(tmp_path):
    async with secure(tmp_path, file=b"") as web, secure(tmp_path, other=b"") as other:
        web.status = f"302 Found\r\nLocation: {url(other, 'other')}"
        answer = await client(tmp_path).send_request(HttpsRequest(url(web, "file")))
    assert answer.status == 302
    assert other.requests == []


async def test_a_silent_server_is_left(tmp_path):
    async with secure(tmp_path, file=b"") as web:
        web.silent = True
        with pytest.raises(TransportTimeout, match=r"did not answer GET within 0\.3 s"):
            await client(tmp_path, within=0.3).send_request(HttpsRequest(url(web, "file")))


async def test_a_server_that_is_not_there_is_told(tmp_path, unused_tcp_port):
    with pytest.raises(TransportError, match="cannot be reached"):
        await client(tmp_path).send_request(HttpsRequest(f"https://127.0.0.1:{unused_tcp_port}/"))


@pytest.mark.parametrize(
    "text",
    [
        "http://a/",
        "https://",
        "https://u:p@a/",
        "ftp://a/",
        "https://a:0x/",
        "",
        "//a",
        "https://①.test/",
    ],
)
def test_only_an_address_of_https_is_one(text):
    with pytest.raises(ConfigurationError) as caught:
        https_target(text)
    assert ":p@" not in str(caught.value)


def test_where_an_address_leads():
    target = https_target("https://Host.Example.test/x")
    assert (target.host, target.port) == ("host.example.test", 443)
    assert https_target("https://[::1]:8443/").host == "::1"


def test_an_address_of_loopback_may_be_in_clear():
    assert web_target("http://127.0.0.1/x") == Target(Transport.TCP, "127.0.0.1", 80)
    assert web_target("http://[::1]:8080/x") == Target(Transport.TCP, "::1", 8080)
    assert web_target("https://app.example.test/x") == https_target("https://app.example.test/")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/secret",
        "http://192.0.2.1/secret",
        "http://127.0.0.1:70000/secret",
        "ftp://127.0.0.1/secret",
        "https:///secret",
    ],
)
def test_no_other_address_is(url):
    with pytest.raises(ConfigurationError) as caught:
        web_target(url)
    assert "secret" not in str(caught.value)


def test_settings_of_another_service_are_refused():
    with pytest.raises(ConfigurationError, match="another service"):
        HttpsClient(TlsSettings(store=store()))


def test_basic_is_that_of_rfc_7617_and_shows_nothing():
    header = basic_authorization("Aladdin", KeyMaterial(b"open sesame"))
    assert header == ("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    assert "QWxh" not in repr(HttpsRequest("https://a/", headers=(header,)))


async def test_a_server_that_is_not_admitted_is_sent_nothing(tmp_path):
    seen = []

    def refuse(identity):
        seen.append(identity)
        raise ConfigurationError("not this one")

    async with secure(tmp_path, file=b"body") as web:
        request = HttpsRequest(url(web, "file"), headers=(("X-A", "1"),), admit=refuse)
        with pytest.raises(ConfigurationError, match="not this one"):
            await client(tmp_path).send_request(request)
        assert web.requests == []
        admitted = HttpsRequest(url(web, "file"), admit=seen.append)
        assert (await client(tmp_path).send_request(admitted)).body == b"body"
    assert ["dns:pbx.example.test" in each.names for each in seen] == [True, True]


async def test_a_server_is_not_admitted_before_the_gate_has_agreed(tmp_path):
    seen = []
    async with secure(tmp_path, foreign().server("127.0.0.1")) as web:
        with pytest.raises(CertificateUntrusted):
            await client(tmp_path).send_request(HttpsRequest(url(web), admit=seen.append))
    assert (seen, web.requests) == ([], [])


async def test_a_server_is_identified_without_a_request(tmp_path):
    async with secure(tmp_path) as web:
        identity = await client(tmp_path).identify_server(url(web))
        assert "dns:pbx.example.test" in identity.names
        port = web.port
        assert web.requests == []
    with pytest.raises(TransportError):
        await client(tmp_path).identify_server(f"https://127.0.0.1:{port}/")
    async with secure(tmp_path, foreign().server("127.0.0.1")) as web:
        with pytest.raises(CertificateUntrusted):
            await client(tmp_path).identify_server(url(web))
