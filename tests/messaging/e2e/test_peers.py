"""Who is there, by presence, and which client is negotiated with."""

from __future__ import annotations

import asyncio

import pytest

from softphone.messaging.config import SubscriptionApproval
from softphone.messaging.e2e.peers import Peers
from softphone.messaging.message import Availability
from softphone.messaging.xmpp.stream import CLIENT_TLS
from tests.support.certificates import authority
from tests.support.chat import ALICE, BOB, config, signed_in, stream, user


@pytest.fixture
async def there(tmp_path, entropy):
    """Alice's peers, over a stream that is signed in."""
    one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
    peers = Peers(ALICE, SubscriptionApproval.DOMAIN, encrypts=True)
    peers.attach(one)
    connection = await signed_in(one)
    yield peers, connection
    connection.abort()
    await one.end_stream()


def presence(resource, kind="", inner=""):
    shape = f" type='{kind}'" if kind else ""
    return f"<presence from='{BOB}/{resource}'{shape}>{inner}</presence>"


async def test_the_most_available_client_counts(there):
    peers, connection = there
    gone = []
    peers.on_gone = gone.append
    connection.say(presence("a", inner="<show>dnd</show><status>busy</status>"))
    assert peers.presence(BOB).show is Availability.DND
    connection.say(presence("b", inner="<show>chat</show>"))
    assert peers.presence(BOB).show is Availability.CHAT
    connection.say(presence("b", "unavailable"))
    assert (peers.presence(BOB).show, peers.presence(BOB).status) == (Availability.DND, "busy")
    assert gone == [f"{BOB}/b"]
    assert [each.peer for each in peers.all_presences()] == [BOB]
    peers.clear()
    assert gone[1:] == [f"{BOB}/a"]
    assert peers.presence(BOB).show is Availability.OFFLINE


async def answer(connection, *features):
    asked = await connection.until("<iq[^>]*to=[\"'](bob.*?)[\"'].*?disco#info")
    key = asked[0].split("id=")[-1][1:].split(asked[0].split("id=")[-1][0])[0]
    names = "".join(f"<feature var='{name}'/>" for name in features)
    connection.say(
        f"<iq type='result' id='{key}' from='{asked[1]}' to='{ALICE}/desk'>"
        f"<query xmlns='http://jabber.org/protocol/disco#info'>{names}</query></iq>"
    )
    return asked[1]


async def test_the_best_client_that_encrypts_is_asked_and_remembered(there):
    peers, connection = there
    connection.say(presence("plain", inner="<priority>5</priority>"))
    connection.say(presence("tls", inner="<priority>1</priority>"))
    connection.say(presence("never", inner="<priority>-1</priority>"))
    asking = asyncio.create_task(peers.encrypting_client(BOB))
    assert await answer(connection, "other") == f"{BOB}/plain"
    assert await answer(connection, CLIENT_TLS) == f"{BOB}/tls"
    assert await asking == f"{BOB}/tls"
    connection.written = ""
    assert await peers.encrypting_client(BOB) == f"{BOB}/tls"
    assert connection.written == ""
    connection.say(presence("tls", "unavailable"))
    assert await peers.encrypting_client(BOB) is None


async def test_who_has_spoken_tls_with_us_is_not_asked(there):
    peers, connection = there
    connection.say(presence("tls"))
    connection.written = ""
    peers.mark_encrypting(f"{BOB}/gone")
    peers.mark_encrypting(f"{BOB}/tls")
    assert await peers.encrypting_client(BOB) == f"{BOB}/tls"
    assert connection.written == ""


async def test_who_is_not_there_has_no_client(there):
    peers, _ = there
    assert await peers.encrypting_client("nobody@x") is None
    assert (await peers.subscribe_to("nobody@x", within=0.01)).show is Availability.OFFLINE


@pytest.mark.parametrize(("asker", "granted"), [(BOB, True), ("eve@elsewhere.test", False)])
async def test_our_presence_is_shown_to_our_own_domain(there, asker, granted):
    _, connection = there
    connection.written = ""
    connection.say(f"<presence type='subscribe' from='{asker}'/>")
    connection.say(
        "<iq type='get' id='end' from='chat.example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
    )
    said = (await connection.until("(.*)id=[\"']end[\"']"))[1]
    assert ("subscribed" in said) is granted
