"""What waits for a slow application: bounded, and the server is made to wait."""

from __future__ import annotations

import asyncio

from softphone.messaging.delivery.inbox import Inbox
from tests.messaging.delivery.test_history import said


async def test_a_slow_application_makes_the_stream_pause_and_go_on():
    holds = []
    inbox = Inbox(holds.append, high=4, low=2)
    inbox.add_message(said("a@x", "0"))
    await inbox.next_message()
    for number in range(2):
        inbox.add_arrival(number)
        inbox.add_message(said("a@x", str(number)))
    assert holds == [True]
    assert await inbox.next_arrival() == 0
    await inbox.next_message()
    assert holds == [True, False]


async def test_who_never_reads_keeps_the_last_only():
    holds = []
    inbox = Inbox(holds.append, high=4, low=2)
    for number in range(100):
        inbox.add_message(said("a@x", str(number)))
    assert holds == []
    assert inbox.dropped == 98
    assert (await inbox.next_message()).body == "98"


async def test_while_something_is_sent_its_answer_gets_in():
    holds = []
    inbox = Inbox(holds.append, high=4, low=2)
    inbox.add_message(said("a@x", "0"))
    await inbox.next_message()
    for number in range(4):
        inbox.add_arrival(number)
    assert holds == [True]
    with inbox.sending():
        assert holds == [True, False]
    assert holds == [True, False, True]
    inbox.reading_resumed()
    assert holds == [True, False, True, True]


async def test_the_end_comes_after_what_waits():
    inbox = Inbox(lambda held: None)
    inbox.add_message(said("a@x", "last"))
    inbox.end()
    assert (await inbox.next_message()).body == "last"
    assert await inbox.next_message() is None


async def test_it_waits_for_what_comes():
    inbox = Inbox(lambda held: None)
    taking, judging = (
        asyncio.create_task(inbox.next_message()),
        asyncio.create_task(inbox.next_arrival()),
    )
    await asyncio.sleep(0)
    inbox.add_arrival("x")
    inbox.add_message(said("a@x", "now"))
    assert (await taking).body == "now"
    assert await judging == "x"
