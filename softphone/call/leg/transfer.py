"""Transfers by REFER within a call: those we request, and those the far end requests.

RFC 3515, RFC 5589.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from softphone.call.leg.event_queue import EventQueue
from softphone.call.leg.modification import make_result, resolve_result
from softphone.diagnostics.refusal_text import explain_transfer
from softphone.errors import CallError, CallFailed
from softphone.events import CallEvent, TransferProgressed
from softphone.sip import NotifierUsage, NotifyReceived, SubscriberUsage, SubscriptionTerminated


@dataclass(frozen=True, slots=True)
class PendingReferral:
    """A transfer that the far end requests and that is not answered yet.

    `transfers` counts it and the consecutive ones before it.
    """

    subscription: NotifierUsage
    refer_to: str
    replaces: str | None
    transfers: int = 1


class Transfer:
    """A transfer that we requested; `subscription` receives the far end's reports."""

    def __init__(self, subscription: SubscriberUsage, event_queue: EventQueue[CallEvent]) -> None:
        self._subscription = subscription
        self._event_queue = event_queue
        self._progress: tuple[int, str] | None = None
        self._result: asyncio.Future[None] | None = make_result()

    @property
    def under_way(self) -> bool:
        """Whether `wait` has no outcome yet."""
        return self._result is not None and not self._result.done()

    async def wait(self) -> None:
        """Wait for the outcome.  Raises CallError with the status of a refusal."""
        result = self._result
        try:
            if result is not None:
                await result
        finally:
            # Breaks a reference cycle: an error in the future would hold this frame, and this
            # frame the future, and both the call.
            self._result = None
            del result

    def note_progress(self, event: NotifyReceived[SubscriberUsage]) -> None:
        """Handle a NOTIFY with the response to the far end's INVITE; a final one ends the wait."""
        if event.subscription is not self._subscription or not event.status:
            return
        final = event.status >= 200
        self._event_queue.put_event(TransferProgressed(event.status, event.reason, final))
        if final:
            self._report(event.status, event.reason)
        elif event.status > 100:
            self._progress = event.status, event.reason

    def note_end(self, event: SubscriptionTerminated[SubscriberUsage | NotifierUsage]) -> None:
        """Treat the end of the subscription, or its refusal, as the outcome."""
        if event.subscription is self._subscription:
            self._report(event.status or 500, event.reason, answered=event.answered)

    def note_hang_up(self) -> None:
        """Treat the far end's BYE before its last NOTIFY as the outcome.

        A transferee, or a server that clears our call as soon as it has taken the REFER, may hang
        up without a report (RFC 5589 section 6.1): that is success, with or without the 100 that
        every REFER gets.  One that has reported ringing and then no answer has reached nobody.
        """
        if self._progress is None:
            self.resolve(None)
            return
        status, reason = self._progress
        last = f"it hung up after {status} {reason}".rstrip()
        message = explain_transfer(status, last, answered=False)
        self.resolve(CallFailed(message, status=status, reason=reason))

    def _report(self, status: int, reason: str, *, answered: bool = True) -> None:
        error = None
        if status >= 300:
            message = explain_transfer(status, reason, answered=answered)
            error = CallError(message, status=status, reason=reason)
        self.resolve(error)

    def resolve(self, error: CallError | None) -> None:
        """Set the outcome that `wait` returns; None is success."""
        if self._result is not None:
            resolve_result(self._result, error)
