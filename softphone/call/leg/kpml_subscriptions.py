"""KPML subscriptions in a call's dialog: reports of our digits to the far end (RFC 4730).

CUCM subscribes while it still collects digits for our call.  Each digit that the application sends
is reported to the subscribers, however else it is sent.  The newest digits without a report are
kept for a subscription that does not flush them.  Only the far end of the dialog can subscribe, to
which those digits were sent anyway: others never see them (section 3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from softphone.errors import ConfigurationError
from softphone.sans_io import OpenDrain
from softphone.sip import Body, NotifierUsage, Request
from softphone.sip.event_packages import KPML, DigitBuffer, KeyPress, KpmlSubscription

MAXIMUM = 4
"""The maximum number of simultaneous subscriptions of one call."""


def check_digits(digits: str, *, pauses: str = "") -> None:
    """Raise ConfigurationError for characters that are neither digits nor pauses."""
    wrong = sorted({one for one in digits if one.upper() not in "0123456789*#ABCD" + pauses})
    if wrong:
        raise ConfigurationError(f"{''.join(wrong)!r} cannot be sent as digits; use 0-9 * # A-D")


class TimerHandle(Protocol):
    """The return value of `call_later`: a timer of the event loop, or of virtual time."""

    def cancel(self) -> None:
        """Cancel the timer: the callback does not run."""


class KpmlSubscriptions:
    """The KPML subscriptions of one call.

    `command` opens a drain of the endpoint that drops a command to a subscriber that has left;
    `call_later` runs a callback after a number of seconds.
    """

    def __init__(
        self,
        command: OpenDrain,
        call_later: Callable[[float, Callable[[], None]], TimerHandle],
    ) -> None:
        self._command = command
        self._call_later = call_later
        self._timer: TimerHandle | None = None
        self._watches: dict[NotifierUsage, KpmlSubscription] = {}
        self._unreported = DigitBuffer()

    def __len__(self) -> int:
        return len(self._watches)

    def subscribe(self, subscription: NotifierUsage, request: Request) -> bool:
        """Accept a subscription or refuse it (489, 400, 486); return whether it was accepted."""
        self._forget_ended()
        event = request.event
        digits = event is not None and event.package.lower() == KPML
        watch = KpmlSubscription.parse(request.body) if digits else None
        taken = False
        with self._command() as now:
            if watch is None or len(self._watches) >= MAXIMUM:
                status = 486 if watch is not None else 400 if digits else 489
                subscription.reject(status, now=now)
                return False
            subscription.accept(now=now)
            subscription.notify(None, now=now)
            self._watches[subscription] = watch
            taken = True
            self._notify_reports(
                subscription, watch, watch.begin_subscription(self._unreported, now=now), now
            )
        self._set_timer()
        return taken

    def refresh(self, subscription: NotifierUsage, request: Request) -> None:
        """Handle a refresh of a subscription, perhaps with another pattern."""
        before = self._watches.get(subscription)
        asked = KpmlSubscription.parse(request.body) if request.body else None
        with self._command() as now:
            subscription.notify(None, now=now)
            if before is not None:
                watch = asked or before
                self._watches[subscription] = watch
                self._notify_reports(
                    subscription, watch, watch.begin_subscription(before.left, now=now), now
                )
        self._set_timer()

    def report_digit(self, digit: str, *, held: float = 0.0) -> bool:
        """Report a digit, `held` for that many seconds; return whether there is a subscription."""
        listening = self._each(lambda watch, now: watch.press_key(digit, held=held, now=now))
        if not listening:
            self._unreported.append_presses(KeyPress(digit.upper(), held))
        self._forget_ended()
        return listening

    def _expire(self) -> None:
        self._timer = None
        self._each(lambda watch, now: watch.expire_timer(now=now))

    def _each(self, ask: Callable[[KpmlSubscription, float], list[Body]]) -> bool:
        """Ask every subscription for reports and send them; return whether there is any."""
        self._forget_ended()
        watches = tuple(self._watches.items())
        for subscription, watch in watches:
            with self._command() as now:
                self._notify_reports(subscription, watch, ask(watch, now), now)
        self._set_timer()
        return bool(watches)

    def _notify_reports(
        self, subscription: NotifierUsage, watch: KpmlSubscription, reports: list[Body], now: float
    ) -> None:
        for report in reports:
            if watch.over and report is reports[-1]:
                subscription.terminate(now=now, body=report)
            else:
                subscription.notify(report, now=now)

    def _set_timer(self) -> None:
        """Set the timer for the earliest deadline of all subscriptions."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._forget_ended()
        due = [watch.next_timer for watch in self._watches.values() if watch.next_timer is not None]
        if due:
            with self._command() as now:
                self._timer = self._call_later(max(0.0, min(due) - now), self._expire)

    def close(self) -> None:
        """Terminate every subscription with a last report."""
        if self._timer is not None:
            self._timer.cancel()
        for subscription, watch in self._watches.items():
            if not subscription.terminated:
                with self._command() as now:
                    subscription.terminate(now=now, body=watch.end_subscription())
        self._watches.clear()

    def _forget_ended(self) -> None:
        for subscription, watch in self._watches.items():
            if subscription.terminated:
                self._unreported.append_all_of(watch.left)
        self._watches = {s: w for s, w in self._watches.items() if not s.terminated}
