"""Carries out service control between calls: a restart, or a comparison of versions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from softphone.call.leg import CallLeg
from softphone.events import ServiceRequested

OnService = Callable[[ServiceRequested], Awaitable[bool]]
"""Called first, once no call is up; returns True if it has handled the request."""

CHECK_VERSION = "check-version"


@dataclass(frozen=True, slots=True)
class ServiceControlHandler:
    """Carries out the server's requests one at a time.

    `legs` are the calls that have not ended; `start_anew` removes the binding and registers again.
    Of several waiting requests for one action only the newest is carried out.
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
        """Carry out a request once no call is up.

        `on_service` compares versions, since it keeps the configuration; without it a
        `CHECK_VERSION` request has no effect.
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
