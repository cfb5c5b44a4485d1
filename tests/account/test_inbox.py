"""Requests outside calls: each is answered, and what it brings is told."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from softphone.account.out_of_dialog import (
    answer_request,
    refuse_invite,
    refuse_subscription,
)
from softphone.events import MessageReceived, MessageWaiting
from softphone.sip import EndpointConfig, InviteReceived, ReferReceived, SubscribeReceived
from softphone.sip.event_packages import message_summary
from tests.support.account_context import account_context, idle_driver
from tests.support.lone import Lone

SUMMARY_TYPE = "Content-Type: application/simple-message-summary"
SUMMARY = b"Messages-Waiting: yes\r\nMessage-Account: sip:a@h\r\nVoice-Message: 2/8 (0/2)\r\n"


def asked(lone, method, *headers, body=""):
    lone.say(lone.request(method, headers=headers, body=body))


def context_of(lone, told=()):
    @contextmanager
    def change():
        yield lone.now
        lone.drain()

    return account_context(
        endpoint=lone.endpoint, driver=idle_driver(change), emit_event=getattr(told, "append", None)
    )


def answered(lone):
    """Answer the request that came, as often as it may be asked; gives what was told."""
    told = []
    event = lone.take("RequestReceived")
    for _ in range(2):
        answer_request(context_of(lone, told), event)
    return told[: len(told) // 2]


@pytest.mark.parametrize(
    ("method", "headers", "body", "status", "news"),
    [
        (
            "MESSAGE",
            ("Content-Type: text/plain",),
            "hello",
            200,
            MessageReceived("sip:far@example.com", "text/plain", b"hello"),
        ),
        (
            "NOTIFY",
            ("Event: message-summary", "Subscription-State: active", SUMMARY_TYPE),
            SUMMARY.decode(),
            200,
            MessageWaiting(True, 2, 8),
        ),
        ("PUBLISH", ("Event: presence",), "", 405, None),
    ],
)
def test_each_is_answered_once_and_told(method, headers, body, status, news):
    lone = Lone(config=EndpointConfig(allow=(*EndpointConfig().allow, "PUBLISH")))
    asked(lone, method, *headers, body=body)
    assert answered(lone) == ([] if news is None else [news])
    assert lone.heard() == [status]


def test_a_notify_of_another_package_is_a_bad_event():
    lone = Lone(config=EndpointConfig(events=("presence", "message-summary")))
    asked(lone, "NOTIFY", "Event: presence", "Subscription-State: active")
    assert answered(lone) == []
    assert lone.heard() == [489]


def test_a_message_summary_is_read():
    assert message_summary(SUMMARY) == MessageWaiting(True, 2, 8)
    assert message_summary(b"messages-waiting:no\n") == MessageWaiting(False)
    assert message_summary(b"Voice-Message: 2/8\r\n") is None
    assert message_summary(b"Messages-Waiting: maybe\r\n") is None
    assert message_summary(b"") is None
    assert message_summary(b"Messages-Waiting: yes\r\nVoice-Message: 9999999/1\r\n") == (
        MessageWaiting(True)
    )


@pytest.mark.parametrize("status", [489, 603])
def test_what_belongs_to_no_call_is_refused_once(status):
    lone = Lone()
    asked(lone, "SUBSCRIBE", "Event: dialog")
    (event,) = [event for event in lone.events if isinstance(event, SubscribeReceived)]
    refuse_subscription(context_of(lone), event.subscription, status)
    refuse_subscription(context_of(lone), event.subscription, status)
    assert lone.heard() == [status]


def test_a_refer_out_of_the_blue_is_declined():
    lone = Lone()
    asked(lone, "REFER", "Refer-To: <sip:premium@h>")
    (event,) = [event for event in lone.events if isinstance(event, ReferReceived)]
    refuse_subscription(context_of(lone), event.subscription, 603)
    assert lone.heard() == [603]


def test_an_invite_too_many_is_refused_once():
    lone = Lone()
    asked(lone, "INVITE")
    (event,) = [event for event in lone.events if isinstance(event, InviteReceived)]
    refuse_invite(context_of(lone), event.usage, 486)
    refuse_invite(context_of(lone), event.usage, 486)
    assert lone.heard() == [486]
