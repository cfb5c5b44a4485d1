"""What a thread makes while its caller is cancelled is waited for, and undone."""

from __future__ import annotations

import asyncio
import threading

import pytest

from softphone.net import run_to_end
from tests.support.waiting import PATIENCE


class Work:
    """Something that a thread makes once it may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = threading.Event()
        self.loop = asyncio.get_running_loop()
        self.ended = False

    def make(self, what: object) -> object:
        """Make it."""
        self.loop.call_soon_threadsafe(self.begun.set)
        assert self.may_end.wait(PATIENCE)
        self.ended = True
        if isinstance(what, Exception):
            raise what
        return what


async def cancelled_twice(work: Work, task: asyncio.Task[object]) -> None:
    await work.begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended


async def test_it_gives_and_raises_what_the_function_does():
    assert await run_to_end(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await run_to_end(divmod, 7, 0)


async def test_a_caller_that_is_cancelled_waits_for_the_end_and_undoes_it():
    work, undone = Work(), []
    task = asyncio.ensure_future(run_to_end(work.make, "file", undo=undone.append))
    await cancelled_twice(work, task)
    assert undone == ["file"]


@pytest.mark.parametrize("what", ["file", OSError("full")])
async def test_what_failed_or_needs_no_undoing_is_waited_for_as_well(what):
    work = Work()
    await cancelled_twice(work, asyncio.ensure_future(run_to_end(work.make, what)))
