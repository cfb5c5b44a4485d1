"""The drain of one machine: applies changes one after the other, draining after each.

The contract is in `softphone.sans_io`.  One timer of the event loop serves the machine; it is
re-armed only for an earlier deadline, and firing too early is harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from threading import get_ident
from typing import Any, Generic, Protocol, TypeVar

from softphone.sans_io import Flow, Machine, OpenDrain, Transmit

logger = logging.getLogger("softphone.net")

E = TypeVar("E")

_PAUSE_AFTER_BUG = 1.0  # a deadline that raises must not become a busy loop


class Change(Protocol):
    """What a drain does to its machine."""

    def __call__(self, *, now: float) -> None:
        """Change the machine at `now`, in seconds on the drain's clock."""


class _ChangeScope(AbstractContextManager[float]):
    """The context manager of `Drain.change`; a generator would cost three times as much."""

    __slots__ = ("_began", "_drain")

    def __init__(self, drain: Drain[Any]) -> None:
        self._drain = drain
        self._began = False

    def __enter__(self) -> float:
        """Defer changes, which a drain that runs does already.

        Raises RuntimeError in another thread than that of the event loop.
        """
        drain = self._drain
        if drain.thread != get_ident():
            raise RuntimeError(
                "called from another thread than that of the phone's event loop: use"
                " asyncio.run_coroutine_threadsafe(...) or loop.call_soon_threadsafe(...)"
            )
        self._began, drain.busy = not drain.busy, True
        drain.now = drain.clock()
        return drain.now

    def __exit__(self, *exc_info: object) -> None:
        """Drain the commands, then run and drain the changes that were deferred."""
        if self._began:
            self._drain.busy = False
            self._drain.apply_change(None)


class Drain(Generic[E]):
    """Applies changes to a machine and drains it (see `softphone.sans_io`).

    `on_event` gets every event, `send`, which the owner sets, every transmit; changes that they
    make belong to the same drain.  `on_bug` gets an exception of the machine or of `on_event`, and
    its flow.
    """

    def __init__(
        self,
        machine: Machine[E],
        *,
        on_event: Callable[[E], None],
        on_bug: Callable[[Exception, Flow | None], None],
        clock: Callable[[], float],
    ) -> None:
        self.machine = machine
        self.clock = clock
        self.thread = get_ident()
        """The thread that made the drain, in which its event loop runs."""
        self.now = clock()
        """The time of the change that is applied, or was last."""
        self.change: OpenDrain = partial(_ChangeScope, self)
        """Opens a block for commands; `with` gives their `now`, and the drain runs at the end.

        An exception of a command reaches the caller after the drain.
        """
        self.send: Callable[[Transmit], None]
        self._on_event = on_event
        self._on_bug = on_bug
        self._changes: deque[tuple[Change | None, Flow | None]] = deque()
        self.busy = False
        """Whether a drain runs, or commands are given: changes wait until that has ended."""
        self._closed = False
        self._not_before = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = float("inf")

    def apply_change(self, change: Change | None, *, flow: Flow | None = None) -> None:
        """Run `change`, if it is one, and drain; inside a drain, do so once that has ended."""
        self._changes.append((change, flow))
        if self.busy:
            return
        self.busy = True
        try:
            while self._changes:
                self._guarded(*self._changes.popleft())
        finally:
            self.busy = False
        self._arm()

    def receive_bytes(self, data: bytes, *, flow: Flow) -> None:
        """Give received bytes to the machine and drain it."""
        self.apply_change(partial(self.machine.receive, data, flow=flow), flow=flow)

    def close(self) -> None:
        """Cancel the timer for good."""
        self._closed = True
        self._disarm()

    def _guarded(self, change: Change | None, flow: Flow | None) -> None:
        machine = self.machine
        try:
            if change is not None:
                self.now = self.clock()
                change(now=self.now)
            while True:
                # Taking an event may cause transmits, so the event is taken first; they are sent
                # before it is handled.
                event = machine.next_event()
                for transmit in machine.transmits():
                    self.send(transmit)
                if event is None:
                    break
                self._on_event(event)
        except Exception as exc:
            # A machine never raises for what a peer does, so this is our bug: report it through
            # `on_bug` and let the other flows go on.
            self._not_before = self.clock() + _PAUSE_AFTER_BUG
            self._on_bug(exc, flow)

    def _arm(self) -> None:
        deadline = self.machine.next_timer()
        if deadline is None or self._closed:
            return
        deadline = max(deadline, self._not_before)
        if self._timer is not None and self._deadline <= deadline:
            return
        self._disarm()
        self._deadline = deadline
        # A delay, not a time: `clock` need not be the loop's own.
        delay = max(0.0, deadline - self.clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        now = self.clock()
        deadline = self.machine.next_timer()
        if deadline is not None and deadline <= now:
            self.apply_change(self.machine.handle_timer)
        else:
            self._arm()
