"""Anybody can send a presence: it is not answered, and what is kept of strangers has a bound.

slixmpp asks the sender for its features by itself, and keeps each sender, and each answer, for
ever.
"""

from __future__ import annotations

import asyncio

import pytest

from softphone.messaging.xmpp import stream as module
from tests.support.certificates import authority
from tests.support.chat import ALICE, BOB, config, signed_in, stream, user

ROSTER = (
    f"<iq type='set' id='push' to='{ALICE}/desk'><query xmlns='jabber:iq:roster'>"
    f"<item jid='{BOB}' subscription='both'/></query></iq>"
)
CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='{}'/>"


@pytest.fixture
async def chat(tmp_path, entropy):
    one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
    yield one, await signed_in(one)
    one.connection.abort()
    await one.end_stream()


def presence(sender, inner="", kind=""):
    return f"<presence from='{sender}' to='{ALICE}/desk'{kind}>{inner}</presence>"


async def test_a_sender_is_asked_for_nothing(chat):
    _, connection = chat
    connection.written = ""
    for number in range(3):
        connection.say(presence(f"u{number}@evil.test/r", CAPS.format(number)))
    for _ in range(200):
        await asyncio.sleep(0)
    assert "evil.test" not in connection.written


async def test_an_answer_that_was_not_asked_for_is_not_kept(chat):
    one, connection = chat
    kept = one.plugin["xep_0030"].static.nodes
    before = len(kept)
    for number in range(3):
        query = f"<query xmlns='http://jabber.org/protocol/disco#info' node='n{number}'/>"
        connection.say(f"<iq type='result' id='{number}' from='u@evil.test/r'>{query}</iq>")
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(kept) == before


@pytest.mark.parametrize("kinds", [("", ""), ("", " type='unavailable'"), (" type='subscribe'",)])
async def test_strangers_are_kept_up_to_a_bound_and_the_roster_is_heard(chat, monkeypatch, kinds):
    monkeypatch.setattr(module, "MOST_PRESENT", 20)
    one, connection = chat
    connection.say(ROSTER)
    for number in range(100):
        for kind in kinds:
            connection.say(presence(f"u{number}@evil.test/r", kind=kind))
            connection.say(presence(f"u@evil.test/r{number}", kind=kind))
    assert len(one.client_roster) <= 20
    assert sum(len(one.client_roster[each].resources) for each in one.client_roster) <= 20
    heard = []
    one.add_event_handler("presence_unavailable", lambda stanza: heard.append(stanza["from"].bare))
    connection.say(presence(f"{BOB}/home", kind=" type='unavailable'"))
    assert heard == [BOB]


async def test_of_a_long_status_the_beginning_is_kept(chat):
    one, connection = chat
    connection.say(presence("u@evil.test/r", f"<status>{'x' * 200_000}</status>"))
    assert one.client_roster["u@evil.test"].resources["r"]["status"] == "x" * 1000


async def test_few_strangers_are_heard_and_everybody_who_is_subscribed_to(chat, monkeypatch):
    """The page of a phone shows them all, and each of its updates took 50 ms for 10,000."""
    monkeypatch.setattr(module, "MOST_STRANGERS", 3)
    one, connection = chat
    connection.say(ROSTER)
    heard = []
    one.add_event_handler("presence_available", lambda stanza: heard.append(stanza["from"].full))
    for number in range(5):
        for client in ("a", "b"):
            connection.say(presence(f"u{number}@evil.test/{client}"))
    for client in ("desk", "home"):
        connection.say(presence(f"{BOB}/{client}"))
    strangers = [f"u{number}@evil.test/{client}" for number in range(3) for client in "ab"]
    assert heard == [*strangers, f"{BOB}/desk", f"{BOB}/home"]
