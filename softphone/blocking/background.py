"""The event loop behind the blocking interface: it runs in one thread, for which others wait.

Every command and look-up of the blocking classes runs in this loop, so that objects of the engine
are only ever touched by one thread; the caller waits.  An interrupted or late wait cancels what
it waited for.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from softphone.errors import LocalProtocolError

A = TypeVar("A")
T = TypeVar("T")

CANCEL_PATIENCE = 5.0
"""Seconds that an interrupted wait allows for the cleanup of what it waited for."""
EXIT_PATIENCE = 5.0
"""Seconds that closing the phones may take when the interpreter ends without having left them."""
POLL = 0.1 if sys.platform == "win32" else None
"""Seconds between checks for Ctrl-C where it does not interrupt a lock (Windows)."""


class _Deadlines(threading.local):
    """The deadlines of this thread's `timeout` blocks, in monotonic seconds."""

    def __init__(self) -> None:
        self.stack: list[float] = []

    def left(self) -> float | None:
        """Return the seconds until the earliest one; None without any."""
        return max(0.0, min(self.stack) - time.monotonic()) if self.stack else None


_deadlines = _Deadlines()


@contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Limit the blocking calls in the block: one that is not done in time raises TimeoutError.

    The operation is canceled, as `asyncio.timeout` would: a call that rings is canceled.
    An iterator loses no events.  It holds for this thread only.
    """
    _deadlines.stack.append(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadlines.stack.pop()


class PendingResult(Generic[T]):
    """A task of the loop and its outcome, for which a thread waits.

    The loop makes the coroutine, so that a thread that Ctrl-C interrupts leaves none behind.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self.work = work
        self.done = threading.Event()
        self.task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Make the task; runs in the loop."""
        self.task = asyncio.ensure_future(self._run())
        self.task.add_done_callback(lambda _: self.done.set())

    async def _run(self) -> T:
        return await self.work()

    def cancel(self) -> None:
        """Cancel the task, if there is one; runs in the loop."""
        if self.task is not None:
            self.task.cancel()
        else:
            self.done.set()

    def result(self) -> T:
        """Return or raise the outcome of a task that is done."""
        if self.task is None or self.task.cancelled():
            raise LocalProtocolError("the phone was closed meanwhile")
        return self.task.result()


class BackgroundLoop:
    """One event loop in one thread; `stop` cancels what runs in it and ends the thread."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        # A program that ends without having left its phones must not hang: see `_close_at_exit`.
        self._thread = threading.Thread(target=self._run, name="softphone", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._ended.wait()
        # Steps that still wait fail with this error before the thread ends.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def wait(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await in the loop what `work` returns, and return its result or raise its error.

        On Ctrl-C, and after the time of a `timeout` block, it is canceled first.  Raises
        LocalProtocolError in the loop's own thread, in another process, and once the loop has
        ended.
        """
        pending = self.submit(work)
        try:
            in_time = self._wait_done(pending, _deadlines.left())
        except BaseException:
            self._give_up(pending)
            raise
        if not in_time:
            self._give_up(pending)
            if pending.task is None or pending.task.cancelled() or not pending.done.is_set():
                raise TimeoutError("the time of the timeout block is over")
        return pending.result()

    def wait_for_pending(self, pending: PendingResult[T]) -> T:
        """Wait as `wait` does, but leave it running when the wait is interrupted or too long."""
        if not self._wait_done(pending, _deadlines.left()):
            raise TimeoutError("the time of the timeout block is over")
        return pending.result()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the loop, and return its result or raise its error.

        Once the loop has ended, the caller's thread runs it: a call that is over still has its
        statistics.  Raises LocalProtocolError as `wait` does.
        """
        assert self._loop is not None
        if self._loop.is_closed():
            try:
                return function()
            except RuntimeError as error:  # it needs a loop
                raise LocalProtocolError("the phone is closed") from error

        async def work() -> T:
            return function()

        return self.wait(work)

    def submit(self, work: Callable[[], Awaitable[T]]) -> PendingResult[T]:
        """Start `work` in the loop.  Raises LocalProtocolError as `wait` does."""
        pending = PendingResult(work)
        try:
            self._check()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(pending.start)
        except RuntimeError as error:  # the loop has ended
            raise LocalProtocolError("the phone is closed") from error
        except KeyboardInterrupt:  # the loop may have been told to start it already
            self._give_up(pending)
            raise
        return pending

    def _check(self) -> None:
        if threading.current_thread() is self._thread:
            raise LocalProtocolError(
                "the blocking interface cannot be used in the phone's own thread: a source, sink or"
                " hook that it calls must not call it"
            )
        if os.getpid() != self._process:
            raise LocalProtocolError("this process was forked from the one that opened the phone")

    @staticmethod
    def _wait_done(pending: PendingResult[Any], seconds: float | None) -> bool:
        """Wait; return whether it is done in time.  Ctrl-C interrupts the wait on every system."""
        if POLL is None:
            return pending.done.wait(seconds)
        end = None if seconds is None else time.monotonic() + seconds
        while not pending.done.wait(POLL if end is None else min(POLL, end - time.monotonic())):
            if end is not None and time.monotonic() >= end:
                return False
        return True

    def _give_up(self, pending: PendingResult[Any]) -> None:
        """Cancel it, and wait a little for its cleanup."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, and with it the task
            self._loop.call_soon_threadsafe(pending.cancel)
            pending.done.wait(CANCEL_PATIENCE)

    def stop(self) -> None:
        """Cancel what still runs, end the loop, and wait for its thread."""
        assert self._loop is not None
        assert self._ended is not None
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(CANCEL_PATIENCE)


# The one loop of the process ----------------------------------------------------------------------

_lock = threading.Lock()
_shared: BackgroundLoop | None = None
_open: list[Callable[[], None]] = []


def acquire_loop(close: Callable[[], None]) -> BackgroundLoop:
    """Return the loop of this process, started for its first user.

    `close` is called when the interpreter ends before `release_loop`.
    """
    global _shared
    with _lock:
        if _shared is None:
            _shared = BackgroundLoop()
        _open.append(close)
        return _shared


def release_loop(close: Callable[[], None]) -> None:
    """Give the loop back; with its last user it ends."""
    global _shared
    with _lock:
        if close in _open:
            _open.remove(close)
        ended, _shared = (_shared, None) if not _open else (None, _shared)
    if ended is not None:
        ended.stop()


def running_loop() -> BackgroundLoop:
    """Return the loop that an open phone has started.  Raises LocalProtocolError without one."""
    if _shared is None:
        raise LocalProtocolError("no phone is open: enter one first, `with Phone() as phone`")
    return _shared


@atexit.register
def _close_at_exit() -> None:
    """Hang up and unregister, as far as time allows, for a program that closed no phone."""
    with timeout(EXIT_PATIENCE):
        for close in reversed(_open.copy()):
            # The interpreter is exiting: no caller is left to receive the error.
            with suppress(Exception):
                close()


def _forget_after_fork() -> None:
    """Reset the state in a forked child process, in which only the forking thread goes on."""
    global _shared, _lock
    _lock, _shared = threading.Lock(), None
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


# The base of the wrapper classes -------------------------------------------------------------


class Wrapper(Generic[A]):
    """An object of the engine, used from other threads; equal where the wrapped one is the same."""

    def __init__(self, loop: BackgroundLoop | None, inner: A) -> None:
        self._background = loop
        self._inner = inner

    @property
    def _loop(self) -> BackgroundLoop:
        if self._background is None:
            raise LocalProtocolError("the phone is not open: enter it, `with Phone() as phone`")
        return self._background

    def _call(self, function: Callable[[], T]) -> T:
        return self._loop.call(function)

    def _wait(self, work: Callable[[], Awaitable[T]]) -> T:
        return self._loop.wait(work)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wrapper) and other._inner is self._inner

    def __hash__(self) -> int:
        return id(self._inner)


def inner_of(given: Any) -> Any:  # any class: the caller's signature names it
    """Return what a wrapper wraps, and anything else as it is."""
    return given._inner if isinstance(given, Wrapper) else given


class EventStream(Iterator[T]):
    """Iterates over items that arrive in the loop; each step waits for the next one.

    A step that is interrupted, or ends by `timeout`, loses nothing: the next one gets it.  Several
    threads may share one stream; each item goes to one of them.
    """

    def __init__(
        self,
        loop: BackgroundLoop,
        # Of the engine's class, where `wrap` makes a wrapper of it.
        source: AsyncIterator[Any],
        wrap: Callable[[Any], T],
    ) -> None:
        self._loop = loop
        self._source = source
        self._wrap = wrap
        self._turn = threading.Lock()
        self._pending: PendingResult[tuple[Any] | None] | None = None

    def __next__(self) -> T:
        left = _deadlines.left()
        if not self._turn.acquire(timeout=-1 if left is None else left):
            raise TimeoutError("the time of the timeout block is over")
        try:
            if self._pending is None:
                self._pending = self._loop.submit(self._advance)
            item = self._loop.wait_for_pending(self._pending)
        finally:
            if self._pending is not None and self._pending.done.is_set():
                self._pending = None
            self._turn.release()
        if item is None:
            raise StopIteration
        return self._wrap(item[0])

    async def _advance(self) -> tuple[Any] | None:
        try:
            return (await anext(self._source),)
        except StopAsyncIteration:
            return None
