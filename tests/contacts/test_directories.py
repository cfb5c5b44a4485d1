"""All directories as one: merged, side by side, remembered for a while; nothing waits for them."""

from __future__ import annotations

import asyncio

import pytest

from softphone.contacts import CacheLimits, Contact, ContactNumber, Contacts
from softphone.errors import DirectoryError, TransportTimeout

ANNA = Contact("Anna", (ContactNumber("work", "1001"),), email="a@x.test", sources=("one",))
BERT = Contact("Bert", (ContactNumber("work", "1002"),), email="b@x.test", sources=("two",))


class Fake:
    """A directory that answers when `gate` is open, or fails with `failure`."""

    def __init__(self, name, *people, failure=None, hold=False):
        self.name, self.people, self.failure = name, people, failure
        self.gate = asyncio.Event()
        if not hold:
            self.gate.set()
        self.asked = []
        self.closed = False

    async def _answer(self, what):
        self.asked.append(what)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.people

    async def search(self, word, limit):
        return await self._answer(word)

    async def by_number(self, number):
        people = await self._answer(number)
        return next((each for each in people if each.has_number(number)), None)

    async def by_address(self, address):
        people = await self._answer(address)
        return next((each for each in people if each.has_address(address)), None)

    async def close(self):
        self.closed = True


async def test_a_search_merges_and_a_failure_takes_nothing_from_the_others():
    broken = Fake("broken", failure=DirectoryError("no such base"))
    async with Contacts((Fake("one", ANNA), broken, Fake("two", ANNA, BERT))) as contacts:
        found = await contacts.find("x")
        assert [each.name for each in found.contacts] == ["Anna", "Bert"]
        assert [(name, str(error)) for name, error in found.failures] == [
            ("broken", "no such base")
        ]
        assert len(await contacts.search("x", limit=1)) == 1


async def test_when_all_fail_the_first_failure_is_raised():
    failing = Fake("one", failure=TransportTimeout("late")), Fake("two", failure=DirectoryError())
    async with Contacts(failing) as contacts:
        with pytest.raises(TransportTimeout, match="late"):
            await contacts.search("x")
    assert all(each.closed for each in failing)


async def test_an_error_that_is_not_a_directory_s_is_not_swallowed():
    async with Contacts((Fake("one", failure=ZeroDivisionError()),)) as contacts:
        with pytest.raises(ZeroDivisionError):
            await contacts.find("x")


async def settle(contacts):
    if contacts._looking:
        await asyncio.wait(tuple(contacts._looking.values()))


async def test_a_call_does_not_wait_and_a_directory_is_asked_once():
    slow = Fake("slow", ANNA, hold=True)
    async with Contacts((slow,)) as contacts:
        assert contacts.cached_contact("1001") is None
        assert contacts.cached_contact("1001") is None
        await asyncio.sleep(0)
        assert slow.asked == ["1001"]
        slow.gate.set()
        await settle(contacts)
        assert contacts.cached_contact("1001") == ANNA
        assert await contacts.by_number("10 01") == ANNA
    assert slow.asked == ["1001"]


async def test_a_person_is_known_by_an_address_as_by_a_number():
    own = Fake("one", ANNA, BERT)
    async with Contacts((own,)) as contacts:
        assert await contacts.by_address("sip:A@X.test;transport=tls") == ANNA
        assert contacts.cached_contact("a@x.test") == ANNA
        told = []
        contacts.call_when_known("b@x.test", told.append)
        contacts.call_when_known("c@x.test", told.append)
        await settle(contacts)
        assert told == [BERT]
        assert contacts.cached_contact("c@x.test") is None
        assert await contacts.by_address("1001") is None
    assert own.asked == ["a@x.test", "b@x.test", "c@x.test"]


async def test_what_is_neither_number_nor_address_is_not_looked_up():
    own = Fake("one", ANNA)
    async with Contacts((own,)) as contacts:
        assert contacts.cached_contact("alice") is None
        assert await contacts.by_number("") is None
        assert contacts.cached_contact("anonymous@anonymous.invalid") is None
        assert await contacts.by_address("alice@127.0.0.1") is None
    assert own.asked == []


@pytest.mark.parametrize(
    ("people", "failure", "lasts"),
    [((ANNA,), None, 3600.0), ((), None, 600.0), ((), DirectoryError("down"), 30.0)],
    ids=["found", "nobody", "failed"],
)
async def test_an_answer_is_remembered_for_its_time(people, failure, lasts):
    now = 1000.0
    own = Fake("one", *people, failure=failure)
    async with Contacts((own,), clock=lambda: now) as contacts:
        await contacts.by_number("1001")
        now += lasts - 1.0
        contacts.cached_contact("1001")
        await settle(contacts)
        assert len(own.asked) == 1
        now += 2.0
        assert contacts.cached_contact("1001") is None
        await settle(contacts)
        assert len(own.asked) == 2


async def test_the_first_directory_that_knows_names_the_caller():
    second = Fake("two", BERT)
    async with Contacts((Fake("one", failure=DirectoryError("down")), second)) as contacts:
        assert await contacts.by_number("1002") == BERT
    assert second.asked == ["1002"]


async def test_memory_and_look_ups_are_bounded():
    slow = Fake("slow", hold=True)
    limits = CacheLimits(entries=5, looking=3)
    async with Contacts((slow,), limits=limits) as contacts:
        for number in range(1000, 1050):
            contacts.cached_contact(str(number))
        assert len(contacts._looking) == 3
        slow.gate.set()
        await settle(contacts)
        for number in range(1000, 1050):
            await contacts.by_number(str(number))
        assert len(contacts._names) == 5


async def test_closing_ends_what_is_under_way():
    slow = Fake("slow", ANNA, hold=True)
    contacts = Contacts((slow,))
    contacts.cached_contact("1001")
    await asyncio.wait_for(contacts.close(), 2.0)
    assert slow.closed
