"""A subscription lasts as long as we grant, and a refresh is granted no more than the first.

Whoever watches takes one of a bounded number of places, and a REFER reports for three minutes.
"""

from __future__ import annotations

import pytest

from softphone.call.dialog_notifier import LONGEST_EXPIRES
from softphone.sip.subscription.notifier import DEFAULT_EXPIRES, REFER_EXPIRES
from tests.support.lone import Lone

FOREVER = 2**32 - 1


def subscribe(lone, expires):
    lone.say(lone.request("SUBSCRIBE", headers=("Event: dialog", f"Expires: {expires}")))
    return lone.take("SubscribeReceived").subscription


def refresh(lone, tag, event, expires):
    fields = (f"Event: {event}",) if expires is None else (f"Event: {event}", f"Expires: {expires}")
    lone.out.clear()
    lone.say(lone.request("SUBSCRIBE", cseq=9, to_tag=tag, headers=fields))
    return lone.out[0]


@pytest.mark.parametrize(
    ("granted", "asked", "given"),
    [
        (LONGEST_EXPIRES, FOREVER, LONGEST_EXPIRES),
        (600.0, None, 600.0),
        (600.0, 60, 60.0),
        (None, FOREVER, DEFAULT_EXPIRES),
    ],
)
def test_a_refresh_is_granted_no_more_than_the_subscription(granted, asked, given):
    lone = Lone()
    subscription = subscribe(lone, 60)
    subscription.accept(now=lone.now, expires=granted)
    lone.drain()
    answer = refresh(lone, subscription.dialog.local.tag, "dialog", asked)
    assert (answer.status, answer.expires) == (200, given)
    assert subscription.expires_at == lone.now + given
    lone.wait(given + 1)
    assert subscription.terminated


def test_the_reports_of_a_refer_are_not_prolonged_without_end():
    lone = Lone()
    lone.say(lone.request("REFER", headers=("Refer-To: <sip:x@192.0.2.3>",)))
    subscription = lone.take("ReferReceived").subscription
    subscription.accept(now=lone.now)
    lone.drain()
    answer = refresh(lone, subscription.dialog.local.tag, "refer", FOREVER)
    assert answer.expires == REFER_EXPIRES
