"""MCP over HTTP: who may speak to it, and for how long."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from softphone.errors import ConfigurationError
from softphone.mcp import McpHttpServer, http_server, make_server
from softphone.monitoring import PageAccess
from softphone.security import KeyMaterial
from tests.mcp.conftest import BOTH, YES
from tests.support.calling import answer_one
from tests.support.certificates import authority, server
from tests.support.direct import address_of
from tests.support.waiting import patiently, until

TOKEN = "0123456789abcdef of the tests"
LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
GOOD = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}


def access(**settings):
    return PageAccess(token=KeyMaterial(TOKEN.encode()), **settings)


async def request(served, *, tls=None, **headers):
    """The status and head of the response to a POST; a header of None is left out."""
    host, _, port = served.url.partition("//")[2].partition("/")[0].rpartition(":")
    fields = {
        **{"Host": f"{host}:{port}", "Content-Type": "application/json"},
        **{"Content-Length": str(len(LIST)), **GOOD, **headers},
    }
    reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    writer.write("\r\n".join([f"POST {http_server.PATH} HTTP/1.1", *lines, "", LIST]).encode())
    head = (await patiently(reader.readuntil(b"\r\n\r\n"))).decode()
    writer.close()
    return int(head.split()[1]), head


@pytest.mark.parametrize("mode", BOTH)
async def test_a_client_with_the_token_calls(world, mode):
    async def ask(_, params):
        world.questions.append(params.message)
        return YES

    async with (
        McpHttpServer(make_server(world.tools, version="1"), access()) as served,
        httpx2.AsyncClient(headers=GOOD, trust_env=False) as http,
    ):
        transport = streamable_http_client(served.url, http_client=http)
        answering = asyncio.create_task(answer_one(world.alice))
        async with Client(transport, mode=mode, elicitation_callback=ask) as client:
            result = await client.call_tool("place_call", {"target": address_of(world.alice)})
            assert result.structured_content["outcome"] == "answered"
        await patiently(answering)
    assert world.questions == [f"Call {address_of(world.alice)}?"]


REFUSED = (
    ({"Authorization": None}, 401),
    ({"Authorization": "Bearer wrong"}, 401),
    ({"Authorization": f"Basic {TOKEN}"}, 401),
    ({"Host": "attacker.example"}, 403),
    ({"Host": "127.0.0.1:1"}, 403),
    ({"Origin": "https://attacker.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Origin": "https://attacker.example", "Authorization": None}, 403),
)


async def test_who_is_refused_before_a_tool_is_seen():
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        for headers, status in REFUSED:
            found, head = await request(served, **headers)
            assert found == status, headers
            assert ("www-authenticate: Bearer" in head) == (status == 401)
            assert "server:" not in head
            assert "connection: close" in head


async def test_a_client_may_write_the_scheme_as_it_likes_and_our_own_origin():
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        own = served.url.removesuffix(http_server.PATH)
        for headers in ({"Authorization": f"bearer {TOKEN}"}, {"Origin": own}):
            # 400 is of the SDK: the request has no revision of the protocol.
            assert (await request(served, **headers))[0] == 400


async def test_over_tls_by_a_name_of_the_certificate(tmp_path):
    credential = server().write(tmp_path, "mcp")
    guarded = access(credential=credential)
    async with McpHttpServer(make_server(None, version="1"), guarded) as served:
        assert served.url.startswith("https://127.0.0.1:")
        port = served.url.partition("127.0.0.1:")[2].partition("/")[0]
        context = ssl.create_default_context(cafile=authority().write(tmp_path))
        for host, status in ((f"localhost:{port}", 400), ("attacker.example", 403)):
            found, _ = await request(served, tls=context, Host=host)
            assert found == status


@pytest.mark.parametrize(
    ("settings", "words"),
    [({}, "token"), ({"token": KeyMaterial(TOKEN.encode()), "host": "192.0.2.1"}, "TLS")],
)
async def test_what_cannot_be_served(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        McpHttpServer(make_server(None, version="1"), PageAccess(**settings))


async def test_an_address_in_use_is_told():
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        port = int(served.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(ConfigurationError, match="cannot be served at"):
            async with McpHttpServer(make_server(None, version="1"), access(port=port)):
                raise AssertionError("two servers at one port")


async def test_who_says_nothing_makes_room_for_others(monkeypatch):
    monkeypatch.setattr(http_server, "MOST_CLIENTS", 2)
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        host, _, port = served.url.partition("//")[2].partition("/")[0].rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        await until(lambda: len(served._state.connections) == 2)
        assert (await request(served))[0] == 400
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await patiently(silent[0][0].readexactly(1))
        for _, writer in silent:
            writer.close()


async def test_who_comes_with_many_others_makes_room_too(monkeypatch):
    monkeypatch.setattr(http_server, "MOST_CLIENTS", 2)
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        host, _, port = served.url.partition("//")[2].partition("/")[0].rpartition(":")
        came = [socket.create_connection((host, int(port))) for _ in range(50)]
        try:
            # All are accepted in one turn of the loop.
            assert (await request(served))[0] == 400
            assert len(served._state.connections) <= 2
        finally:
            for each in came:
                each.close()


async def test_who_says_nothing_is_closed_in_time(monkeypatch):
    monkeypatch.setattr(http_server, "PATIENCE", 0.05)
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        host, _, port = served.url.partition("//")[2].partition("/")[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /mcp HTTP/1.1\r\nHost: half")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await patiently(reader.readexactly(1))
        writer.close()
        assert not served._silent


async def test_a_body_that_is_too_large_is_refused():
    async with McpHttpServer(make_server(None, version="1"), access()) as served:
        status, _ = await request(served, **{"Content-Length": str(1 << 30)})
        assert status == 413


async def test_no_other_protocol_is_served():
    async def never(*_):
        raise AssertionError

    guard = http_server._Guard(never, KeyMaterial(TOKEN.encode()), "http")
    await guard({"type": "websocket"}, never, never)
