"""The outbox: messages not acknowledged by the server, so that a reconnect loses none.

XEP-0198 counts stanzas within one session; the outbox keeps them beyond it, by their ids.  A
message that is sent again in a new session keeps its id, so the receiver can detect a duplicate.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import Generic, TypeVar

from softphone.errors import MessageUndelivered, SoftphoneError

S = TypeVar("S")
MOST_WAITING = 1000


class Outbox(Generic[S]):
    """Messages that the server has not acknowledged, oldest first; `most` at a time."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: OrderedDict[str, tuple[S, asyncio.Future[None]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add_stanza(self, key: str, stanza: S) -> asyncio.Future[None]:
        """Remember a stanza; return a future that is done when the server acknowledges it.

        Raises MessageUndelivered when too many wait already.
        """
        if len(self._waiting) >= self._most:
            raise MessageUndelivered(
                f"{self._most} messages wait for the chat server already: it does not take them"
            )
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = stanza, future
        return future

    def acknowledged(self, key: str) -> None:
        """Record that the server has acknowledged the stanza with the id `key`."""
        _, future = self._waiting.pop(key, (None, None))
        if future is not None and not future.done():
            future.set_result(None)

    def failed(self, key: str, error: SoftphoneError) -> bool:
        """Fail the future of a stanza with `error`; return whether it was still waiting."""
        _, future = self._waiting.pop(key, (None, None))
        if future is not None and not future.done():
            future.set_exception(error)
        return future is not None

    def forget_stanza(self, key: str) -> None:
        """Remove a stanza whose sender has stopped waiting; it is not sent again."""
        self._waiting.pop(key, None)

    def unacknowledged_stanzas(self, known: Collection[str] = ()) -> list[S]:
        """Return the stanzas to send (again), except those with an id in `known`.

        `known` are the ids that a resumed session sends again itself (XEP-0198).
        """
        return [stanza for key, (stanza, _) in self._waiting.items() if key not in known]

    def fail_all(self, error: SoftphoneError) -> None:
        """Fail all futures with `error`; nothing is sent any more."""
        for key in tuple(self._waiting):
            self.failed(key, error)
