"""The tasks in which calls are attended to: what happens in one ends no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from softphone.account import Account
from softphone.call import IncomingCall

logger = logging.getLogger("softphone.agents")


class CallTasks:
    """One task a call.  `who` is whose calls they are, for the log."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def serve(
        self, account: Account, attend: Callable[[IncomingCall], Coroutine[Any, Any, None]]
    ) -> None:
        """Attend to each call that comes in, until canceled or the account is closed.

        All tasks are canceled when this is.
        """
        try:
            async for incoming in account.incoming():
                self.start(attend(incoming))
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, attending: Coroutine[Any, Any, None]) -> None:
        """Attend to one more call."""
        task = asyncio.ensure_future(attending)
        self._tasks.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        """Log an unexpected exception: it ends its own call, and no other."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a call of %s failed", self._who, exc_info=error)
