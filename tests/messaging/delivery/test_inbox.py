"""What waits for a slow application: bounded, and the server is made to wait."""

from __future__ import annotations

import asyncio

from softphone.messaging.delivery.inbox import Inbox
from tests.messaging.delivery.test_history import said


async def test_a_slow_application_makes_the_stream_pause_and_go_on():
    holds = []
    inbox = Inbox(holds.append, high=4, low=2)
    inbox.show(said("a@x", "0"))
    await inbox.take()
    for number in range(2):
        inbox.arrive(number)
        inbox.show(said("a@x", str(number)))
    assert holds == [True]
    assert await inbox.arrival() == 0
    await inbox.take()
    assert holds == [True, False]


async def test_who_never_reads_keeps_the_last_only():
    holds = []
    inbox = Inbox(holds.append, high=4, low=2)
    for number in range(100):
        inbox.show(said("a@x", str(number)))
    assert holds == []
    assert inbox.dropped == 98
    assert (await inbox.take()).body == "98"


async def test_while_something_is_sent_its_answer_gets_in():
    holds = []
    inbox = Inbox(holds.append, high=4, low=2)
    inbox.show(said("a@x", "0"))
    await inbox.take()
    for number in range(4):
        inbox.arrive(number)
    assert holds == [True]
    with inbox.sending():
        assert holds == [True, False]
    assert holds == [True, False, True]
    inbox.release()
    assert holds == [True, False, True, True]


async def test_the_end_comes_after_what_waits():
    inbox = Inbox(lambda held: None)
    inbox.show(said("a@x", "last"))
    inbox.end()
    assert (await inbox.take()).body == "last"
    assert await inbox.take() is None


async def test_it_waits_for_what_comes():
    inbox = Inbox(lambda held: None)
    taking, judging = asyncio.create_task(inbox.take()), asyncio.create_task(inbox.arrival())
    await asyncio.sleep(0)
    inbox.arrive("x")
    inbox.show(said("a@x", "now"))
    assert (await taking).body == "now"
    assert await judging == "x"
