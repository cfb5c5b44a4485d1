"""Transfers by REFER within a call: one that we ask for, and one that the far end asks of us.

RFC 3515, RFC 5589.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from softphone.call.leg.event_queue import EventQueue
from softphone.call.leg.modification import make_result, resolve_result
from softphone.diagnostics.refusal_text import explain_transfer
from softphone.errors import CallError
from softphone.events import CallEvent, TransferProgressed
from softphone.sip import NotifierUsage, NotifyReceived, SubscriberUsage, SubscriptionTerminated


@dataclass(frozen=True, slots=True)
class PendingReferral:
    """A transfer that the far end asks of us, not answered yet; `transfers` led here, this too."""

    subscription: NotifierUsage
    refer_to: str
    replaces: str | None
    transfers: int = 1


class Transfer:
    """A transfer that the far end was asked for; `subscription` brings what it reports of it."""

    def __init__(self, subscription: SubscriberUsage, event_queue: EventQueue[CallEvent]) -> None:
        self._subscription = subscription
        self._event_queue = event_queue
        self._result: asyncio.Future[None] | None = make_result()

    @property
    def under_way(self) -> bool:
        """Whether somebody waits for its end."""
        return self._result is not None and not self._result.done()

    async def wait(self) -> None:
        """Wait for the end.  Raises CallError with the status of the refusal."""
        result = self._result
        try:
            if result is not None:
                await result
        finally:
            # An error of it would hold this frame, and this frame it, and the call with it.
            self._result = None
            del result

    def note_progress(self, event: NotifyReceived[SubscriberUsage]) -> None:
        """The far end reports a response to its INVITE."""
        if event.subscription is not self._subscription or not event.status:
            return
        final = event.status >= 200
        self._event_queue.put_event(TransferProgressed(event.status, event.reason, final))
        if final:
            self._report(event.status, event.reason)

    def note_end(self, event: SubscriptionTerminated[SubscriberUsage | NotifierUsage]) -> None:
        """It reports no more, or has refused to."""
        if event.subscription is self._subscription:
            self._report(event.status or 500, event.reason, answered=event.answered)

    def _report(self, status: int, reason: str, *, answered: bool = True) -> None:
        error = None
        if status >= 300:
            message = explain_transfer(status, reason, answered=answered)
            error = CallError(message, status=status, reason=reason)
        self.resolve(error)

    def resolve(self, error: CallError | None) -> None:
        """Tell whoever waits; None is success."""
        if self._result is not None:
            resolve_result(self._result, error)
