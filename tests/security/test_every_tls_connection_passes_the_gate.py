"""Who could make TLS past the gate: nobody but the rooms that are named here may even name it.

A library that brings TLS of its own is in the list of its kind with the reason why it makes none,
or with what it makes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.reads_source
PROJECT = Path(__file__).resolve().parents[2]
MAKERS = {"SSLContext", "ResumingContext", "create_default_context", "_create_unverified_context"}
MAKES_CONTEXTS = {"softphone/trust/tls_settings.py"}
SPEAKERS = {"wrap_socket", "wrap_bio", "start_tls"}
SPEAKS = {
    "softphone/net/stream/inner_tls.py": "wrap_bio; the gate judges before a byte is read",
    "softphone/trust/resuming_context.py": "wrap_bio of a context; it opens nothing",
    "softphone/net/verified/timed_handshake.py": "wrap_bio; the gate judges, no data is written",
    "softphone/net/http/backend.py": "start_tls, which refuses",
    "softphone/messaging/xmpp/stream.py": "start_tls, which refuses",
    "softphone/lab/presence_stream.py": "start_tls of a server, which dials nothing",
    "softphone/lab/edge/xmpp.py": "start_tls of a server; the gate judges the node that it dials",
}
GIVES_CONTEXT = {
    "softphone/net/stream/tls_handshake.py": "the gate",
    "softphone/monitoring/page_server.py": "a server, which asks for a token and dials nothing",
    "softphone/agents/rest_server.py": "a server, which asks for a token and dials nothing",
    "softphone/mcp/http_server.py": "a server, which asks for a token and dials nothing",
    "softphone/web/web_site.py": "a server of a page behind a sign-in, which dials nothing",
    "softphone/lab/edge/xmpp.py": "a server that asks for no client certificate",
}
"""Who passes `ssl=` to asyncio."""
CONTEXTS = {"client_context", "server_context", "probe_context"}
TAKES_CONTEXTS = {
    "softphone/net/stream/tls_handshake.py": "the gate",
    "softphone/net/stream/inner_tls.py": "the gate judges before it is read",
    "softphone/net/verified/inspection.py": "looks, and says nothing",
    "softphone/net/verified/timed_handshake.py": "the gate judges full ones; no data is sent",
    "softphone/account/account.py": "only to see whether one can be made",
    "softphone/cli/diagnose/doctor.py": "only to see whether one can be made",
    "softphone/cli/call/call_options.py": "only to see whether one can be made",
    "softphone/messaging/client.py": "slixmpp wants one, and dials nothing",
    "softphone/monitoring/page_server.py": "for servers of pages and tools, which dial nothing",
    "softphone/lab/im_presence.py": "a server that asks for no client certificate",
    "softphone/lab/presence_stream.py": "a server that asks for no client certificate",
    "softphone/lab/uds_directory.py": "a server that asks for no client certificate",
    "softphone/lab/sign_on.py": "a server that asks for no client certificate",
    "softphone/lab/unity_connection.py": "a server that asks for no client certificate",
    "softphone/lab/cucm/file_service.py": "a server that asks for no client certificate",
    "softphone/lab/edge/web.py": "a server that asks for no client certificate",
    "softphone/lab/edge/xmpp.py": "a server that asks for no client certificate",
}
BRINGS_TLS = {
    "aiohttp": {
        "softphone/agents/bot_socket.py": "in clear, over a private socket or loopback",
        "softphone/agents/rest_server.py": "a server, which asks for a token and dials nothing",
        "softphone/web/web_site.py": "a server of a page behind a sign-in, which dials nothing",
        "softphone/web/event_feed.py": "answers of that server",
        "softphone/web/http_requests.py": "answers and the log of servers",
        "softphone/load/live/load_page.py": "answers of that server",
        "softphone/lab/http_server.py": "a server that asks for no client certificate",
        "softphone/lab/im_presence.py": "a server that asks for no client certificate",
        "softphone/lab/uds_directory.py": "a server that asks for no client certificate",
        "softphone/lab/sign_on.py": "a server that asks for no client certificate",
        "softphone/lab/unity_connection.py": "a server that asks for no client certificate",
        "softphone/lab/cucm/file_service.py": "a server that asks for no client certificate",
        "softphone/lab/edge/web.py": "a server that asks for no client certificate",
    },
    "asyncpg": {
        "softphone/messaging/storage/postgres_connection.py": "a private socket, or loopback"
    },
    "bonsai": {"softphone/contacts/ldap_session.py": "in clear over a private pair of sockets"},
    "httpcore": {
        "softphone/net/http/revocation_fetcher.py": "http: only; its network is ours",
        "softphone/net/http/backend.py": "our network",
        "softphone/net/http/client.py": "its network is ours",
    },
}


@dataclass(frozen=True)
class Names:
    """The names in one file, by what they stand for there."""

    used: set[str]
    called: set[str]
    imported: set[str]
    keywords: set[str]


@cache
def all_names() -> dict[str, Names]:
    """The names in each file of the product; the trees are not kept."""
    return {
        path.relative_to(PROJECT).as_posix(): names_in(ast.parse(path.read_text()))
        for path in sorted((PROJECT / "softphone").rglob("*.py"))
    }


def names_in(tree: ast.Module) -> Names:
    names = Names(set(), set(), set(), set())
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                names.used.add(node.attr)
            case ast.Name():
                names.used.add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names.used.add(node.name)
            case ast.Call():
                names.called.add(name_of(node))
                names.keywords.update(word.arg for word in node.keywords if word.arg)
            case ast.Import():
                names.imported.update(each.name.partition(".")[0] for each in node.names)
            case ast.ImportFrom():
                names.imported.add((node.module or "").partition(".")[0])
    return names


def name_of(call: ast.Call) -> str:
    """The last part of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def found(has: Callable[[Names], object]) -> set[str]:
    return {path for path, names in all_names().items() if has(names)}


def test_one_room_makes_contexts():
    makers = found(lambda names: MAKERS & names.called)
    assert makers == MAKES_CONTEXTS


def test_few_rooms_speak_tls():
    assert found(lambda names: SPEAKERS & names.used) == set(SPEAKS)


def test_only_the_gate_gives_asyncio_a_context():
    assert found(lambda names: "ssl" in names.keywords) == set(GIVES_CONTEXT)


def test_only_those_who_pass_the_gate_have_a_context_made():
    takers = found(lambda names: CONTEXTS & names.called)
    assert takers - MAKES_CONTEXTS == set(TAKES_CONTEXTS)


def test_libraries_with_tls_of_their_own_enter_by_named_doors():
    for library, doors in BRINGS_TLS.items():
        assert found(lambda names, name=library: name in names.imported) == set(doors)


def test_every_engine_has_our_connections():
    """SQLAlchemy would have asyncpg dial by itself: one room makes engines, and gives it ours."""
    engines = {"create_engine", "create_async_engine", "create_pool"}
    made = found(lambda names: engines & names.called)
    assert made == {"softphone/messaging/storage/database.py"}


def test_asyncpg_is_called_with_tls_switched_off():
    path = PROJECT / "softphone/messaging/storage/postgres_connection.py"
    room = ast.parse(path.read_text())
    calls = [
        node for node in ast.walk(room) if isinstance(node, ast.Call) and name_of(node) == "connect"
    ]
    said = [
        {
            key.value: value.value
            for key, value in zip(each.keys, each.values, strict=True)
            if isinstance(value, ast.Constant)
        }
        for each in ast.walk(room)
        if isinstance(each, ast.Dict) and any(key.value == "ssl" for key in each.keys)
    ]
    assert len(calls) == len(said) == 3
    assert all(each["ssl"] is False for each in said)


def test_no_library_that_dials_by_itself_is_used():
    dialers = {"requests", "httpx", "urllib3", "smtplib", "ftplib", "imaplib", "websockets"}
    assert found(lambda names: dialers & names.imported) == set()
