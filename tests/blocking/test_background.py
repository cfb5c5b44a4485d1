"""The loop in the background, and the waits of other threads for it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import threading

import pytest

from softphone.blocking import EventStream, timeout
from softphone.blocking import background as module
from softphone.blocking.background import (
    BackgroundLoop,
    Wrapper,
    acquire_loop,
    inner_of,
    release_loop,
    running_loop,
)
from softphone.errors import LocalProtocolError
from tests.support.waiting import PATIENCE


@pytest.fixture
def loop():
    made = BackgroundLoop()
    yield made
    made.stop()


async def forever(told: list[str]):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        told.append("canceled")
        raise


async def number(value: int) -> int:
    return value


def test_a_coroutine_runs_in_one_other_thread_and_gives_its_result_or_error(loop):
    threads = {loop.call(threading.current_thread) for _ in range(3)}
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    assert loop.wait(lambda: number(7)) == 7
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 / 0)


def test_a_wait_that_takes_too_long_cancels_what_it_waits_for(loop):
    told: list[str] = []
    with pytest.raises(TimeoutError, match="timeout block"), timeout(0.01):
        loop.wait(lambda: forever(told))
    assert told == ["canceled"]
    assert loop.wait(lambda: number(1)) == 1


@pytest.mark.parametrize("told_first", [True, False], ids=["after", "before"])
def test_ctrl_c_while_a_coroutine_is_handed_over_ends_it(loop, monkeypatch, told_first):
    mistakes: list[dict[str, object]] = []
    running = loop.call(asyncio.get_running_loop)
    running.set_exception_handler(lambda _, context: mistakes.append(context))
    hand_over, first = running.call_soon_threadsafe, itertools.count()

    def interrupt(function):
        if next(first):
            hand_over(function)
            return
        if told_first:
            hand_over(function)
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "call_soon_threadsafe", interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.wait(lambda: forever([]))
    assert loop.wait(lambda: number(1)) == 1
    assert len(loop.call(asyncio.all_tasks)) == 2  # the loop's own, and this look
    gc.collect()  # a task tells of an error that nobody asked for when it goes
    assert mistakes == []


def test_the_shortest_of_nested_limits_counts_and_only_within_its_block(loop):
    with timeout(60), pytest.raises(TimeoutError), timeout(0.01):
        loop.wait(lambda: forever([]))
    with timeout(60):
        assert loop.wait(lambda: number(2)) == 2


def test_what_is_done_in_the_last_moment_is_not_lost(loop):
    async def unstoppable() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        return ""

    with timeout(0.01):
        assert loop.wait(unstoppable) == "done"


@pytest.mark.parametrize("poll", [None, 0.005])
def test_where_ctrl_c_needs_it_a_wait_looks_up_now_and_then(loop, monkeypatch, poll):
    """As on Windows, where a wait for a lock is not interrupted."""
    monkeypatch.setattr(module, "POLL", poll)

    async def after(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    assert loop.wait(lambda: after(0.02)) == "done"
    with timeout(60):
        assert loop.wait(lambda: after(0.02)) == "done"
    told: list[str] = []
    with pytest.raises(TimeoutError), timeout(0.02):
        loop.wait(lambda: forever(told))
    assert told == ["canceled"]


def test_an_interrupted_wait_cancels_what_it_waits_for(loop, monkeypatch):
    told: list[str] = []

    def interrupted(pending, seconds):
        while pending.task is None:
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_wait_done", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.wait(lambda: forever(told))
    assert told == ["canceled"]


def test_the_loop_s_own_thread_is_refused_instead_of_hanging(loop):
    with pytest.raises(LocalProtocolError, match="own thread"):
        loop.call(lambda: loop.wait(lambda: number(1)))


def test_a_forked_process_is_refused_instead_of_hanging(loop, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(LocalProtocolError, match="forked"):
        loop.wait(lambda: number(1))


def test_once_it_has_ended_it_says_so_and_those_who_wait_are_told(loop):
    told: list[str] = []
    waiting = loop.submit(lambda: forever(told))
    loop.call(lambda: None)
    loop.stop()
    assert waiting.done.wait(PATIENCE)
    with pytest.raises(LocalProtocolError, match="closed meanwhile"):
        waiting.result()
    assert told == ["canceled"]
    with pytest.raises(LocalProtocolError, match="the phone is closed"):
        loop.wait(lambda: number(1))
    with pytest.raises(LocalProtocolError, match="the phone is closed"):
        loop.call(asyncio.get_running_loop)
    assert loop.call(lambda: "what is known stays known") == "what is known stays known"
    loop.stop()


def test_the_loop_begins_with_its_first_user_and_ends_with_the_last():
    with pytest.raises(LocalProtocolError, match="no phone is open"):
        running_loop()
    first, second = (lambda: None), (lambda: None)
    loop = acquire_loop(first)
    assert acquire_loop(second) is loop is running_loop()
    release_loop(first)
    release_loop(first)
    assert loop.wait(lambda: number(3)) == 3
    release_loop(second)
    assert not [each for each in threading.enumerate() if each.name == "softphone"]


def test_at_the_end_of_the_interpreter_what_is_open_is_closed_last_first():
    closed: list[int] = []

    def fail() -> None:
        closed.append(2)
        raise ValueError

    users = [lambda: closed.append(1), fail, lambda: closed.append(3)]
    for each in users:
        acquire_loop(each)
    module._close_at_exit()
    assert closed == [3, 2, 1]
    for each in users:
        release_loop(each)


async def count(until: int, gate: asyncio.Event | None = None):
    for each in range(until):
        if gate is not None:
            await gate.wait()
        yield each


def test_a_stream_gives_each_item_wrapped_and_ends(loop):
    stream = EventStream(loop, count(3), str)
    assert list(stream) == ["0", "1", "2"]
    assert list(stream) == []


def test_a_step_that_is_too_late_loses_nothing(loop):
    gate = loop.call(asyncio.Event)
    stream = EventStream(loop, count(2, gate), int)
    for _ in range(2):
        with pytest.raises(TimeoutError), timeout(0.01):
            next(stream)
    loop.call(gate.set)
    assert list(stream) == [0, 1]


def test_an_error_of_a_stream_is_raised_once(loop):
    async def broken():
        yield 1
        raise ValueError("broken")

    stream = EventStream(loop, broken(), int)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)
    assert list(stream) == []


def test_threads_share_a_stream_and_each_item_goes_to_one_of_them(loop):
    stream, found = EventStream(loop, count(200), int), []
    threads = [threading.Thread(target=lambda: found.extend(stream)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)
    assert sorted(found) == list(range(200))


def test_a_thread_that_waits_for_its_turn_is_limited_too(loop):
    stream = EventStream(loop, count(1, loop.call(asyncio.Event)), int)
    with stream._turn, pytest.raises(TimeoutError), timeout(0.01):
        next(stream)


def test_wrappers_of_the_same_object_are_equal(loop):
    inner = object()
    assert Wrapper(loop, inner) == Wrapper(loop, inner) != Wrapper(loop, object())
    assert len({Wrapper(loop, inner), Wrapper(loop, inner)}) == 1
    assert inner_of(Wrapper(loop, inner)) is inner
    assert inner_of("x") == "x"
    with pytest.raises(LocalProtocolError, match="not open"):
        Wrapper(None, inner)._wait(lambda: number(1))
