"""Digits that somebody else wants to hear of: KPML subscriptions in a call's dialog (RFC 4730).

CUCM subscribes while a call of ours still collects digits.  Each digit that the application sends
is reported to whoever waits for it, whatever else it is sent by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.sip import Request, ServerSubscription
from softphone.sip.kpml import KPML, KpmlWatch

__all__ = ["DigitWatches", "check_digits"]

MAXIMUM = 4
"""Subscriptions of one call at once."""


def check_digits(digits: str, *, pauses: str = "") -> None:
    """Raise ConfigurationError for characters that are neither digits nor pauses."""
    wrong = sorted({one for one in digits if one.upper() not in "0123456789*#ABCD" + pauses})
    if wrong:
        raise ConfigurationError(f"{''.join(wrong)!r} cannot be sent as digits; use 0-9 * # A-D")


class DigitWatches:
    """The KPML subscriptions of one call; `change` opens a drain of the endpoint."""

    def __init__(self, change: Callable[[], AbstractContextManager[float]]) -> None:
        self._change = change
        self._watches: dict[ServerSubscription, KpmlWatch] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def subscribe(self, subscription: ServerSubscription, request: Request) -> bool:
        """Take a subscription in, or refuse it (489, 400, 486); whether it was taken."""
        self._forget_ended()
        event = request.event
        digits = event is not None and event.package.lower() == KPML
        watch = KpmlWatch.parse(request.body) if digits else None
        with self._command() as now:
            if watch is None or len(self._watches) >= MAXIMUM:
                status = 486 if watch is not None else 400 if digits else 489
                subscription.reject(status, now=now)
                return False
            subscription.accept(now=now)
            subscription.notify(None, now=now)
            self._watches[subscription] = watch
            return True
        return False

    def refresh(self, subscription: ServerSubscription, request: Request) -> None:
        """It was refreshed, perhaps for other digits."""
        watch = KpmlWatch.parse(request.body) if request.body else None
        if watch is not None and subscription in self._watches:
            self._watches[subscription] = watch
        with self._command() as now:
            subscription.notify(None, now=now)

    def press(self, digit: str) -> bool:
        """A digit was pressed; whether anybody listens."""
        self._forget_ended()
        for subscription, watch in tuple(self._watches.items()):
            report = watch.press(digit)
            if report is None:
                continue
            with self._command() as now:
                if watch.over:
                    subscription.terminate(now=now, body=report)
                else:
                    subscription.notify(report, now=now)
        listening = bool(self._watches)
        self._forget_ended()
        return listening

    def close(self) -> None:
        """The call is over: everybody is told."""
        for subscription, watch in self._watches.items():
            if not subscription.over:
                with self._command() as now:
                    subscription.terminate(now=now, body=watch.end())
        self._watches.clear()

    def _forget_ended(self) -> None:
        self._watches = {s: w for s, w in self._watches.items() if not s.over}

    @contextmanager
    def _command(self) -> Iterator[float]:
        """A drain; a subscriber that has left in the same one wants nothing any more."""
        try:
            with self._change() as now:
                yield now
        except LocalProtocolError:
            return
