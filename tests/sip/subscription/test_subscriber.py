"""Our subscriptions and REFERs (RFC 6665, RFC 3515, RFC 4488)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip import Cause
from softphone.sip.dialog import ReferRequest, SubscribeRequest
from softphone.sip.message import Body, NameAddr, SipUri
from softphone.sip.subscription.subscriber import SubscriptionState
from tests.support.lone import Lone
from tests.support.pair import Pair, kinds

TARGET = NameAddr.parse("<sip:carol@192.0.2.3>")
SUMMARY = Body("application/simple-message-summary", b"Messages-Waiting: yes\r\n")


def asked(to, **changes):
    return replace(
        SubscribeRequest(
            uri=SipUri.parse("sip:bob@192.0.2.2"),
            local=NameAddr.parse("<sip:alice@example.com>"),
            remote=NameAddr.parse("<sip:bob@example.com>"),
            to=to,
            event="message-summary",
            accept=("application/simple-message-summary",),
        ),
        **changes,
    )


def subscribed(pair, **changes):
    mine = pair.alice.subscribe(asked(pair.target, **changes), now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "SubscribeReceived").subscription
    theirs.accept(now=pair.now)
    theirs.notify(SUMMARY, now=pair.now)
    pair.run(0.1)
    return mine, theirs


def test_a_subscription_is_accepted_and_notified():
    pair = Pair()
    mine, _ = subscribed(pair)
    assert pair.take("alice", "SubscriptionAccepted").expires == 3600
    notify = pair.take("alice", "NotifyReceived")
    assert notify.body == SUMMARY
    assert notify.subscription is mine
    assert mine.state is SubscriptionState.ACTIVE


def test_it_refreshes_itself_before_it_expires():
    pair = Pair()
    mine, theirs = subscribed(pair, expires=600)
    pair.wire.clear()
    pair.run(3000)
    assert 5 <= pair.sent("alice").count("SUBSCRIBE") <= 6
    assert mine.state is SubscriptionState.ACTIVE
    assert "SubscriptionRefreshed" in kinds(pair.events["bob"])
    assert not theirs.terminated


def test_unsubscribe_ends_it_on_both_sides():
    pair = Pair()
    mine, _ = subscribed(pair)
    mine.unsubscribe(now=pair.now)
    pair.run(1)
    assert pair.take("bob", "SubscriptionTerminated").reason == "unsubscribed"
    assert pair.take("alice", "SubscriptionTerminated").subscription is mine
    assert len(pair.alice._table) == len(pair.bob._table) == 0
    with pytest.raises(LocalProtocolError):
        mine.refresh(now=pair.now)


def test_the_notifier_ends_it_with_a_reason():
    pair = Pair()
    _, theirs = subscribed(pair)
    theirs.terminate(now=pair.now, reason="deactivated")
    pair.run(0.1)
    assert pair.take("alice", "SubscriptionTerminated").reason == "deactivated"


def test_a_notify_that_overtakes_the_2xx_belongs_to_it_all_the_same():
    lone = Lone()
    lone.endpoint.subscribe(asked(lone.flow), now=lone.now)
    lone.drain()
    subscribe = lone.last()
    notify = lone.request(
        "NOTIFY",
        to_tag=subscribe.from_.tag,
        call_id=subscribe.call_id,
        headers=("Event: message-summary", "Subscription-State: active;expires=600"),
    )
    lone.say(notify)
    assert lone.last().status == 200
    assert lone.take("NotifyReceived")
    lone.say(lone.response(subscribe, 200, headers=("Expires: 600",)))
    assert lone.take("SubscriptionAccepted").expires == 600
    lone.heard()
    lone.wait(569)
    again = lone.last()
    assert again.method == "SUBSCRIBE"
    assert again.cseq.number == subscribe.cseq.number + 1
    assert again.to.tag == "far"


def test_423_lengthens_the_interval():
    lone = Lone()
    lone.endpoint.subscribe(asked(lone.flow, expires=60), now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 423, headers=("Min-Expires: 900",)))
    again = lone.last()
    assert (again.method, again.expires) == ("SUBSCRIBE", 900)


def test_a_refused_subscription_is_over():
    lone = Lone()
    lone.endpoint.subscribe(asked(lone.flow), now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 489))
    assert lone.take("SubscriptionTerminated").status == 489


def test_no_notify_within_64_t1_ends_it():
    lone = Lone()
    lone.endpoint.subscribe(asked(lone.flow), now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 200, headers=("Expires: 600",)))
    lone.wait(33)
    assert lone.take("SubscriptionTerminated").status == 408


def test_a_notify_that_nobody_asked_for_gets_481():
    lone = Lone()
    lone.say(
        lone.request(
            "NOTIFY",
            to_tag="ours",
            headers=("Event: message-summary", "Subscription-State: active"),
        )
    )
    assert lone.heard() == [481]


def test_a_blind_transfer_is_reported_until_its_final_status():
    pair = Pair()
    mine, theirs = pair.answered()
    subscription = mine.refer(
        TARGET, now=pair.now, referred_by=NameAddr.parse("<sip:alice@example.com>")
    )
    pair.run(0.05)
    referred = pair.take("bob", "ReferReceived")
    assert (referred.usage, referred.refer_to.uri) == (theirs, TARGET.uri)
    assert str(referred.referred_by.uri) == "sip:alice@example.com"
    referred.subscription.accept(now=pair.now)
    pair.run(0.1)
    assert pair.take("alice", "SubscriptionAccepted").subscription is subscription
    assert pair.take("alice", "NotifyReceived").status == 100
    referred.subscription.notify_progress(180, "Ringing", now=pair.now)
    referred.subscription.notify_progress(200, "OK", now=pair.now)
    pair.run(0.1)
    assert [pair.take("alice", "NotifyReceived").status for _ in range(2)] == [180, 200]
    assert pair.take("alice", "SubscriptionTerminated").reason == "noresource"
    assert subscription.terminated
    assert referred.subscription.terminated


def test_two_refers_in_one_dialog_are_told_apart():
    pair = Pair()
    mine, _ = pair.answered()
    one = mine.refer(TARGET, now=pair.now)
    two = mine.refer(TARGET, now=pair.now)
    pair.run(0.05)
    pair.take("bob", "ReferReceived").subscription.reject(603, now=pair.now)
    second = pair.take("bob", "ReferReceived").subscription
    second.accept(now=pair.now)
    second.notify_progress(486, "Busy Here", now=pair.now)
    pair.run(0.1)
    assert one.terminated
    ends = [pair.take("alice", "SubscriptionTerminated") for _ in range(2)]
    assert [(end.subscription, end.status) for end in ends] == [(one, 603), (two, 0)]


def test_a_refer_without_subscription_brings_no_notify():
    pair = Pair()
    mine, _ = pair.answered()
    subscription = mine.refer(TARGET, now=pair.now, subscribe=False)
    pair.run(0.05)
    theirs = pair.take("bob", "ReferReceived").subscription
    theirs.accept(now=pair.now)
    theirs.notify_progress(200, "OK", now=pair.now)
    pair.run(0.1)
    assert "NOTIFY" not in pair.sent("bob")
    assert pair.take("alice", "SubscriptionTerminated").reason == "norefersub"
    assert subscription.terminated


def test_the_progress_of_a_transfer_outlives_the_call():
    pair = Pair()
    mine, _ = pair.answered()
    mine.refer(TARGET, now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "ReferReceived").subscription
    theirs.accept(now=pair.now)
    pair.run(0.1)
    mine.bye(now=pair.now)
    pair.run(0.1)
    assert pair.take("bob", "InviteEnded").cause is Cause.REMOTE
    theirs.notify_progress(200, "OK", now=pair.now)
    pair.run(0.2)
    assert [event.status for event in pair.events["alice"] if hasattr(event, "body")] == [100, 200]
    pair.run(100)
    assert len(pair.alice._table) == len(pair.bob._table) == 0


def test_a_refer_outside_any_dialog():
    pair = Pair()
    subscription = pair.alice.refer(
        ReferRequest(
            uri=SipUri.parse("sip:bob@192.0.2.2"),
            local=NameAddr.parse("<sip:alice@example.com>"),
            remote=NameAddr.parse("<sip:bob@example.com>"),
            to=pair.target,
            refer_to=TARGET,
        ),
        now=pair.now,
    )
    pair.run(0.05)
    received = pair.take("bob", "ReferReceived")
    assert received.usage is None
    received.subscription.accept(now=pair.now)
    received.subscription.notify_progress(603, "Decline", now=pair.now)
    pair.run(0.1)
    statuses = [event.status for event in pair.events["alice"] if hasattr(event, "body")]
    assert statuses == [100, 603]
    assert subscription.terminated
