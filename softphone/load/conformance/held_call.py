"""Keeps a call up while the cases are sent, to see whether they affect other calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

from softphone.call import Call
from softphone.config import AccountConfig
from softphone.events import CallState
from softphone.phone import Phone

SILENT_AFTER = 2.0
"""Seconds without a packet after which media counts as interrupted."""


class HeldCall:
    """A call to `target` as an async context, which registers, dials, and hangs up at the end.

    The far end must send media: an echo, an announcement.  `clock` gives monotonic seconds.
    Entering raises what `Phone.register` and `OutgoingCall.answered` do.
    """

    def __init__(
        self,
        config: AccountConfig,
        target: str,
        *,
        clock: Callable[[], float],
        answer_timeout: float = 32.0,
    ) -> None:
        self._config = config
        self._target = target
        self._clock = clock
        self._answer_timeout = answer_timeout
        self._stack = AsyncExitStack()
        self._call: Call | None = None
        self._packets = 0
        self._heard_at = 0.0
        self.lost = ""
        """What went wrong first, and during which case; "" while nothing has."""

    async def __aenter__(self) -> Self:
        try:
            phone = await self._stack.enter_async_context(Phone())
            account = await phone.register(self._config)
            outgoing = account.dial(self._target)
            call = await outgoing.answered(self._answer_timeout)
            self._call = await self._stack.enter_async_context(call)
        except BaseException:
            await self._stack.aclose()
            raise
        self._heard_at = self._clock()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    def check(self, case: str) -> str:
        """Return what went wrong with the call during `case`, since the last check; "" for nothing.

        The first problem is returned once, and kept in `lost`.
        """
        if self._call is None or self.lost:
            return ""
        problem = ""
        packets, now = self._call.statistics.packets_received, self._clock()
        if packets > self._packets:
            self._packets, self._heard_at = packets, now
        if self._call.state is not CallState.CONFIRMED:
            problem = "the call that was up has ended"
        elif now - self._heard_at > SILENT_AFTER:
            problem = f"no packet of the call that was up came for {SILENT_AFTER:g} s"
        if problem:
            self.lost = f"{problem}, at {case}"
        return problem

    @property
    def state_text(self) -> str:
        """The state of the call in words, for the result."""
        return self.lost or f"up to the end, {self._packets:,} packets received"
