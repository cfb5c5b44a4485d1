"""An event loop on virtual time: it never waits, and its clock jumps to the next timer.

    run_virtually(main())

Sockets work as ever: what has arrived is handled before the clock moves.  So hours of an account
with real sockets take a moment, as long as nothing outside of the process is waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Reports what is ready; if nothing is, virtual time has passed."""

    passed = 0.0

    def select(self, timeout=None):
        # On loopback what was sent has arrived.
        ready = super().select(0)
        if not ready and timeout:
            # A little more: a step below the resolution of `time()` would not move it, for ever.
            self.passed += timeout + 1e-9
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose `time()` starts at 1000."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return 1000.0 + self._jumping.passed


def run_virtually(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
