"""Service control carried out: the device starts anew, or compares versions, between calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from softphone.call.leg import CallLeg
from softphone.events import ServiceRequested

OnService = Callable[[ServiceRequested], Awaitable[bool]]
"""Is asked first, once no call is up; True: it has seen to everything."""

CHECK_VERSION = "check-version"


@dataclass(frozen=True, slots=True)
class ServiceControlHandler:
    """`legs` are the calls there are; `start_anew` takes the binding away and registers again.

    One request is carried out after the other, and of those of one action that wait the newest.
    """

    legs: Mapping[CallLeg, None]
    start_anew: Callable[[], Awaitable[None]]
    on_service: OnService | None
    _pending: dict[str, ServiceRequested] = field(default_factory=dict, init=False)
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def wait_until_idle(self) -> None:
        """Wait until there is no call."""
        while over := {leg.ended for leg in self.legs}:
            await asyncio.wait(over)

    async def carry_out(self, request: ServiceRequested) -> None:
        """Do what the server wants, after the last call.

        Versions are compared by whoever keeps the configuration: without anybody who does,
        nothing follows from them.
        """
        waits = request.action in self._pending
        self._pending[request.action] = request
        if waits:
            return
        async with self._busy:
            try:
                await self.wait_until_idle()
            finally:
                request = self._pending.pop(request.action)
            await self._carry_out_now(request)

    async def _carry_out_now(self, request: ServiceRequested) -> None:
        if self.on_service is not None and await self.on_service(request):
            return
        if request.action != CHECK_VERSION:
            await self.start_anew()
