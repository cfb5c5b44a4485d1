"""Downloads over HTTP and HTTPS: what is asked, what is taken, and who is believed."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest

from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    TransportError,
    TransportTimeout,
)
from softphone.net.http import Downloader, HttpsLimits, ResponseTooLarge
from softphone.sans_io import Target, Transport
from softphone.trust import Service
from tests.support.certificates import foreign, raw_server_context, server, settings, store
from tests.support.http import WebServer

FILE = bytes(range(256)) * 300


def clear(port: int) -> Target:
    return Target(Transport.TCP, "127.0.0.1", port)


@asynccontextmanager
async def speaking(answer: bytes, *, context: ssl.SSLContext | None = None, hold: bool = False):
    """A server that answers anything with these bytes; gives its port and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader, writer):
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if hold:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield listening.sockets[0].getsockname()[1], asked


async def test_a_file_comes_whole_and_nothing_is_told():
    async with WebServer(**{"CTLCSFALICE.tlv": FILE}) as web:
        got = await Downloader().download(clear(web.port), "CTLCSFALICE.tlv")
    assert (got.status, got.body, got.identity) == (200, FILE, None)
    (request,) = web.requests
    assert request.split(b"\r\n")[0] == b"GET /CTLCSFALICE.tlv HTTP/1.1"
    names = {line.split(b":")[0].lower() for line in request.split(b"\r\n")[1:] if line}
    assert names == {b"host", b"accept", b"connection"}


async def test_a_name_is_quoted():
    async with WebServer() as web:
        await Downloader().download(clear(web.port), "a b\r\nX: 1")
    assert web.requests[0].startswith(b"GET /a%20b%0D%0AX%3A%201 HTTP/1.1\r\n")


async def test_a_redirect_is_not_followed():
    answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with speaking(answer) as (port, asked):
        got = await Downloader().download(clear(port), "a")
    assert (got.status, got.body, len(asked)) == (302, b"", 1)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
    ],
)
async def test_a_file_that_is_too_large_is_left_where_it_is(head):
    limits = HttpsLimits(size=50_000)
    async with speaking(head + b"x" * 100_000, hold=True) as (port, _):
        with pytest.raises(ResponseTooLarge, match="larger than 50000 bytes"):
            await Downloader(limits=limits).download(clear(port), "a")


async def test_a_server_that_sends_without_end_costs_no_memory():
    async with speaking(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (8 << 20)) as (port, _):
        with pytest.raises(ResponseTooLarge):
            await Downloader(limits=HttpsLimits(size=1000)).download(clear(port), "a")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"SSH-2.0-hello\r\n",
        b"",
    ],
)
async def test_half_an_answer_is_none(answer):
    async with speaking(answer) as (port, _):
        with pytest.raises(TransportError, match="did not come from"):
            await Downloader().download(clear(port), "a")


async def test_a_slow_server_has_a_limited_time():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nslow"
    async with speaking(answer, hold=True) as (port, _):
        with pytest.raises(TransportTimeout, match=r"within 0\.2 s"):
            await Downloader(limits=HttpsLimits(within=0.2)).download(clear(port), "a")


async def test_nobody_there():
    async with WebServer() as web:
        target = clear(web.port)
    with pytest.raises(TransportError, match="cannot be reached"):
        await Downloader().download(target, "a")


# HTTPS


def secure(port: int) -> Target:
    return Target(Transport.TLS, "127.0.0.1", port)


def believing(tmp_path, **more):
    return Downloader(tls=settings(tmp_path, None, service=Service.HTTPS, **more))


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfile"


async def test_a_server_behind_the_gate(tmp_path):
    context = raw_server_context(server().write(tmp_path, "server"))
    async with speaking(ANSWER, context=context) as (port, _):
        got = await believing(tmp_path).download(secure(port), "a")
    assert (got.status, got.body) == (200, b"file")
    assert got.identity is not None
    assert got.identity.verdict == "chain"


async def test_a_server_that_does_not_pass_the_gate_is_not_even_asked(tmp_path):
    context = raw_server_context(server().write(tmp_path, "server"))
    async with speaking(ANSWER, context=context) as (port, asked):
        with pytest.raises(CertificateUntrusted):
            await believing(tmp_path, store=store(foreign())).download(secure(port), "a")
    assert asked == []


async def test_https_needs_settings(tmp_path):
    async with speaking(ANSWER) as (port, asked):
        with pytest.raises(ConfigurationError):
            await Downloader().download(secure(port), "a")
    assert asked == []
