"""Names from a directory on calls that come and go; and a directory that delays none."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.config.directory_file import load_directories
from softphone.contacts import Contacts
from softphone.errors import LocalProtocolError
from softphone.events import PeerNamed
from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone
from tests.support.waiting import PATIENCE


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path, LabConfig(directory=True)) as server:
        yield server


async def called(lab, phone):
    """alice calls bob by his number; both calls, the callee's not answered yet."""
    alice, bob = [
        await phone.register(load_account(lab.accounts[name]).config) for name in ("alice", "bob")
    ]
    outgoing = alice.dial("1002")
    await outgoing.start()
    return outgoing, await anext(bob.incoming())


async def named(call):
    async with asyncio.timeout(PATIENCE):
        async for event in call.events():
            if isinstance(event, PeerNamed):
                return event.name, event.sources
    raise AssertionError("the call ended without a name")


async def test_both_ends_see_the_other_s_name(lab):
    async with Phone() as phone:
        with pytest.raises(LocalProtocolError):
            phone.contacts.cached_contact("1002")
        phone.open_directories(load_directories(lab.directory_file).directories)
        assert [each.name for each in await phone.contacts.search("ali", limit=5)] == [
            "Alice Example"
        ]
        outgoing, incoming = await called(lab, phone)
        assert await named(incoming) == ("Alice Example", ("lab",))
        assert await named(outgoing) == ("Bob Example", ("lab",))
        assert (incoming.contact.name, outgoing.contact.name) == ("Alice Example", "Bob Example")
        answered, call = await asyncio.gather(
            incoming.answer(), outgoing.answered(timeout=PATIENCE)
        )
        assert (answered.contact.username, call.contact.username) == ("alice", "bob")


class Silent:
    """A directory that is asked and never answers."""

    name = "silent"

    def __init__(self):
        self.asked = []

    async def search(self, word, limit):
        return ()

    async def by_number(self, number):
        self.asked.append(number)
        await asyncio.Event().wait()

    async def close(self):
        """Nothing is open."""


async def test_a_directory_that_never_answers_delays_no_call(lab):
    silent = Silent()
    async with Phone() as phone:
        phone._contacts = Contacts((silent,))
        outgoing, incoming = await called(lab, phone)
        await incoming.answer()
        call = await outgoing.answered(timeout=PATIENCE)
        assert (call.contact, incoming.contact) == (None, None)
        assert sorted(silent.asked) == ["1001", "1002"]
        call.hangup()
        await call.ended()
        await phone._contacts.close()


async def test_a_directory_out_of_reach_is_no_trouble_of_a_call(lab):
    (config,) = load_directories(lab.directory_file).directories
    async with Phone() as phone:
        phone.open_directories([replace(config, server="127.0.0.1:1")])
        outgoing, incoming = await called(lab, phone)
        await incoming.answer()
        assert (await outgoing.answered(timeout=PATIENCE)).contact is None
