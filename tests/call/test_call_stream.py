"""One ordered stream of sound and events."""

from __future__ import annotations

import asyncio

import numpy as np

from softphone.call.call_stream import merge_stream
from softphone.call.leg import EventQueue
from softphone.events import CallAnswered, CallEnded, EndedBy
from softphone.media import PcmBlock
from softphone.media.audio import PcmInput
from tests.support.stage import Stage


def block(number: int, generation: int = 0) -> PcmBlock:
    return PcmBlock(np.full(160, number, dtype=np.int16), 8000, number * 160, generation)


def opened(capacity=256, **options):
    heard, events = PcmInput(8000, **options), EventQueue(capacity)
    heard.order_by(lambda: events.written)
    return heard, events, merge_stream(heard, events)


def shown(items):
    return [each if isinstance(each, str) else int(each.pcm[0]) for each in items]


async def test_items_come_in_the_order_in_which_they_came():
    heard, events, stream = opened()
    events.put_event("answered")
    heard.write(block(1))
    heard.write(block(2))
    events.put_event("digit 1")
    events.put_event("digit 2")
    heard.write(block(3))
    events.put_event("over")
    events.close()
    heard.close()
    assert shown([item async for item in stream]) == [
        *("answered", 1, 2, "digit 1", "digit 2", 3, "over"),
    ]


async def test_it_waits_for_whichever_comes_first_and_leaves_no_waiter():
    heard, events, stream = opened()
    for come, expected in (
        (lambda: events.put_event("a"), "a"),
        (lambda: heard.write(block(1)), 1),
        (lambda: events.put_event("b"), "b"),
    ):
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
        come()
        assert shown([await asyncio.wait_for(waiting, 1)]) == [expected]
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not events._waiters
    assert not len(heard._waiters)


async def test_a_slow_reader_loses_the_oldest_and_never_the_order():
    heard, events, stream = opened(capacity=2, seconds=0.1)
    events.put_event("first")
    assert await anext(stream) == "first"
    for number in range(10):
        events.put_event(f"event {number}")
        heard.write(block(number))
    events.close()
    got = shown([item async for item in stream])
    assert got == [5, 6, 7, "event 8", 8, "event 9", 9]
    assert events.missed == 8
    assert heard.dropped_samples == 800


async def test_the_end_comes_after_the_last_sound():
    heard, events, stream = opened()
    heard.write(block(1))
    events.put_event("over")
    events.close()
    assert shown([item async for item in stream]) == [1, "over"]


async def test_sound_that_waited_unordered_stands_behind_the_events_so_far():
    heard, events = PcmInput(8000), EventQueue()
    heard.write(block(1))
    events.put_event("a")
    heard.order_by(lambda: events.written)
    events.put_event("b")
    events.close()
    assert shown([item async for item in merge_stream(heard, events)]) == ["a", 1, "b"]


async def test_a_call_has_one():
    stage = Stage()
    caller, _ = stage.answered()
    from softphone.call import Call

    call = Call.for_leg(caller)
    call.audio.use_rates(read_hz=8000)
    stream = call.stream()
    (reader,) = [c[2] for c in stage.alice.port.commands if c[0] == "record"]
    reader.write(block(4))
    call.hangup()
    items = [item async for item in stream]
    assert isinstance(items[-1], CallEnded)
    assert items[-1].by is EndedBy.LOCAL
    assert int(items[-2].pcm[0]) == 4
    assert isinstance(items[-3], CallAnswered)
