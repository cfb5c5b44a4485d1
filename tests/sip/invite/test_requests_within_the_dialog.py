"""What comes in within a call, sorted; most kinds have a file of their own."""

from __future__ import annotations

import pytest

from softphone.sip import Cause
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, Pair


def confirmed(lone):
    lone.say(lone.request("INVITE", body=SDP))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.say(lone.request("ACK", to_tag=tag))
    lone.heard()
    lone.events.clear()
    return usage, tag


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("OPTIONS", (), 200),
        ("BYE", (), 200),
        ("PRACK", (), 400),
        ("PRACK", ("RAck: 1 1 INVITE",), 481),
        ("REFER", (), 400),
        ("NOTIFY", (), 400),
        ("NOTIFY", ("Event: refer",), 481),
        ("NOTIFY", ("Event: kpml",), 489),
        ("SUBSCRIBE", ("Event: kpml",), 489),
        ("DANCE", (), 501),
    ],
)
def test_each_method_has_its_answer(method, headers, status):
    lone = Lone()
    _, tag = confirmed(lone)
    lone.say(lone.request(method, cseq=2, to_tag=tag, headers=headers))
    assert lone.heard() == [status]


@pytest.mark.parametrize(
    ("method", "headers", "event"),
    [
        ("INFO", (), "InDialogRequestReceived"),
        ("MESSAGE", (), "InDialogRequestReceived"),
        ("NOTIFY", ("Event: dialog",), "InDialogRequestReceived"),
        ("SUBSCRIBE", ("Event: dialog",), "SubscribeReceived"),
        ("REFER", ("Refer-To: <sip:x@y.test>",), "ReferReceived"),
        ("UPDATE", (), "SessionRefreshed"),
        ("INVITE", (), "ModificationReceived"),
    ],
)
def test_what_the_application_decides_is_reported(method, headers, event):
    lone = Lone()
    usage, tag = confirmed(lone)
    lone.say(lone.request(method, cseq=2, to_tag=tag, headers=headers))
    reported = lone.take(event)
    assert getattr(reported, "usage", usage) is usage
    assert not lone.events


def test_bye_in_one_early_dialog_of_ours_leaves_the_call_to_the_others():
    lone = Lone()
    usage = lone.endpoint.invite(Pair().invitation(to=lone.flow), now=lone.now)
    lone.drain()
    invite = lone.last()
    lone.say(lone.response(invite, 180, to_tag="one"))
    lone.say(lone.response(invite, 180, to_tag="two"))
    lone.say(lone.request("BYE", call_id=invite.call_id, to_tag=invite.from_.tag, from_tag="one"))
    assert lone.heard()[-1] == 200
    lone.say(lone.response(invite, 200, to_tag="two", body=SDP))
    assert lone.take("InviteAnswered").usage is usage


def test_a_cseq_that_was_used_by_the_call_is_out_of_order_for_what_shares_its_dialog():
    lone = Lone()
    _, tag = confirmed(lone)
    lone.say(lone.request("SUBSCRIBE", cseq=2, to_tag=tag, headers=("Event: dialog",)))
    subscription = lone.take("SubscribeReceived").subscription
    subscription.accept(now=lone.now)
    lone.drain()
    lone.heard()
    lone.say(lone.request("SUBSCRIBE", cseq=2, to_tag=tag, headers=("Event: dialog",)))
    assert lone.heard() == [500]
    lone.say(lone.request("SUBSCRIBE", cseq=3, to_tag=tag, headers=("Event: dialog",)))
    assert lone.take("SubscriptionRefreshed").subscription is subscription


def test_bye_ends_the_call_and_what_shares_its_dialog_after_it():
    lone = Lone()
    _, tag = confirmed(lone)
    lone.say(lone.request("REFER", cseq=2, to_tag=tag, headers=("Refer-To: <sip:x@y.test>",)))
    subscription = lone.take("ReferReceived").subscription
    subscription.accept(now=lone.now)
    lone.drain()
    lone.say(lone.request("BYE", cseq=3, to_tag=tag))
    assert lone.take("InviteEnded").cause is Cause.REMOTE
    subscription.notify_progress(200, "OK", now=lone.now)
    lone.drain()
    assert lone.last().method == "NOTIFY"
    lone.say(lone.response(lone.last(), 200))
    assert len(lone.endpoint._table) == 0
