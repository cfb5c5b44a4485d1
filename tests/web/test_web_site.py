"""A site for one person: its files, its errors, and connections that ask for nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import suppress

import pytest

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.web import SignIn, host_names
from softphone.web import web_site as module
from softphone.web.sign_in import MOST_BROWSERS
from tests.support.waiting import patiently
from tests.support.website import ask, browser, sign_in, site

PACKED = gzip.compress(bytes(1 << 20))
"""A mebibyte that takes a kilobyte on the wire."""


async def test_files_and_answers_are_there_for_who_is_signed_in():
    async with site() as served, browser() as owner:
        root = await sign_in(owner, served)
        status, headers, text = await ask(owner, "GET", root)
        assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
        assert "softphone" in text
        assert (await ask(owner, "GET", root + "index.js"))[2] == text
        assert (await ask(owner, "GET", root + "other.js"))[0] == 404
        assert (await ask(owner, "GET", root + "../index.js"))[0] == 404
        own = {"Origin": served.url.rstrip("/")}
        assert (await ask(owner, "POST", root + "hello", headers=own))[0] == 405
        assert (await ask(owner, "POST", served.url, headers=own))[0] == 405
        assert (await ask(owner, "DELETE", root + "change", headers=own))[0] == 405


async def test_what_cannot_be_is_told(tmp_path):
    async with site() as served, browser() as owner:
        root = await sign_in(owner, served)
        own = {"Origin": served.url.rstrip("/")}
        told = await ask(owner, "POST", root + "change", json={"bad": 1}, headers=own)
        assert (told[0], told[2]) == (400, "that cannot be\n")
        with pytest.raises(
            ConfigurationError, match=f"cannot be served at 127.0.0.1:{served.port}"
        ):
            async with site(port=served.port):
                raise AssertionError("two have one port")


async def test_a_change_may_take_its_time_and_answer():
    async with site() as served, browser() as owner:
        root = await sign_in(owner, served)
        own = {"Origin": served.url.rstrip("/")}
        told = await ask(owner, "POST", root + "later", json={"x": 1}, headers=own)
        assert (told[0], json.loads(told[2])) == (200, {"changed": 1})
        told = await ask(owner, "POST", root + "later", json={"bad": 1}, headers=own)
        assert (told[0], told[2]) == (400, "that cannot be\n")


async def test_connections_that_ask_for_nothing_are_closed_and_bounded(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 2)
    async with site() as served:
        opened = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
        for reader, writer in opened:
            assert await patiently(reader.read()) == b""
            writer.close()
        async with browser() as owner:
            await sign_in(owner, served)


@pytest.mark.parametrize("sent", ["", "GET / HTTP/1.1\r\nHost: {}\r\nX"])
async def test_connections_of_strangers_make_room_for_browsers(monkeypatch, sent):
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 3)
    async with site() as served, browser() as owner:
        root = await sign_in(owner, served)
        # This connection stays, and is older than those of the strangers.
        assert (await ask(owner, "GET", root))[0] == 200
        port, held = served.port, []
        for _ in range(6):
            held.append(await asyncio.open_connection("127.0.0.1", port))
            held[-1][1].write(sent.format(f"127.0.0.1:{port}").encode())
        async with browser() as other:
            assert (await ask(other, "GET", served.url))[0] == 200
        for reader, _ in held[:4]:
            with suppress(ConnectionError):  # what it has sent may not have been read
                assert await patiently(reader.read()) == b""
        assert len(served._runner.server.connections) <= module.MOST_CONNECTIONS
        assert len(served._silent) <= module.MOST_CONNECTIONS
        (kept,) = [each for each in served._known if not each.transport.is_closing()]
        assert (await ask(owner, "GET", root))[0] == 200
        assert not kept.transport.is_closing()
        for _, writer in held:
            writer.close()


async def test_browsers_that_are_signed_in_are_put_out_by_nobody(monkeypatch):
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 1)
    async with site() as served, browser() as owner:
        root = await sign_in(owner, served)
        assert (await ask(owner, "GET", root))[0] == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        assert await patiently(reader.read()) == b""
        writer.close()
        assert (await ask(owner, "GET", root))[0] == 200


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        ("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4000", b"t", 408),
        ("Content-Type: multipart/form-data\r\nContent-Length: 1", b"t", 415),
        (
            "Content-Type: application/x-www-form-urlencoded; charset=none\r\nContent-Length: 7",
            b"token=a",
            400,
        ),
        (
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(PACKED)}",
            PACKED,
            400,
        ),
    ],
)
async def test_a_form_that_does_not_end_or_cannot_be_read_is_refused(
    monkeypatch, fields, body, status
):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    token = KeyMaterial(b"0123456789abcdef0123456789abcdef")
    async with site(token=token) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nOrigin: {served.url[:-1]}\r\n"
        writer.write(f"{head}{fields}\r\n\r\n".encode() + body)
        assert (await patiently(reader.readline())).split()[1] == str(status).encode()
        writer.close()


def test_a_host_has_the_names_that_lead_to_it_and_no_others():
    assert host_names("127.0.0.1", 8090, loopback=True) == {"127.0.0.1:8090", "localhost:8090"}
    assert host_names("::1", 80, loopback=True) >= {"[::1]:80", "[::1]", "localhost"}
    named = host_names("192.0.2.7", 443, loopback=False, names=["Load.example"], tls=True)
    assert named == {"192.0.2.7:443", "load.example:443", "192.0.2.7", "load.example"}


async def talk(served, *lines: str, body: bytes = b"") -> bytes:
    """What a server sends, until it closes or waits, for a request of these lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = "".join(f"{line}\r\n" for line in lines)
    writer.write(head.encode() + b"\r\n" + body)
    answer = await patiently(reader.readuntil(b"\r\n\r\n"))
    writer.close()
    return answer


async def test_a_stranger_keeps_no_connection():
    async with site() as served, browser() as owner:
        host = f"Host: 127.0.0.1:{served.port}"
        for path in ("/", served.sign_in.root):
            told = await talk(served, f"GET {path} HTTP/1.1", host, "Connection: keep-alive")
            assert b"\r\nConnection: close" in told
        root = await sign_in(owner, served)
        status, headers, _ = await ask(owner, "GET", root)
        assert (status, headers.get("Connection")) == (200, None)


async def test_two_origins_are_another_page():
    async with site() as served, browser() as owner:
        root = await sign_in(owner, served)
        own = ("Origin", served.url.rstrip("/"))
        told = await ask(
            owner, "POST", root + "later", json={}, headers=[own, ("Origin", "http://evil.test")]
        )
        assert told[0] == 403


async def test_a_program_that_looks_at_the_address_does_not_use_it_up():
    async with site() as served, browser() as owner:
        address = served.address
        assert (await ask(owner, "HEAD", address))[0] == 405
        assert served.address == address
        await sign_in(owner, served, address)


async def test_who_may_not_ask_is_told_so_before_a_body_comes():
    async with site() as served:
        host, wait = f"Host: 127.0.0.1:{served.port}", "Expect: 100-continue"
        own = f"Origin: {served.url.rstrip('/')}"
        inside = f"POST {served.sign_in.root}change HTTP/1.1"
        rest = ("Content-Length: 9", "Content-Type: application/json")
        refused = await talk(served, inside, host, own, wait, *rest)
        assert refused.startswith(b"HTTP/1.1 403 ")
        assert b"X-Frame-Options: DENY" in refused
        cookie = served.sign_in.redeem(served.sign_in.code, now=0.0)
        served.sign_in.keep(cookie)
        signed = f"Cookie: {module.COOKIE}={cookie}"
        asked = await talk(served, inside, host, own, wait, signed, *rest)
        assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
        other = await talk(served, inside, host, own, "Expect: cake", signed, *rest)
        assert other.startswith(b"HTTP/1.1 417 ")
        foreign = await talk(served, inside, "Host: evil.test", own, wait, signed, *rest)
        assert foreign.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "line", ["Authorization : Basic {0}", "Cookie : a={0}", "GET /?code={0} HTTP/1.1 x"]
)
async def test_no_line_that_cannot_be_read_is_in_the_log(line, caplog):
    caplog.set_level("DEBUG")
    secret = "c2VjcmV0OnNlY3JldA"
    async with site() as served:
        lines = [line.format(secret)]
        if not line.startswith("GET"):
            lines.insert(0, "GET / HTTP/1.1")
        assert b" 400 Bad Request" in await talk(served, *lines)
    logged = [each for each in caplog.records if each.name.endswith(".http")]
    assert logged
    assert secret not in caplog.text
    assert all(each.levelname != "ERROR" for each in logged)


def test_more_browsers_sign_the_first_one_out():
    token = KeyMaterial(b"0123456789abcdef")
    numbers = iter(range(1000))
    judge = SignIn(token=token, entropy=lambda size: next(numbers).to_bytes(size, "big"))
    cookies = [judge.redeem("0123456789abcdef", now=10.0 * at) for at in range(MOST_BROWSERS + 1)]
    for cookie in cookies:
        judge.keep(cookie)
    assert judge.browsers == MOST_BROWSERS
    assert judge.code == ""
    assert [judge.admits(cookie) for cookie in cookies] == [False, *[True] * MOST_BROWSERS]
    assert not judge.admits("")
