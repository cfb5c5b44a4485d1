"""The listener on loopback: which requests count, and what the others get."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from softphone.errors import ConfigurationError, SingleSignOnRefused
from softphone.oauth import redirect_listener
from softphone.oauth.authorization import UnexpectedRedirect
from softphone.oauth.redirect_listener import RedirectListener
from softphone.security import KeyMaterial
from tests.support.authorization_server import send_octets


async def ask(port, text, host="127.0.0.1"):
    return await send_octets(f"{host}:{port}", text)


def head(port, *lines, first="GET /callback?code=right HTTP/1.1", host=None):
    return "\r\n".join((first, f"Host: {host or f'127.0.0.1:{port}'}", *lines, "", ""))


def read(target):
    if target.endswith("no"):
        raise SingleSignOnRefused("the user said no")
    if not target.endswith("right"):
        raise UnexpectedRedirect("another state")
    return KeyMaterial(b"right")


@pytest.fixture
async def listener():
    async with RedirectListener() as running:
        running.expect(read)
        running.port = urlsplit(running.redirect_uri).port
        yield running


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_listens_on_both_addresses_of_loopback(listener, host):
    shown = f"[{host}]" if ":" in host else host
    answer = await ask(listener.port, head(listener.port, host=f"{shown}:{listener.port}"), host)
    assert answer.startswith("HTTP/1.1 200 ")
    assert (await listener.wait_for_code()).reveal() == b"right"


async def test_a_browsers_navigation_counts_and_its_page_runs_nothing(listener):
    lines = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site")
    answer = await ask(listener.port, head(listener.port, *lines))
    assert answer.startswith("HTTP/1.1 200 ")
    for line in ("default-src 'none'", "no-referrer", "no-store"):
        assert line in answer
    assert "right" not in answer


async def test_a_refusal_ends_the_wait_with_its_reason(listener):
    first = "GET /callback?no HTTP/1.1"
    assert "Not signed in" in await ask(listener.port, head(listener.port, first=first))
    with pytest.raises(SingleSignOnRefused, match="the user said no"):
        await listener.wait_for_code()


async def test_before_it_expects_anything_nothing_counts():
    async with RedirectListener() as listener:
        port = urlsplit(listener.redirect_uri).port
        assert (await ask(port, head(port))).startswith("HTTP/1.1 400 ")


async def read_all(reader):
    """What came before the end; an oldest connection that makes room is reset."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_connections_are_bounded_in_number_and_time(listener, monkeypatch):
    monkeypatch.setattr(redirect_listener, "_HEAD_WITHIN", 0.2)
    silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(16)]
    assert (await ask(listener.port, head(listener.port))).startswith("HTTP/1.1 200 ")
    assert [await read_all(reader) for reader, _ in silent] == [b""] * 16
    for _, writer in silent:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_connections_that_come_at_once_are_bounded_as_well(listener):
    """891 of 900 were open: each that came made room by ending the same oldest one."""
    address = ("127.0.0.1", listener.port)
    came = [socket.create_connection(address) for _ in range(100)]
    try:
        # All are accepted in one turn of the loop.
        text = await ask(listener.port, head(listener.port))
        assert text.startswith("HTTP/1.1 200 ")
        assert len(listener._writers) <= 16
    finally:
        for each in came:
            each.close()


async def test_a_blank_before_the_colon_is_no_host(listener):
    blank = f"GET /callback?code=right HTTP/1.1\r\nHost : 127.0.0.1:{listener.port}\r\n\r\n"
    assert (await ask(listener.port, blank)).startswith("HTTP/1.1 400 ")


async def test_a_head_without_end_is_cut(listener):
    assert await ask(listener.port, "GET /" + "a" * 40_000) == ""


def test_without_ipv6_one_address_is_enough(monkeypatch):
    bound = redirect_listener._bound

    def only_ipv4(host, port, family):
        if family == socket.AF_INET6:
            raise OSError(97, "not supported")
        return bound(host, port, family)

    monkeypatch.setattr(redirect_listener, "_bound", only_ipv4)
    (sock,) = redirect_listener._bound_sockets(0)
    sock.close()


def test_a_port_that_another_has_on_ipv6_is_not_shared(monkeypatch):
    monkeypatch.setattr(redirect_listener, "_TRIES", 2)
    bound = redirect_listener._bound
    seen = []

    def taken(host, port, family):
        if family == socket.AF_INET6:
            seen.append(port)
            raise OSError(98, "taken")
        return bound(host, port, family)

    monkeypatch.setattr(redirect_listener, "_bound", taken)
    with pytest.raises(ConfigurationError, match="taken"):
        redirect_listener._bound_sockets(0)
    assert len(seen) == 2
