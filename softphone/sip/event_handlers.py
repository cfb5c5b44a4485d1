"""Dispatches the events of a usage to its handler, such as the leg of a call."""

from __future__ import annotations

from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

from softphone.sip.endpoint import SipEvent
from softphone.sip.events import (
    AckReceived,
    InDialogRequestReceived,
    InviteAnswered,
    InviteCanceled,
    InviteEnded,
    InviteReceived,
    InviteRejected,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    NotifyReceived,
    PrackReceived,
    ProvisionalReceived,
    ReferReceived,
    SessionRefreshed,
    SubscribeReceived,
    SubscriptionAccepted,
    SubscriptionRefreshed,
    SubscriptionTerminated,
)
from softphone.sip.invite import InviteUsage
from softphone.sip.subscription import NotifierUsage, SubscriberUsage

AnyUsage: TypeAlias = InviteUsage | SubscriberUsage | NotifierUsage


class EventHandler(Protocol):
    """Handles the events of one usage or of several."""

    def handle_event(self, event: SipEvent) -> None:
        """Handle one event of a usage that this handler was set for."""


class EventHandlers:
    """The handlers of the usages of one endpoint.

    Holds handlers weakly: the transaction layer keeps usages for half a minute after their end, but
    a call and its keys must be freed when the call ends.
    """

    def __init__(self) -> None:
        self._handlers: WeakValueDictionary[AnyUsage, EventHandler] = WeakValueDictionary()

    def set_handler(self, usage: AnyUsage, handler: EventHandler) -> None:
        """Pass the events of `usage` to `handler`; the caller must keep a reference to it."""
        self._handlers[usage] = handler

    def handler_of(self, usage: AnyUsage | None) -> EventHandler | None:
        """Return the handler of a usage, None without one."""
        return None if usage is None else self._handlers.get(usage)

    def handle_event(self, event: SipEvent) -> bool:
        """Pass an event to the handler of its usage; return False if there is none."""
        usage = _usage_of(event)
        handler = None if usage is None else self._handlers.get(usage)
        if handler is not None:
            handler.handle_event(event)
        if isinstance(event, SubscriptionTerminated):
            # A call outlives its subscriptions, and the far end may create any number of them.
            self._handlers.pop(event.subscription, None)
        return handler is not None


def _usage_of(event: SipEvent) -> AnyUsage | None:
    """Return the usage of an event; for a REFER or SUBSCRIBE within a call that of the call."""
    match event:
        case (
            InviteReceived()
            | ProvisionalReceived()
            | InviteAnswered()
            | InviteRejected()
            | InviteEnded()
            | InviteCanceled()
            | AckReceived()
            | PrackReceived()
            | ModificationReceived()
            | ModificationAnswered()
            | ModificationFailed()
            | InDialogRequestReceived()
            | SessionRefreshed()
        ):
            return event.usage
        case ReferReceived() | SubscribeReceived():
            return event.usage or event.subscription
        case (
            SubscriptionAccepted()
            | SubscriptionRefreshed()
            | SubscriptionTerminated()
            | NotifyReceived()
        ):
            return event.subscription
        case _:
            return None
