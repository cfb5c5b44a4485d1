"""The policy matrix against Prosody, cell by cell; what these tests see is a table of the docs.

`outcome` is what our user, with the two settings of the row, sees with a remote client that
supports AES and with one that does not.
"""

from __future__ import annotations

import base64
import re

import pytest

from softphone.errors import MessageRefused, MessageUndelivered
from softphone.messaging.message import Availability
from tests.peers.chat import World, heard, jid, sees, until
from tests.peers.policy_table import CELLS, Cell

pytestmark = pytest.mark.peer("prosody")

TEXT = "the marked text"


@pytest.fixture
def world(authority, tmp_path):
    return World(authority, tmp_path)


def spied(messages):
    """Everything that a client gives to the server from now on."""
    said = []
    connection = messages._stream.connection
    write = connection.write
    connection.write = lambda data: (said.append(bytes(data)), write(data))[1]
    return said


def decoded(said: bytes) -> bytes:
    """What the in-band byte streams in it carry."""
    found = re.findall(rb"<data [^>]*>([A-Za-z0-9+/=]+)</data>", said)
    return b"".join(base64.b64decode(each) for each in found)


async def sending(messages, peer) -> str:
    """How our message went: its sign, or that it was refused."""
    said = spied(messages)
    try:
        sent = await messages.send(peer, TEXT)
    except MessageRefused:
        assert b"<message" not in b"".join(said)
        assert TEXT.encode() not in b"".join(said)
        return "error, nothing sent"
    whole = b"".join(said)
    assert (TEXT.encode() in whole) is (sent.message.security.sign == "lock")
    assert TEXT.encode() not in decoded(whole)
    if sent.message.security.sign == "key":
        assert len(decoded(whole)) > len(TEXT)
    return sent.message.security.sign


async def receiving(messages, remote, own) -> str:
    """How what the remote client says is shown, if it is."""
    try:
        await remote.send(own, TEXT)
    except MessageRefused:
        return "nothing"
    except MessageUndelivered as exc:
        return "nothing" if "not-acceptable" in str(exc) else str(exc)
    try:
        return (await heard(messages, within=2.0)).security.sign
    except TimeoutError:
        return "nothing"


@pytest.mark.feature("client-to-client TLS: the policy matrix")
@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_cell_of_the_matrix(prosody, world, cell: Cell):
    ours, theirs = cell.users
    mine = world.config(ours, prosody.direct, aes=cell.aes, clear=cell.clear)
    other = world.config(theirs, prosody.starttls, aes=cell.remote, clear=True, mode="starttls")
    async with world.messages(mine) as messages, world.messages(other) as remote:
        await sees(messages, jid(theirs))
        await sees(remote, jid(ours))
        sent = await sending(messages, jid(theirs))
        if sent in ("lock", "key"):
            assert (await heard(remote)).security.sign == sent
        received = await receiving(messages, remote, jid(ours))
    assert (sent, received) == (cell.sends, cell.receives)


@pytest.mark.feature("client-to-client TLS: who has another certificate gets nothing")
async def test_a_peer_with_another_user_s_certificate_gets_nothing(prosody, world):
    forged = world.certificate("user12", name=jid("mallory"))
    mine = world.config("user13", prosody.direct)
    other = world.config("user12", prosody.direct, credential=forged)
    async with world.messages(mine) as messages, world.messages(other) as mallory:
        await sees(messages, jid("user12"))
        said = spied(messages)
        with pytest.raises(Exception, match="user12@") as told:
            await messages.send(jid("user12"), TEXT)
        assert type(told.value).__name__ == "IdentityMismatch"
        assert TEXT.encode() not in b"".join(said) + decoded(b"".join(said))
        with pytest.raises(TimeoutError):
            await heard(mallory, within=0.5)


@pytest.mark.feature("client-to-client TLS: another resource is negotiated with again")
async def test_a_peer_that_changes_its_client_is_negotiated_with_again(prosody, world):
    first = world.config("user14", prosody.direct, resource="desk")
    second = world.config("user14", prosody.direct, resource="mobile")
    async with world.messages(world.config("user15", prosody.direct, clear=False)) as messages:
        async with world.messages(first) as desk:
            await sees(messages, jid("user14"))
            assert (await messages.send(jid("user14"), "to the desk")).message.resource == "desk"
            assert (await heard(desk)).body == "to the desk"
        await until(lambda: messages.presence(jid("user14")).show is Availability.OFFLINE)
        with pytest.raises(MessageRefused):
            await messages.send(jid("user14"), "to nobody")
        async with world.messages(second) as mobile:
            await sees(messages, jid("user14"))
            sent = await messages.send(jid("user14"), "on the way")
            assert (sent.message.resource, sent.message.security.sign) == ("mobile", "key")
            assert (await heard(mobile)).body == "on the way"


async def test_a_group_chat_is_refused_where_nothing_may_be_clear(prosody, world):
    async with world.messages(world.config("user16", prosody.direct, clear=False)) as messages:
        with pytest.raises(MessageRefused, match="never encrypted client to client"):
            await messages.join_room("refused@rooms.chat.example.test")
