"""Shares one task among all callers that want the same work at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True)
class _SharedTask(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class SharedTasks(Generic[K, T]):
    """Running tasks by key; a task is canceled when its last waiting caller is."""

    def __init__(self) -> None:
        self._under_way: dict[K, _SharedTask[T]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result or exception of the task for `key`; `work()` starts one if none is running."""
        shared = self._under_way.get(key)
        if shared is None:
            task = asyncio.get_running_loop().create_task(work())
            shared = self._under_way[key] = _SharedTask(task)
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                shared.task.cancel()
