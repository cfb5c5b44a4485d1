"""A chat server that names another host moves nobody there: every connection passes the gate.

slixmpp obeys see-other-host (RFC 6120 section 4.9.3.19) by itself: it would dial the other host,
and speak with it in clear.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.certificates import authority
from tests.support.chat import ALICE, HEADER, Connection, config, signed_in, stream, user

ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


@pytest.fixture
def dialed(monkeypatch):
    """Whom the loop was asked to dial."""
    places = []

    async def dial(self, factory, host=None, port=None, **options):
        places.append((host, port))
        raise OSError("nobody is dialed here")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", dial)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **how: places.append(where) or [])
    return places


@pytest.mark.parametrize("up", [False, True], ids=["signing in", "signed in"])
@pytest.mark.parametrize("other", ["192.0.2.66:5222", "evil.test", "[2001:db8::1]:5222", ""])
async def test_see_other_host_ends_the_connection_and_dials_nobody(
    tmp_path, entropy, dialed, up, other
):
    one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
    if up:
        connection = await signed_in(one)
    else:
        connection = Connection(one)
        one.start_on(connection)
        connection.say(HEADER)
    named = f"<see-other-host xmlns='{ERRORS}'>{other}</see-other-host>"
    connection.say(f"<stream:error>{named}</stream:error>")
    connection.abort()
    for _ in range(200):
        await asyncio.sleep(0)
    assert dialed == []
    assert one.connection is None
    await one.end_stream()


async def test_it_dials_nobody_whoever_asks(tmp_path, entropy, dialed):
    one = stream(config(tmp_path), entropy)
    connection = Connection(one)
    one.start_on(connection)
    assert not await one.start_tls()
    await one.connect("evil.test", 5222)
    assert str(connection.aborted) == "the chat server wants another connection"
    assert dialed == []
    await one.end_stream()
