"""Notifies the subscribers of the dialog event package of a user's calls (RFC 4235).

Each NOTIFY has the full state; a call that has just ended is in it once, as terminated.  All
changes of one turn of the event loop make one NOTIFY.  Only watchers who may pick calls up get the
identifiers of a dialog: its Call-ID, tags and target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from softphone.call.leg import CallLeg
from softphone.call.outgoing import OutgoingLeg
from softphone.events import CallState, WatchedDialog
from softphone.sip import (
    EventHandlers,
    NotifierUsage,
    SipEvent,
    SipUri,
    SubscriptionRefreshed,
    SubscriptionTerminated,
)
from softphone.sip.event_packages import DialogInfo, print_dialog_info

MAXIMUM_WATCHERS = 64
"""The maximum number of simultaneous watchers of one user; further ones get 503."""
LONGEST_EXPIRES = 3600.0
"""The longest subscription in seconds that is granted."""

DialogView = Callable[[str, CallLeg], WatchedDialog | None]
"""Describes the dialog of a leg under an id; None if watchers are not notified of it."""
RunCommand = Callable[[Callable[[float], object]], None]
"""Gives a command to the endpoint; drops it when the far end was faster."""


@dataclass(slots=True)
class _Watcher:
    """A subscriber: whether it gets Call-ID and tags, and the version of its next document."""

    trusted: bool
    version: int = 0


def own_dialog(id_: str, leg: CallLeg) -> WatchedDialog | None:
    """Describe the dialog of a leg of our own, as our watchers see it."""
    usage = leg.usage
    if usage is None:
        return None
    peer = leg.peer
    return WatchedDialog(
        id=id_,
        state=leg.state,
        direction="initiator" if isinstance(leg, OutgoingLeg) else "recipient",
        remote_uri=str(peer.uri),
        remote_name=peer.display_name or "",
        call_id=usage.call_id,
        local_tag=usage.local.tag or "",
        remote_tag=usage.remote.tag or "",
        remote_target=str(usage.remote_target),
    )


class DialogNotifier:
    """Notifies the watchers of one user, `entity`, of the calls that are tracked."""

    def __init__(
        self,
        entity: str,
        run_command: RunCommand,
        handlers: EventHandlers,
        view: DialogView = own_dialog,
    ) -> None:
        self._entity = entity
        self._run_command = run_command
        self._handlers = handlers
        self._view = view
        self._watchers: dict[NotifierUsage, _Watcher] = {}
        self._legs: dict[CallLeg, str] = {}
        self._ended: list[WatchedDialog] = []
        self._count = 0
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._watchers)

    # Calls

    def track_leg(self, leg: CallLeg) -> None:
        """Tell the watchers of each change of a leg's state until its end."""
        self._count += 1
        self._legs[leg] = str(self._count)
        leg.on_state = lambda: self._leg_changed(leg)
        self._leg_changed(leg)

    def _leg_changed(self, leg: CallLeg) -> None:
        if leg.state is CallState.TERMINATED:
            id_ = self._legs.pop(leg, None)
            leg.on_state = None
            ended = None if id_ is None or not self._watchers else self._view(id_, leg)
            if ended is not None:
                self._ended.append(ended)
        if self._watchers and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._notify_all)

    def _dialogs(self) -> list[WatchedDialog]:
        found = (self._view(id_, leg) for leg, id_ in self._legs.items())
        return [dialog for dialog in found if dialog is not None]

    # Watchers

    def subscribe(self, subscription: NotifierUsage, *, trusted: bool) -> None:
        """Accept a subscription, or refuse it; `trusted` watchers get dialog identifiers."""
        if len(self._watchers) >= MAXIMUM_WATCHERS:
            self._run_command(lambda now: subscription.reject(503, now=now))
            return
        self._watchers[subscription] = _Watcher(trusted)
        self._handlers.set_handler(subscription, self)
        self._run_command(lambda now: subscription.accept(now=now, expires=LONGEST_EXPIRES))
        self._notify(subscription, self._dialogs())

    def handle_event(self, event: SipEvent) -> None:
        """Answer a refresh with the full state; forget a watcher that has left."""
        match event:
            case SubscriptionRefreshed() if event.subscription in self._watchers:
                self._notify(event.subscription, self._dialogs())
            case SubscriptionTerminated() if isinstance(event.subscription, NotifierUsage):
                self._watchers.pop(event.subscription, None)

    def is_watched_by(self, user: str) -> bool:
        """Whether a user of that name watches, by the From of its SUBSCRIBE."""
        uris = (one.request.from_.uri for one in self._watchers if not one.terminated)
        return any(isinstance(uri, SipUri) and uri.user == user for uri in uris)

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in self._watchers:
            if not subscription.terminated:
                self._run_command(partial(_deactivate, subscription))
        self._watchers.clear()

    def _notify_all(self) -> None:
        self._scheduled = False
        dialogs = [*self._ended, *self._dialogs()]
        self._ended.clear()
        for subscription in tuple(self._watchers):
            self._notify(subscription, dialogs)

    def _notify(self, subscription: NotifierUsage, dialogs: list[WatchedDialog]) -> None:
        watcher = self._watchers[subscription]
        if subscription.terminated:
            del self._watchers[subscription]
            return
        shown = dialogs if watcher.trusted else map(_anonymous, dialogs)
        info = DialogInfo(self._entity, watcher.version, True, tuple(shown))
        watcher.version += 1
        body = print_dialog_info(info)
        self._run_command(lambda now: subscription.notify(body, now=now))


def _deactivate(subscription: NotifierUsage, now: float) -> None:
    subscription.terminate(now=now, reason="deactivated")


def _anonymous(dialog: WatchedDialog) -> WatchedDialog:
    """Return the dialog without its identifiers: Call-ID, tags and target."""
    return replace(dialog, call_id="", local_tag="", remote_tag="", remote_target="")
