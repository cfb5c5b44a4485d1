"""Connections that are cut, frozen and refused: no message is lost, and none comes twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers.chat import World, heard, jid, sees, until
from tests.peers.prosody.server import Shape

pytestmark = pytest.mark.peer("prosody")


@pytest.fixture
def world(authority, tmp_path):
    return World(authority, tmp_path)


async def nothing_more(messages):
    with pytest.raises(TimeoutError):
        await heard(messages, within=0.7)


async def talked_over_cuts(one, other, path, names, disturb):
    """Both say twelve things while the path of one is disturbed; every one comes, in one copy."""
    said = {user: [f"{user} {number}" for number in range(12)] for user in names}
    ours, theirs = names

    before = path.connections

    async def talk(messages, to, texts):
        for number, text in enumerate(texts):
            sending = asyncio.create_task(messages.send(to, text, within=40))
            if messages is one and number in (3, 7):
                # Let it begin, so that the cut meets a message on its way.
                await asyncio.sleep(0)
                assert not sending.done()
                await disturb(path)
            await sending

    async def listen(messages, count):
        return [(await heard(messages, within=40)).body for _ in range(count)]

    async with asyncio.TaskGroup() as group:
        group.create_task(talk(one, jid(theirs), said[ours]))
        group.create_task(talk(other, jid(ours), said[theirs]))
        first = group.create_task(listen(one, 12))
        second = group.create_task(listen(other, 12))
    assert sorted(first.result()) == sorted(said[theirs])
    assert sorted(second.result()) == sorted(said[ours])
    await nothing_more(one)
    await nothing_more(other)
    # Each disturbance has really ended a connection: there is another one after it.
    assert path.connections >= before + 2


async def cut(path):
    path.cut()


async def freeze(path):
    """The path hangs for longer than a ping waits, and what hung is lost."""
    path.freeze()
    await asyncio.sleep(0.3)
    path.cut()
    path.thaw()


@pytest.mark.feature("XMPP: no message lost or doubled over a cut")
@pytest.mark.parametrize("disturb", [cut, freeze])
async def test_no_message_is_lost_or_doubled_over_a_cut(prosody, world, relay, disturb):
    path = await relay(prosody.direct)
    ann = world.config("user30", path.address, aes=False, timeout=40.0)
    bob = world.config("user31", prosody.direct, aes=False, timeout=40.0)
    async with world.messages(ann) as one, world.messages(bob) as other:
        await talked_over_cuts(one, other, path, ("user30", "user31"), disturb)


@pytest.mark.feature("XMPP: no message lost or doubled over a cut")
async def test_nor_client_to_client(prosody, world, relay):
    path = await relay(prosody.direct)
    ann = world.config("user32", path.address, timeout=40.0, clear=False)
    bob = world.config("user33", prosody.direct, timeout=40.0, clear=False)
    async with world.messages(ann) as one, world.messages(bob) as other:
        await sees(one, jid("user33"))
        await sees(other, jid("user32"))
        await talked_over_cuts(one, other, path, ("user32", "user33"), cut)


@pytest.mark.feature("XMPP: a session that the server has forgotten")
async def test_nor_when_the_server_has_forgotten_the_session(prosody_of_its_own, world):
    server = prosody_of_its_own(shape=Shape(hibernation=1))
    ann = world.config("user00", server.direct, aes=False, timeout=40.0)
    bob = world.config("user01", server.direct, aes=False, timeout=40.0)
    async with world.messages(ann) as one, world.messages(bob) as other:
        await one.send(jid("user01"), "before")
        assert (await heard(other)).body == "before"
        server.stop()
        sending = asyncio.create_task(one.send(jid("user01"), "meanwhile", within=40))
        await asyncio.sleep(0.5)
        assert not sending.done()
        server.start()
        await sending
        assert (await heard(other, within=30)).body == "meanwhile"
        await nothing_more(other)


@pytest.mark.feature("XMPP: a half-dead path is found out")
async def test_a_path_that_carries_nothing_is_left(prosody, world, relay):
    path = await relay(prosody.direct)
    ann = world.config("user34", path.address, aes=False)
    async with world.messages(ann) as one:
        path.freeze()
        await until(lambda: not one.is_up)
        path.thaw()
        await until(lambda: one.is_up)
    assert path.connections >= 2


@pytest.mark.feature("XMPP: a slow application makes the server wait")
async def test_a_slow_application_grows_nothing_without_bound(prosody, world):
    ann = world.config("user35", prosody.direct, aes=False)
    bob = world.config("user36", prosody.direct, aes=False, timeout=40.0)
    async with world.messages(ann) as one, world.messages(bob) as other:
        inbox = other._receiver.inbox
        inbox._high, inbox._low = 20, 10
        await one.send(jid("user36"), "0")
        assert (await heard(other)).body == "0"
        for number in range(1, 150):
            await one.send(jid("user36"), str(number))
        await asyncio.sleep(0.5)
        assert len(inbox) < 150
        assert [(await heard(other)).body for _ in range(1, 150)] == [str(n) for n in range(1, 150)]
