"""Which object handles the events of a usage: a call's leg, or what waits for a subscription."""

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
        """Take one event of a usage of its own."""


class EventHandlers:
    """The handlers of the usages of one endpoint.

    Handlers are held weakly: the transaction layer keeps usages for half a minute after their end,
    and what a call has held, its keys among that, goes with the call.
    """

    def __init__(self) -> None:
        self._handlers: WeakValueDictionary[AnyUsage, EventHandler] = WeakValueDictionary()

    def set_handler(self, usage: AnyUsage, handler: EventHandler) -> None:
        """Have the events of `usage` handled by `handler`, as long as somebody holds that."""
        self._handlers[usage] = handler

    def handler_of(self, usage: AnyUsage | None) -> EventHandler | None:
        """The handler of a usage, if it has one."""
        return None if usage is None else self._handlers.get(usage)

    def handle_event(self, event: SipEvent) -> bool:
        """Give an event to the handler of its usage; False where it has none."""
        usage = _usage_of(event)
        handler = None if usage is None else self._handlers.get(usage)
        if handler is not None:
            handler.handle_event(event)
        if isinstance(event, SubscriptionTerminated):
            # A call outlives the subscriptions in it, of which its far end may make any number.
            self._handlers.pop(event.subscription, None)
        return handler is not None


def _usage_of(event: SipEvent) -> AnyUsage | None:
    """The usage that an event is about; that of the call for a REFER or SUBSCRIBE within one."""
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
