"""Background tasks of an account or a device, bound to its lifetime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from softphone.errors import SoftphoneError

logger = logging.getLogger("softphone.account")


class BackgroundTasks:
    """Tasks that end with their owner; `name` identifies the owner in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task; an exception in it is logged and affects nothing else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, SoftphoneError):
            logger.info("%s: %s", self._name, error)
        elif error is not None:
            logger.error("%s: a task has failed", self._name, exc_info=error)

    async def close(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
