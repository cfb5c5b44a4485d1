"""Limits the TLS handshakes that run at once, for each source and in all, in fair order."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from softphone.net.limits import TransportLimits


class HandshakeSlots:
    """At most `count` handshakes at once, of them `per_source` for one source.

    Free slots go to the sources round robin, and within a source in order of arrival: however many
    one source has waiting, another source waits for one handshake of each.  A slow far end keeps
    its slot for `patience` seconds only, so that a few of them do not block their own source; the
    number of unfinished handshakes is bounded by the connections that the listener admits.
    """

    def __init__(self, count: int, per_source: int, *, patience: float = 0.5) -> None:
        self._free = count
        self._per_source = per_source
        self._patience = patience
        self._at_work: Counter[str] = Counter()
        # Waiters by source, with whether the source is trusted; dicts for order and removal.
        self._waiting: dict[str, dict[asyncio.Future[None], bool]] = {}
        # Waiting sources that are below their own limit, in the order of their turns.
        self._turns: OrderedDict[str, None] = OrderedDict()

    @classmethod
    def within(cls, limits: TransportLimits) -> Self:
        """Make slots with the given limits."""
        return cls(
            limits.handshakes, limits.handshakes_per_source, patience=limits.handshake_patience
        )

    @property
    def at_work(self) -> int:
        """The number of slots taken."""
        return self._at_work.total()

    @asynccontextmanager
    async def hold_slot(
        self, source: str, *, trusted: bool = False, deadline: float | None = None
    ) -> AsyncIterator[None]:
        """Hold a slot, for `patience` seconds at most.

        `trusted` lifts the source's own limit.  Raises TimeoutError when there is no slot by
        `deadline`, of the loop's clock.
        """
        await self._acquire(source, trusted, deadline)
        held = [True]

        def release() -> None:
            if held:
                held.clear()
                self._release(source)

        timer = asyncio.get_running_loop().call_later(self._patience, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    async def _acquire(self, source: str, trusted: bool, deadline: float | None) -> None:
        queue = self._waiting.setdefault(source, {})
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue[ticket] = trusted
        self._join_turns(source)
        self._grant_slots()
        try:
            async with asyncio.timeout_at(deadline):
                await ticket
        except BaseException:
            if ticket.done() and not ticket.cancelled():
                self._release(source)  # granted as the wait ended
            else:
                self._drop_ticket(source, ticket)
            raise

    def _drop_ticket(self, source: str, ticket: asyncio.Future[None]) -> None:
        queue = self._waiting.get(source, {})
        queue.pop(ticket, None)
        if not queue:
            self._waiting.pop(source, None)
            self._turns.pop(source, None)

    def _join_turns(self, source: str) -> None:
        queue = self._waiting.get(source)
        if queue and (self._at_work[source] < self._per_source or next(iter(queue.values()))):
            self._turns.setdefault(source)

    def _grant_slots(self) -> None:
        while self._free > 0 and self._turns:
            source, _ = self._turns.popitem(last=False)
            queue = self._waiting[source]
            ticket = next(iter(queue))
            del queue[ticket]
            if not queue:
                del self._waiting[source]
            if not ticket.done():  # canceled, and its task has not run since
                self._free -= 1
                self._at_work[source] += 1
                ticket.set_result(None)
            self._join_turns(source)

    def _release(self, source: str) -> None:
        self._free += 1
        self._at_work[source] -= 1
        if not self._at_work[source]:
            del self._at_work[source]
        self._join_turns(source)
        self._grant_slots()
