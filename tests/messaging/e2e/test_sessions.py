"""Which in-band byte streams may be opened with us: those for TLS, and few."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.messaging.e2e.sessions import (
    BYTESTREAM_ID_PREFIX,
    MOST_OF_PEER,
    MOST_UNPROVEN,
    MOST_WITH_ONE,
    ClientSessions,
)
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.trust import Service
from tests.support.certificates import authority, settings
from tests.support.chat import ALICE, BOB, config, signed_in, stream, user

IBB = "http://jabber.org/protocol/ibb"


@pytest.fixture
async def asked(tmp_path, entropy):
    """Alice's sessions, and the connection over which others ask for one."""
    issued = user(authority(), ALICE)
    one = stream(config(tmp_path, issued), entropy)
    tls = settings(tmp_path, issued, service=Service.XMPP_USER, aes_256=True)
    gate = Connector(tls, ConnectorConfig(RevocationFetcher())).gate
    sessions = ClientSessions(tls, gate, entropy, lambda session, frame: None, patience=5.0)
    sessions.attach(one)
    connection = await signed_in(one)
    yield sessions, connection
    await sessions.close(tell=False)
    connection.abort()
    await one.end_stream()


async def opened(connection, sid, sender=f"{BOB}/desk") -> bool:
    connection.say(
        f"<iq type='set' id='o{sid}' from='{sender}' to='{ALICE}/desk'>"
        f"<open xmlns='{IBB}' sid='{sid}' block-size='4096' stanza='iq'/></iq>"
    )
    found = await connection.until(f"<iq[^>]*id=[\"']o{sid}[\"'][^>]*>")
    return "error" not in found[0]


async def test_a_stream_that_is_not_for_tls_is_not_taken(asked):
    sessions, connection = asked
    assert not await opened(connection, "file")
    assert len(sessions) == 0


async def test_a_client_has_two_sessions_at_most(asked):
    sessions, connection = asked
    took = [await opened(connection, f"{BYTESTREAM_ID_PREFIX}{number}") for number in range(3)]
    assert took == [True, True, False]
    assert len(sessions) == MOST_WITH_ONE
    sessions.drop_client(f"{BOB}/desk")
    assert len(sessions) == 0


async def test_few_may_be_unproven(asked):
    sessions, connection = asked
    took = [
        await opened(connection, f"{BYTESTREAM_ID_PREFIX}{number}", f"bob{number}@b.test/desk")
        for number in range(10)
    ]
    assert took.count(True) == MOST_UNPROVEN
    assert len(sessions) == MOST_UNPROVEN


async def test_one_peer_does_not_take_every_place(asked):
    _, connection = asked
    took = [
        await opened(connection, f"{BYTESTREAM_ID_PREFIX}{number}", f"{BOB}/{number}")
        for number in range(6)
    ]
    assert took.count(True) == MOST_OF_PEER
    assert await opened(connection, f"{BYTESTREAM_ID_PREFIX}9", "carol@b.test/desk")


async def test_bytes_that_are_no_tls_end_the_session(asked):
    sessions, connection = asked
    assert await opened(connection, f"{BYTESTREAM_ID_PREFIX}1")
    connection.say(
        f"<iq type='set' id='d' from='{BOB}/desk' to='{ALICE}/desk'>"
        f"<data xmlns='{IBB}' sid='{BYTESTREAM_ID_PREFIX}1' seq='0'>aGVsbG8gd29ybGQ=</data></iq>"
    )
    await connection.until("id=[\"']d[\"']")
    assert len(sessions) == 0


async def test_a_peer_that_takes_no_session_is_told_of(asked):
    import asyncio

    sessions, connection = asked
    sending = asyncio.create_task(sessions.send_message(f"{BOB}/desk", "1", "text"))
    said = await connection.until(f"<iq[^>]*>.*?sid=[\"']{BYTESTREAM_ID_PREFIX}.*?</iq>")
    key = said[0].split("id=")[1][1:33]
    connection.say(
        f"<iq type='error' id='{key}' from='{BOB}/desk' to='{ALICE}/desk'><error type='cancel'>"
        "<not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
    with pytest.raises(TransportError, match="not-acceptable"):
        await sending
