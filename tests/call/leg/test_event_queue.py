"""The mailbox of events."""

from __future__ import annotations

import asyncio

from softphone.call.leg import EventQueue


async def collect(mailbox):
    return [event async for event in mailbox.events()]


async def test_a_late_reader_gets_what_came_before():
    mailbox = EventQueue()
    mailbox.put_event(1)
    mailbox.put_event(2)
    mailbox.close()
    assert await collect(mailbox) == [1, 2]
    assert await collect(mailbox) == [1, 2]


async def test_readers_wait_for_new_events():
    mailbox = EventQueue()
    readers = [asyncio.create_task(collect(mailbox)) for _ in range(3)]
    await asyncio.sleep(0)
    mailbox.put_event("a")
    await asyncio.sleep(0)
    mailbox.put_event("b")
    mailbox.close()
    assert await asyncio.gather(*readers) == [["a", "b"]] * 3


async def test_a_slow_reader_misses_the_oldest_and_never_the_end():
    mailbox = EventQueue(capacity=4)
    reader = mailbox.events()
    mailbox.put_event(0)
    assert await anext(reader) == 0
    for event in range(1, 11):
        mailbox.put_event(event)
    mailbox.close()
    assert [event async for event in reader] == [7, 8, 9, 10]
    assert mailbox.missed == 6


async def test_what_is_written_after_the_end_is_dropped():
    mailbox = EventQueue()
    mailbox.close()
    mailbox.put_event(1)
    assert await collect(mailbox) == []


async def test_a_cancelled_reader_leaves_nothing_behind():
    mailbox = EventQueue()
    reader = asyncio.create_task(collect(mailbox))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert not mailbox._waiters
