"""Handshakes at work at once: bounded, in turn, and a slow one does not keep the others out."""

from __future__ import annotations

import asyncio

import pytest

from softphone.net import TransportLimits
from softphone.net.stream import HandshakeSlots
from tests.support.recorder import until
from tests.support.virtual_loop import run_virtually

CROWD = 10_000


class Clients:
    """Handshakes that last until they are let go."""

    def __init__(self, slots: HandshakeSlots) -> None:
        self.slots = slots
        self.order: list[str] = []
        self.tasks: list[asyncio.Task] = []

    def come(self, name: str, source: str, *, ended: asyncio.Event, **more) -> asyncio.Task:
        async def work():
            async with self.slots.hold_slot(source, **more):
                self.order.append(name)
                await ended.wait()

        task = asyncio.create_task(work())
        self.tasks.append(task)
        return task

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_slow_one_loses_its_slot_and_not_its_handshake():
    slots = HandshakeSlots(1, 8, patience=0.2)
    clients = Clients(slots)
    slow, quick = asyncio.Event(), asyncio.Event()
    first = clients.come("slow", "a", ended=slow)
    second = clients.come("second", "a", ended=quick)
    await clients.settle()
    assert clients.order == ["slow"]
    await until(lambda: clients.order == ["slow", "second"])
    assert not first.done()
    quick.set()
    slow.set()
    await asyncio.gather(first, second)
    assert slots.at_work == 0


async def test_one_source_has_so_many_at_work_and_the_rest_wait_in_order():
    clients = Clients(HandshakeSlots(100, 3, patience=60))
    ends = [asyncio.Event() for _ in range(6)]
    for number, end in enumerate(ends):
        clients.come(str(number), "a", ended=end)
    await clients.settle()
    assert clients.order == ["0", "1", "2"]
    ends[1].set()
    await clients.settle()
    assert clients.order == ["0", "1", "2", "3"]
    clients.come("other", "b", ended=ends[0])
    await clients.settle()
    assert clients.order[-1] == "other"
    await clients.end()
    assert clients.slots.at_work == 0


async def test_free_slots_go_to_the_sources_in_turn():
    clients = Clients(HandshakeSlots(1, 16, patience=60))
    now = asyncio.Event()
    now.set()
    held = asyncio.Event()
    clients.come("held", "x", ended=held)
    await clients.settle()
    for number in range(50):
        clients.come(f"a{number}", "a", ended=now)
    clients.come("b0", "b", ended=now)
    clients.come("b1", "b", ended=now)
    clients.come("c0", "c", ended=now)
    await clients.settle()
    held.set()
    await asyncio.gather(*clients.tasks)
    assert clients.order[1:7] == ["a0", "b0", "c0", "a1", "b1", "a2"]


async def test_a_trusted_source_has_no_limit_of_its_own():
    clients = Clients(HandshakeSlots(10, 2, patience=60))
    held = asyncio.Event()
    for number in range(12):
        clients.come(str(number), "a", ended=held, trusted=True)
    await clients.settle()
    assert len(clients.order) == 10
    await clients.end()
    assert clients.slots.at_work == 0


async def test_who_has_no_slot_by_its_deadline_leaves_the_queue_and_nothing_else():
    slots = HandshakeSlots(1, 1, patience=60)
    clients = Clients(slots)
    held, now = asyncio.Event(), asyncio.Event()
    now.set()
    clients.come("held", "a", ended=held)
    await clients.settle()
    late = clients.come("late", "a", ended=now, deadline=asyncio.get_running_loop().time() + 0.01)
    patient = clients.come("patient", "a", ended=now)
    with pytest.raises(TimeoutError):
        await late
    held.set()
    await patient
    assert clients.order == ["held", "patient"]
    assert slots.at_work == 0


async def test_who_is_canceled_as_its_slot_comes_gives_it_back():
    slots = HandshakeSlots(1, 1, patience=60)
    clients = Clients(slots)
    held, now = asyncio.Event(), asyncio.Event()
    now.set()
    clients.come("held", "a", ended=held)
    await clients.settle()
    for moment in ("before", "after"):
        waiting = clients.come("waiting", "b", ended=now)
        await clients.settle()
        if moment == "before":
            waiting.cancel()
            held.set()
            await asyncio.sleep(0)
        else:
            held.set()
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await clients.settle()
        assert slots.at_work == 0
        held.clear()
        clients.come("held", "a", ended=held)
        await clients.settle()
    await clients.end()


async def test_nothing_is_kept_of_sources_that_are_gone():
    slots = HandshakeSlots(4, 1)
    clients = Clients(slots)
    now = asyncio.Event()
    now.set()
    for number in range(200):
        clients.come("x", f"source {number}", ended=now)
    await asyncio.gather(*clients.tasks)
    assert (slots._waiting, dict(slots._turns), dict(slots._at_work)) == ({}, {}, {})


def test_ten_thousand_of_one_source_get_their_slots_in_order_before_the_deadline():
    """On virtual time: handshakes of 10 ms, and a deadline of 10 s for each from its arrival on."""
    limits = TransportLimits()
    slots = HandshakeSlots.within(limits)
    begun: list[int] = []

    async def handshake(number: int, deadline: float) -> None:
        async with slots.hold_slot("198.51.100.7", deadline=deadline):
            begun.append(number)
            assert slots.at_work <= limits.handshakes_per_source
            await asyncio.sleep(0.01)

    async def crowd() -> float:
        arrived = asyncio.get_running_loop().time()
        deadline = arrived + limits.handshake_timeout
        await asyncio.gather(*(handshake(number, deadline) for number in range(CROWD)))
        return asyncio.get_running_loop().time() - arrived

    took = run_virtually(crowd())
    assert begun == list(range(CROWD))
    assert took == pytest.approx(0.01 * CROWD / limits.handshakes_per_source, rel=0.01)
    assert (slots.at_work, slots._waiting) == (0, {})
