"""Which handler gets which event of an endpoint, and for how long it is known."""

import gc

from softphone.sip import EventHandlers, InviteEnded, SubscribeReceived, SubscriptionTerminated
from softphone.sip.events import Cause, FlowOpened, InviteReceived, ReferReceived


class Usage:
    """Stands for a usage: events are told apart by its identity alone."""


class Handler:
    def __init__(self):
        self.events = []

    def handle_event(self, event):
        self.events.append(event)


def test_events_of_a_usage_go_to_its_handler_and_no_other():
    handlers, one, other = EventHandlers(), Handler(), Handler()
    mine, theirs = Usage(), Usage()
    handlers.set_handler(mine, one)
    handlers.set_handler(theirs, other)
    event = InviteEnded(theirs, Cause.REMOTE)
    assert handlers.handle_event(event)
    assert (one.events, other.events) == ([], [event])
    assert handlers.handler_of(mine) is one


def test_what_nobody_handles_is_said_so():
    handlers = EventHandlers()
    assert not handlers.handle_event(InviteReceived(Usage(), None, None, None, None))
    assert not handlers.handle_event(FlowOpened(None, None))
    assert handlers.handler_of(None) is None


def test_requests_for_a_subscription_within_a_call_go_to_the_calls_handler():
    handlers, leg, notified = EventHandlers(), Handler(), Handler()
    usage, subscription = Usage(), Usage()
    handlers.set_handler(usage, leg)
    handlers.set_handler(subscription, notified)
    subscribed = SubscribeReceived(subscription, None, None, usage)
    referred = ReferReceived(subscription, usage, None, None, None, None)
    outside = ReferReceived(subscription, None, None, None, None, None)
    for event in (subscribed, referred, outside):
        assert handlers.handle_event(event)
    assert leg.events == [subscribed, referred]
    assert notified.events == [outside]


def test_a_subscription_that_has_ended_is_forgotten_after_its_last_event():
    handlers, leg = EventHandlers(), Handler()
    for _ in range(1000):
        subscription = Usage()
        handlers.set_handler(subscription, leg)
        assert handlers.handle_event(SubscriptionTerminated(subscription, 0, ""))
        assert not handlers.handle_event(SubscriptionTerminated(subscription, 0, ""))
    assert len(leg.events) == 1000
    assert len(handlers._handlers) == 0


def test_a_handler_is_not_kept_by_its_usages():
    handlers, usage, leg = EventHandlers(), Usage(), Handler()
    handlers.set_handler(usage, leg)
    del leg
    gc.collect()
    assert not handlers.handle_event(InviteEnded(usage, Cause.LOCAL))
