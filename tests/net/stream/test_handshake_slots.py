"""Handshakes at work at once: bounded, and a slow one does not keep the others out."""

from __future__ import annotations

import asyncio

from softphone.net.stream import HandshakeSlots
from tests.support.recorder import until


async def test_slots_bound_how_many_are_at_work_and_slow_ones_lose_theirs():
    slots = HandshakeSlots(1, 8, patience=0.3)
    order = []

    async def work(name, event):
        async with slots.hold_slot():
            order.append(name)
            await event.wait()

    slow, quick = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(work("slow", slow))
    await until(lambda: order == ["slow"])
    second = asyncio.create_task(work("second", quick))
    await asyncio.sleep(0)
    assert order == ["slow"]
    await until(lambda: order == ["slow", "second"])
    quick.set()
    slow.set()
    await asyncio.gather(first, second)
    third = asyncio.create_task(work("third", quick))
    fourth = asyncio.create_task(work("fourth", quick))
    await asyncio.gather(third, fourth)
    assert order == ["slow", "second", "third", "fourth"]
