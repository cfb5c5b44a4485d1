from __future__ import annotations

import asyncio

import pytest

from softphone.net.driver.drain import Drain
from softphone.sans_io import Flow, Transmit, Transport
from tests.support.recorder import Got, Rang, Recorder, until

FLOW = Flow(1, Transport.TCP, ("127.0.0.1", 1), ("127.0.0.1", 2))


class Bench:
    """A drain on a clock of the test's own, whose timer is the loop's."""

    def __init__(self, machine):
        self.now = 100.0
        self.sent = []
        self.bugs = []
        self.machine = machine
        self.drain = Drain(
            machine,
            on_event=machine.on_event,
            on_bug=lambda exc, flow: self.bugs.append((exc, flow)),
            clock=lambda: self.now,
        )
        self.drain.send = self.sent.append


@pytest.fixture
async def bench():
    made = Bench(Recorder())
    yield made
    made.drain.close()


async def test_a_change_is_drained_of_transmits_and_events(bench):
    def answer(event):
        if isinstance(event, Got):
            bench.machine.send(event.data, event.flow)

    bench.machine.react = answer
    bench.drain.receive_bytes(b"one", flow=FLOW)
    assert bench.machine.log == [Got(b"one", FLOW)]
    assert bench.sent == [Transmit(b"one", FLOW)]


async def test_a_change_within_a_drain_waits_for_its_end(bench):
    order = []

    def react(event):
        order.append(event.data)
        if event.data == b"first":
            bench.drain.receive_bytes(b"second", flow=FLOW)
            bench.machine.events.append(Got(b"of the same drain", FLOW))

    bench.machine.react = react
    bench.drain.receive_bytes(b"first", flow=FLOW)
    assert order == [b"first", b"of the same drain", b"second"]


async def test_commands_are_drained_when_their_context_ends(bench):
    with bench.drain.change() as now:
        bench.machine.send(b"x", FLOW)
        assert bench.sent == []
    assert now == 100.0
    assert bench.sent == [Transmit(b"x", FLOW)]


async def test_commands_that_raise_are_drained_all_the_same(bench):
    def command():
        with bench.drain.change():
            bench.machine.send(b"x", FLOW)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        command()
    assert bench.sent == [Transmit(b"x", FLOW)]
    assert bench.bugs == []


async def test_the_timer_rings_when_the_deadline_has_passed(bench):
    with bench.drain.change() as now:
        bench.machine.deadline = now
    await until(lambda: bench.machine.seen(Rang))
    assert bench.machine.seen(Rang) == [Rang(100.0)]


async def test_an_early_ring_is_harmless_and_sets_the_timer_anew(bench):
    with bench.drain.change() as now:
        bench.machine.deadline = now + 0.01
    await asyncio.sleep(0.03)  # the machine's clock stands still
    assert bench.machine.seen(Rang) == []
    bench.now += 1.0
    await until(lambda: bench.machine.seen(Rang))
    assert bench.machine.seen(Rang) == [Rang(101.0)]


async def test_the_timer_is_set_anew_only_for_an_earlier_deadline(bench, monkeypatch):
    loop = asyncio.get_running_loop()
    delays = []
    call_later = loop.call_later

    def counted(delay, *arguments):
        delays.append(delay)
        return call_later(delay, *arguments)

    monkeypatch.setattr(loop, "call_later", counted)
    for after in (50.0, 60.0, 55.0, 40.0, 45.0, None):
        with bench.drain.change() as now:
            bench.machine.deadline = None if after is None else now + after
    assert delays == [50.0, 40.0]


async def test_a_bug_is_told_with_its_flow_and_the_next_change_is_served(bench):
    def react(event):
        if event.data == b"bad":
            raise ZeroDivisionError

    bench.machine.react = react
    bench.drain.receive_bytes(b"bad", flow=FLOW)
    bench.drain.receive_bytes(b"good", flow=FLOW)
    (exc, flow), *more = bench.bugs
    assert isinstance(exc, ZeroDivisionError)
    assert (flow, more) == (FLOW, [])
    assert bench.machine.log[-1] == Got(b"good", FLOW)


async def test_a_deadline_that_raises_is_no_busy_loop(bench):
    rings = []

    def handle_timer(*, now):
        rings.append(now)
        raise ZeroDivisionError

    bench.machine.handle_timer = handle_timer
    with bench.drain.change() as now:
        bench.machine.deadline = now
    await until(lambda: bench.bugs)
    await asyncio.sleep(0.05)
    assert len(rings) == 1
    assert len(bench.bugs) == 1


async def test_a_closed_drain_rings_no_more(bench):
    with bench.drain.change() as now:
        bench.machine.deadline = now
    bench.drain.close()
    with bench.drain.change():
        pass
    await asyncio.sleep(0.01)
    assert bench.machine.seen(Rang) == []


async def test_a_command_of_another_thread_is_refused_and_changes_nothing(bench):
    def command():
        with bench.drain.change():
            bench.machine.send(b"of a foreign thread", FLOW)

    with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
        await asyncio.to_thread(command)
    assert (bench.sent, bench.drain.busy) == ([], False)
    with bench.drain.change():
        bench.machine.send(b"of the loop's own", FLOW)
    assert bench.sent == [Transmit(b"of the loop's own", FLOW)]
