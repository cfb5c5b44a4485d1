"""The notifier's side (RFC 6665 section 4.2); transfers are in test_subscription.py."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Transport
from softphone.sip.message import Body
from softphone.sip.subscription.subscriber import SubscriptionState
from tests.support.lone import Lone
from tests.support.pair import new_flow

STATE = Body("application/dialog-info+xml", b"<x/>")


def subscribe(lone, **options):
    options.setdefault("headers", ("Event: dialog", "Expires: 600"))
    lone.say(lone.request("SUBSCRIBE", **options))
    return lone.take("SubscribeReceived").subscription


def test_a_subscription_is_granted_at_most_what_was_asked():
    lone = Lone()
    subscription = subscribe(lone)
    subscription.accept(now=lone.now, expires=9000)
    lone.drain()
    assert (lone.last().status, lone.last().expires) == (200, 600)
    shorter = subscribe(lone, call_id="two")
    shorter.accept(now=lone.now, expires=60)
    lone.drain()
    assert lone.last().expires == 60


def test_a_pending_subscription_says_so_until_it_is_activated():
    lone = Lone()
    subscription = subscribe(lone)
    subscription.accept(now=lone.now, pending=True)
    subscription.notify(None, now=lone.now)
    lone.drain()
    assert lone.last().subscription_state.state == "pending"
    subscription.activate(now=lone.now)
    subscription.notify(STATE, now=lone.now)
    lone.drain()
    assert lone.last().subscription_state.state == "active"
    assert lone.last().content == STATE
    with pytest.raises(LocalProtocolError):
        subscription.activate(now=lone.now)


def test_it_expires_with_a_last_notify():
    lone = Lone()
    subscription = subscribe(lone)
    subscription.accept(now=lone.now)
    lone.wait(601)
    assert lone.last().subscription_state.reason == "timeout"
    assert lone.take("SubscriptionTerminated").reason == "timeout"
    assert subscription.state is SubscriptionState.TERMINATED


def test_a_notify_that_is_refused_ends_it():
    lone = Lone()
    subscription = subscribe(lone)
    subscription.accept(now=lone.now)
    subscription.notify(STATE, now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 481))
    assert lone.take("SubscriptionTerminated").status == 481
    with pytest.raises(LocalProtocolError):
        subscription.notify(STATE, now=lone.now)


def test_nobody_answers_and_it_gets_480():
    lone = Lone()
    subscribe(lone)
    lone.wait(33)
    assert 480 in lone.heard()


def test_it_is_refused_with_what_was_said():
    lone = Lone()
    subscription = subscribe(lone)
    subscription.reject(403, now=lone.now)
    lone.drain()
    assert lone.heard() == [403]
    with pytest.raises(LocalProtocolError):
        subscription.accept(now=lone.now)


def test_an_answer_after_the_flow_has_died_is_no_mistake():
    lone = Lone(transport=Transport.TLS)
    subscription = subscribe(lone)
    lone.endpoint.disconnected(flow=lone.flow, reason="reset", now=lone.now)
    lone.drain()
    subscription.accept(now=lone.now)
    lone.wait(700)
    assert subscription.terminated
    assert lone.endpoint.next_timer() is None


def test_a_refresh_in_another_package_is_not_ours():
    lone = Lone()
    subscription = subscribe(lone)
    subscription.accept(now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.heard()
    lone.say(lone.request("SUBSCRIBE", cseq=2, to_tag=tag, headers=("Event: refer",)))
    assert lone.heard() == [481]


def test_a_request_may_be_acknowledged_without_any_subscription():
    lone = Lone()
    subscription = subscribe(lone)
    assert subscription.flow == lone.flow
    subscription.accept_without_subscription(now=lone.now)
    lone.drain()
    assert lone.last().status == 202
    assert lone.last().headers.get("Refer-Sub") == "false"
    assert subscription.terminated
    assert subscription.flow is None
    with pytest.raises(LocalProtocolError):
        subscription.notify(STATE, now=lone.now)


def test_a_refresh_over_a_new_connection_takes_the_subscription_there():
    lone = Lone(transport=Transport.TCP)
    subscription = subscribe(lone)
    subscription.accept(now=lone.now)
    subscription.notify(STATE, now=lone.now)
    lone.drain()
    tag = subscription.dialog.local.tag
    old, lone.flow = lone.flow, new_flow(Transport.TCP, ("192.0.2.1", 5060), ("192.0.2.9", 6000))
    lone.endpoint.connected(flow=lone.flow, now=lone.now)
    lone.endpoint.disconnected(flow=old, reason="gone", now=lone.now)
    headers = ("Event: dialog", "Expires: 600")
    lone.say(
        lone.request(
            "SUBSCRIBE", cseq=2, to_tag=tag, headers=headers, contact="<sip:far@192.0.2.9:6000>"
        )
    )
    lone.transmits.clear()
    subscription.notify(STATE, now=lone.now)
    lone.drain()
    assert str(lone.last().uri) == "sip:far@192.0.2.9:6000"
    assert [transmit.to for transmit in lone.transmits] == [lone.flow]
    assert lone.endpoint.holds_flow(lone.flow)
