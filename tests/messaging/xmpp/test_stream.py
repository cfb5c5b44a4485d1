"""slixmpp on a connection of ours: what it signs in with, and what ends it."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import replace

import pytest

from softphone.errors import SignInRefused, TransportError
from softphone.messaging.xmpp.stream import MOST_STANZA
from tests.support.certificates import authority
from tests.support.chat import ALICE, HEADER, Connection, config, signed_in, stream, user
from tests.support.waiting import PATIENCE

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


@pytest.fixture
async def begun(tmp_path, entropy):
    """A stream with a password that has said its header, and how it ended."""
    ends = []
    one = stream(config(tmp_path), entropy, ends.append)
    one.ends = ends
    connection = Connection(one, version="TLSv1.2")
    one.start_on(connection)
    await connection.until("<stream:stream[^>]*>")
    yield one, connection
    await one.end_stream()


def offer(*mechanisms):
    names = "".join(f"<mechanism>{name}</mechanism>" for name in mechanisms)
    listed = f"<mechanisms xmlns='{SASL}'>{names}</mechanisms>"
    return f"{HEADER}<stream:features>{listed}</stream:features>"


async def test_it_signs_in_with_a_certificate_and_manages_the_stream(tmp_path, entropy):
    one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
    connection = await signed_in(one)
    assert one.boundjid.full == f"{ALICE}/desk"
    assert one.plugin_of("xep_0198").sm_id == "again"
    connection.abort()
    await one.end_stream()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_a_password_is_bound_to_the_connection_where_python_can(tmp_path, entropy, version):
    one = stream(config(tmp_path), entropy)
    connection = Connection(one, version)
    one.start_on(connection)
    connection.say(offer("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"))
    said = await connection.until("mechanism=[\"'](.*?)[\"']")
    assert said[1] == ("SCRAM-SHA-256-PLUS" if version == "TLSv1.2" else "SCRAM-SHA-256")
    connection.abort()
    await one.end_stream()


async def test_without_a_mechanism_that_policy_allows_nothing_is_sent(begun):
    one, connection = begun
    connection.say(offer("PLAIN", "DIGEST-MD5"))
    await connection.finished
    assert connection.written == ""
    (error,) = one.ends
    assert isinstance(error, SignInRefused)
    assert "PLAIN" in str(error)


@pytest.mark.parametrize("verified", [True, False])
async def test_the_password_is_shown_where_that_is_allowed_and_verified(
    tmp_path, entropy, verified
):
    ends = []
    one = stream(config(tmp_path, allow_plain=True), entropy, ends.append)
    connection = Connection(one)
    if not verified:
        connection.flow = replace(connection.flow, identity=None)
    one.start_on(connection)
    await connection.until("<stream:stream[^>]*>")
    connection.say(offer("PLAIN", "CISCO-VTG-TOKEN", "OAUTHBEARER"))
    if verified:
        said = await connection.until("<auth[^>]*mechanism=[\"']PLAIN[\"'][^>]*>(.*?)</auth>")
        assert base64.b64decode(said[1]) == b"\0alice\0a long enough password"
        assert one.mechanism == "PLAIN"
        connection.abort()
    else:
        await connection.finished
        assert connection.written == ""
        assert isinstance(ends[0], SignInRefused)
    await one.end_stream()


async def test_a_refused_challenge_brings_out_no_password(tmp_path, entropy):
    one = stream(config(tmp_path, allow_plain=True), entropy)
    connection = Connection(one)
    one.start_on(connection)
    await connection.until("<stream:stream[^>]*>")
    connection.say(offer("SCRAM-SHA-256", "PLAIN"))
    await connection.until("<auth.*?</auth>")
    connection.say(f"<failure xmlns='{SASL}'><not-authorized/></failure>")
    await connection.finished
    assert connection.written == ""
    await one.end_stream()


async def test_a_wrong_password_is_said_once(begun):
    one, connection = begun
    connection.say(offer("SCRAM-SHA-256"))
    await connection.until("<auth.*?</auth>")
    connection.say(f"<failure xmlns='{SASL}'><not-authorized/></failure>")
    await connection.finished
    (error,) = one.ends
    assert isinstance(error, SignInRefused)
    assert "is the password right" in str(error)


async def test_a_server_that_lets_us_in_without_proof_is_not_believed(begun):
    one, connection = begun
    connection.say(offer("SCRAM-SHA-256"))
    await connection.until("<auth.*?</auth>")
    connection.say(f"<success xmlns='{SASL}'/>")
    async with asyncio.timeout(PATIENCE):
        await connection.finished
    (error,) = one.ends
    assert "did not prove" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "<!DOCTYPE x [<!ENTITY a 'b'>]>" + HEADER,
        HEADER + "<message><body>" + "x" * (MOST_STANZA + 1) * 2,
        HEADER + "</wrong>",
        "GET / HTTP/1.1",
    ],
)
async def test_hostile_bytes_end_the_connection_and_nothing_more(begun, said):
    one, connection = begun
    for at in range(0, len(said), 65536):
        if not connection.finished.done():
            connection.say(said[at : at + 65536])
    async with asyncio.timeout(PATIENCE):
        await connection.finished
    assert len(one.ends) == 1
    assert one.connection is None


async def test_a_document_type_cannot_hide_between_two_pieces(begun, caplog):
    one, connection = begun
    connection.say("<")
    connection.say("!DOCTYPE x [<!ENTITY a 'b'>]>")
    async with asyncio.timeout(PATIENCE):
        await connection.finished
    assert "document type" in str(one.ends[0])


async def test_a_stream_that_is_held_reads_nothing(begun):
    one, connection = begun
    one.set_reading_paused(True)
    assert not connection.reading
    one.set_reading_paused(False)
    assert connection.reading
    connection.abort(TransportError("cut"))
    one.set_reading_paused(True)


async def test_no_password_and_no_proof_is_logged(begun, caplog):
    caplog.set_level(logging.DEBUG)
    _, connection = begun
    connection.say(offer("SCRAM-SHA-256"))
    said = await connection.until("<auth.*?>(.*?)</auth>")
    assert "a long enough password" not in caplog.text
    assert said[1] not in caplog.text
