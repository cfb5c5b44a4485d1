"""Watches on other users' calls and presence: SUBSCRIBE (RFC 6665, RFC 4235, RFC 3856).

    async with account.watch("600") as watch:
        async for event in watch.events():
            ...

The subscription refreshes itself; when it ends, another one is made, unless the notifier has said
that this is pointless.  NOTIFYs count only within the subscription's own dialog, from where it was
sent or from the account's own server.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Self

from softphone.account.context import AccountContext
from softphone.account.first_hop import FirstHopLocator
from softphone.account.leg_setup import make_contact, make_subscribe_request
from softphone.backoff import ExponentialBackoff
from softphone.call import EventQueue
from softphone.errors import CertificateError, ConfigurationError, TransportError
from softphone.events import (
    CallState,
    DialogChanged,
    Presence,
    PresenceChanged,
    WatchChanged,
    WatchedDialog,
    WatchEvent,
)
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow
from softphone.sip import (
    MalformedMessage,
    NotifyReceived,
    SipEvent,
    SipUri,
    SubscriberUsage,
    SubscriptionTerminated,
)
from softphone.sip.event_packages import (
    DIALOG,
    DIALOG_INFO,
    PIDF,
    PRESENCE,
    DialogInfoTable,
    parse_dialog_info,
    parse_pidf,
)
from softphone.sip.message import Replaces

logger = logging.getLogger("softphone.account")

BACKOFF = ExponentialBackoff(first=2.0, longest=300.0)
LONGEST_RETRY = 86400.0
"""The longest wait in seconds that a notifier can ask for."""
SETTLED = 60.0
"""Seconds after which a subscription counts as a success when it ends."""
RETRIED = frozenset({408, 480, 481, 491, 500, 502, 503, 504})
"""The failures after which a subscription is tried again; others will not change."""

AccountParts = Callable[[], tuple[AccountContext, FirstHopLocator]]
"""Returns the account's current context and locator; a new configuration replaces them."""


@dataclass(frozen=True, slots=True)
class _WatchEnd:
    """Why a subscription has ended, or could not be made."""

    status: int
    reason: str
    retry_after: float | None = None
    final: bool = False


class StateWatch(ABC):
    """A subscription to one user's state, which renews itself; an async context.

    Leaving the context ends the subscription.
    """

    _package: str
    _media_type: str

    def __init__(self, target: SipUri, parts: AccountParts) -> None:
        """Make the watch; applications use `Account.watch` and `Account.watch_presence`.

        :meta private:
        """
        self._target = target
        self._parts = parts
        self._events: EventQueue[WatchEvent] = EventQueue()
        self._usage: SubscriberUsage | None = None
        self._end: asyncio.Future[_WatchEnd] | None = None
        self._task: asyncio.Task[None] | None = None
        self._active = False
        self._complete = asyncio.Event()
        self._refreshes = TokenBucket(rate=1 / 30, burst=3)

    @abstractmethod
    def _restart(self) -> None:
        """Expect the first document of a new subscription."""

    @abstractmethod
    def _apply(self, data: bytes) -> bool:
        """Apply a document and report what has changed; return whether the state is complete.

        Raises MalformedMessage.
        """

    @property
    def user(self) -> str:
        """The URI of the user who is watched."""
        return str(self._target)

    @property
    def active(self) -> bool:
        """Whether the user's calls are known: the subscription is active."""
        return self._active

    def events(self) -> AsyncIterator[WatchEvent]:
        """Iterate over the events from the start, until the watch has ended."""
        return self._events.events()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to subscribe.

        :meta private:
        """
        if self._task is None:
            context, _ = self._parts()
            self._task = context.tasks.spawn(self._stay_subscribed())

    def close(self) -> None:
        """End the subscription, without waiting for the last NOTIFY."""
        if self._task is not None:
            self._task.cancel()
        self._active = False
        usage, self._usage = self._usage, None
        if usage is not None and not usage.terminated:
            context, _ = self._parts()
            context.run_command(lambda now: usage.unsubscribe(now=now))
        self._events.close()

    def refresh(self) -> None:
        """Ask for the full state now: the server may have lost the subscription.

        :meta private:
        """
        usage = self._usage
        if usage is None or usage.dialog is None or usage.terminated:
            return
        if self._refreshes.admit(now=asyncio.get_running_loop().time()):
            context, _ = self._parts()
            to, secure = usage.dialog.to, usage.dialog.secure
            contact = make_contact(context, to, secure=secure) if isinstance(to, Flow) else None
            context.run_command(lambda now: usage.refresh(now=now, contact=contact))

    # The subscription

    async def _stay_subscribed(self) -> None:
        """Subscribe, and again after each end, until another attempt is pointless."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            end = await self._subscribe()
            failures = 0 if loop.time() - began >= SETTLED else failures + 1
            delay = self._delay(end, failures)
            self._active = False
            self._events.put_event(
                WatchChanged(self.user, False, end.status, end.reason, retry_in=delay)
            )
            if delay is None:
                self._complete.set()
                self._events.close()
                return
            await asyncio.sleep(delay)

    async def _subscribe(self) -> _WatchEnd:
        """Subscribe once, and wait for the end."""
        context, locator = self._parts()
        try:
            hop = await locator.first_hop(self._target)
        except CertificateError as error:
            return _WatchEnd(0, str(error), final=True)
        except TransportError as error:
            return _WatchEnd(503, str(error))
        accept = (self._media_type,)
        request = make_subscribe_request(context, self._target, hop, self._package, accept)
        end: asyncio.Future[_WatchEnd] = asyncio.get_running_loop().create_future()
        self._end = end
        self._restart()
        with context.change() as now:
            self._usage = context.machine.endpoint.subscribe(request, now=now)
            context.handlers.set_handler(self._usage, self)
        return await end

    def _delay(self, end: _WatchEnd, failures: int) -> float | None:
        """Return the seconds until the next attempt; None where another attempt is pointless."""
        if end.final:
            return None
        if end.status >= 300 and end.status not in RETRIED:
            return None
        context, _ = self._parts()
        own = BACKOFF.jittered_delay(failures, entropy=context.dependencies.entropy)
        asked = 0.0 if end.retry_after is None else min(end.retry_after, LONGEST_RETRY)
        return max(own, asked)

    # Events of the subscription (EventHandler)

    def handle_event(self, event: SipEvent) -> None:
        """Handle one event of the subscription.

        :meta private:
        """
        match event:
            case NotifyReceived() if event.subscription is self._usage:
                self._notified(event)
            case SubscriptionTerminated() if event.subscription is self._usage:
                self._usage = None
                if self._end is not None and not self._end.done():
                    self._end.set_result(
                        _WatchEnd(event.status, event.reason, event.retry_after, event.final)
                    )

    def _notified(self, event: NotifyReceived[SubscriberUsage]) -> None:
        state = event.request.subscription_state
        if state is not None and state.state != "active":
            return  # pending has no state of calls, and that of the last NOTIFY is out of date
        if not self._active:
            self._active = True
            self._events.put_event(WatchChanged(self.user, True))
        body = event.body
        if body is None or body.media_type != self._media_type:
            return
        try:
            complete = self._apply(body.data)
        except MalformedMessage as error:
            logger.info("%s: a state cannot be read: %s", self.user, error.reason)
            return
        if complete:
            self._complete.set()
        else:
            self.refresh()


class Watch(StateWatch):
    """A watch on the calls of one user; an async context.

    Leaving the context ends the subscription.
    """

    _package, _media_type = DIALOG, DIALOG_INFO

    def __init__(self, target: SipUri, parts: AccountParts) -> None:
        """`Account.watch` makes watches.

        :meta private:
        """
        super().__init__(target, parts)
        self._table = DialogInfoTable()

    @property
    def dialogs(self) -> tuple[WatchedDialog, ...]:
        """The user's calls; () while the watch is not active."""
        return self._table.dialogs if self._active else ()

    async def ringing(self, *, timeout: float = 5.0) -> WatchedDialog | None:  # noqa: ASYNC109
        """Return a call that rings at the user, once the first full state is here; None without.

        None, too, when no state comes within `timeout` seconds, or the watch is refused.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._complete.wait()
        except TimeoutError:
            return None
        return next((dialog for dialog in self.dialogs if rings(dialog)), None)

    def _restart(self) -> None:
        self._table.restart()

    def _apply(self, data: bytes) -> bool:
        for dialog in self._table.apply(parse_dialog_info(data)):
            self._events.put_event(DialogChanged(self.user, dialog))
        return not self._table.incomplete


class PresenceWatch(StateWatch):
    """A watch on the presence of one user; an async context.

    Leaving the context ends the subscription.
    """

    _package, _media_type = PRESENCE, PIDF

    def __init__(self, target: SipUri, parts: AccountParts) -> None:
        """`Account.watch_presence` makes watches.

        :meta private:
        """
        super().__init__(target, parts)
        self._presence: Presence | None = None

    @property
    def presence(self) -> Presence | None:
        """The user's presence; None while it is not known."""
        return self._presence if self._active else None

    def _restart(self) -> None:
        """Keep the presence: it is reported again only where it is another one."""

    def _apply(self, data: bytes) -> bool:
        presence = parse_pidf(data)
        if presence != self._presence:
            self._presence = presence
            self._events.put_event(PresenceChanged(self.user, presence))
        return True


def rings(dialog: WatchedDialog) -> bool:
    """Whether the watched user is being called and has not answered."""
    ringing = (CallState.TRYING, CallState.PROCEEDING, CallState.EARLY)
    return dialog.state in ringing and dialog.direction != "initiator"


def replacement(dialog: WatchedDialog) -> str | None:
    """Return the Replaces value that picks up a ringing call; None without dialog identifiers.

    The INVITE goes to the call's far end, whose own tag is the to-tag (RFC 3891 section 3); that
    end replaces the call only while it is early.
    """
    named = (dialog.call_id, dialog.remote_tag, dialog.local_tag)
    if not rings(dialog) or not all(named) or not dialog.remote_target:
        return None
    value = Replaces(*named, early_only=True)
    try:
        faithful = Replaces.parse(str(value)) == value
    except MalformedMessage:
        faithful = False
    return str(value) if faithful else None


def pickup_target(
    context: AccountContext, user: SipUri, dialog: WatchedDialog | None
) -> tuple[str, str | None]:
    """Return the target that picks up a call ringing at `user`, and the Replaces value or None.

    Raises ConfigurationError where the server does not identify the dialog and the account has no
    feature code.
    """
    value = None if dialog is None else replacement(dialog)
    if dialog is not None and value is not None:
        return dialog.remote_target, value
    code = context.config.pickup_code(user.user or "")
    if code is None:
        raise ConfigurationError(
            f"pickup: the server tells too little of the calls of {user}; give the account its "
            'feature code, such as pickup = "*8{user}"'
        )
    return code, None
