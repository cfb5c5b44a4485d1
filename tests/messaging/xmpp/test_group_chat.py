"""Group chats: refused where nothing may be clear, unlocked when new, joined again."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import MessageRefused, MessagingError
from softphone.messaging.xmpp.group_chat import GroupChats
from tests.support.certificates import authority
from tests.support.chat import ALICE, CLEAR, STRICT, config, signed_in, stream, user

ROOM = "room@rooms.test"
MUC = "http://jabber.org/protocol/muc#user"


@pytest.fixture
async def joining(tmp_path, entropy):
    one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
    rooms = GroupChats(CLEAR)
    rooms.attach(one)
    connection = await signed_in(one)
    yield rooms, connection
    connection.abort()
    await one.end_stream()


async def let_in(connection):
    await connection.until(f"<presence[^>]*{ROOM}/ann[^>]*>.*?</presence>")
    connection.say(
        f"<presence from='{ROOM}/ann' to='{ALICE}/desk'><x xmlns='{MUC}'>"
        "<item affiliation='owner' role='moderator'/><status code='110'/></x></presence>"
        f"<message type='groupchat' from='{ROOM}' to='{ALICE}/desk'><subject/></message>"
    )


async def test_it_joins_leaves_and_joins_again(joining):
    rooms, connection = joining
    entering = asyncio.create_task(rooms.join_room(ROOM, "ann"))
    await let_in(connection)
    await entering
    assert ROOM in rooms
    assert rooms.is_ours(ROOM, "ann")
    assert rooms.nick(ROOM) == "ann"
    again = asyncio.create_task(rooms.rejoin_rooms())
    await let_in(connection)
    await again
    rooms.leave_room(ROOM)
    assert ROOM not in rooms
    assert "unavailable" in connection.written or await connection.until("unavailable")


async def test_a_room_that_does_not_let_us_in_says_why(joining):
    rooms, connection = joining
    entering = asyncio.create_task(rooms.join_room(ROOM, "ann"))
    await connection.until(f"{ROOM}/ann")
    connection.say(
        f"<presence type='error' from='{ROOM}/ann' to='{ALICE}/desk'>"
        "<x xmlns='http://jabber.org/protocol/muc'/><error type='auth'>"
        "<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    )
    with pytest.raises(MessagingError, match="forbidden"):
        await entering
    assert ROOM not in rooms


async def test_policy_may_forbid_group_chats():
    with pytest.raises(MessageRefused, match="never encrypted client to client"):
        await GroupChats(STRICT).join_room(ROOM, "ann")
    with pytest.raises(MessagingError, match="nobody is signed in"):
        await GroupChats(CLEAR).join_room(ROOM, "ann")
