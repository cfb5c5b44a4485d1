"""The far end's re-INVITE and UPDATE (RFC 3261 14.2, RFC 3311 5.2); ours in test_modification."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip import Cause
from softphone.sip.invite.invite_dialog import OfferState
from softphone.sip.message import BodyRole
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, ANSWER_2, OFFER, Pair


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


def test_a_reinvite_before_the_first_answer_gets_500_with_retry_after():
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP))
    usage = lone.take("InviteReceived").usage
    usage.send_provisional(now=lone.now)
    lone.drain()
    lone.say(lone.request("INVITE", cseq=2, to_tag=lone.last().to.tag, body=SDP))
    assert lone.last().status == 500
    assert 0 <= lone.last().retry_after.delta <= 10


def test_its_2xx_is_sent_again_until_the_ack_and_ends_the_call_without():
    lone = Lone()
    usage, tag = confirmed(lone)
    lone.say(lone.request("INVITE", cseq=2, to_tag=tag, body=SDP))
    usage.answer_modification(ANSWER_2, now=lone.now)
    lone.wait(4)
    assert lone.heard() == [200] * 4
    lone.wait(30)
    assert lone.heard()[-1] == "BYE"
    assert lone.take("InviteEnded").cause is Cause.TIMEOUT


def test_the_ack_of_another_invite_does_not_count():
    lone = Lone()
    usage, tag = confirmed(lone)
    lone.say(lone.request("INVITE", cseq=2, to_tag=tag, body=SDP))
    usage.answer_modification(ANSWER_2, now=lone.now)
    lone.drain()
    lone.say(lone.request("ACK", cseq=1, to_tag=tag))
    assert usage.successes
    lone.say(lone.request("ACK", cseq=2, to_tag=tag))
    assert not usage.successes


def test_a_late_ack_does_not_void_the_offer_that_we_have_sent_since():
    lone = Lone()
    usage, tag = confirmed(lone)
    lone.say(lone.request("INVITE", cseq=2, to_tag=tag, body=SDP))
    usage.answer_modification(ANSWER_2, now=lone.now)
    usage.reinvite(OFFER, now=lone.now)
    lone.drain()
    lone.say(lone.request("ACK", cseq=2, to_tag=tag))
    lone.events.clear()
    assert usage.leg.offer_answer.state is OfferState.LOCAL_OFFER


def test_cancel_of_a_reinvite_leaves_the_session():
    lone = Lone()
    usage, tag = confirmed(lone)
    lone.say(lone.request("INVITE", cseq=2, to_tag=tag, body=SDP, branch="z9hG4bKre"))
    lone.say(lone.request("CANCEL", cseq=2, to_tag=tag, branch="z9hG4bKre"))
    assert lone.heard() == [200, 487]
    with pytest.raises(LocalProtocolError):
        usage.answer_modification(ANSWER_2, now=lone.now)
    assert lone.endpoint.usages() == (usage,)


def test_what_the_application_does_not_answer_gets_488():
    lone = Lone()
    _, tag = confirmed(lone)
    lone.say(lone.request("UPDATE", cseq=2, to_tag=tag, body=SDP))
    lone.wait(33)
    assert 488 in lone.heard()


def test_an_update_that_is_open_when_the_invite_is_refused_is_answered_487():
    pair = Pair()
    pair.alice.invite(pair.invitation(body=None), now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "InviteReceived").usage
    theirs.send_provisional(now=pair.now)
    pair.run(0.05)
    theirs.update(OFFER, now=pair.now)
    pair.run(0.05)
    assert pair.take("alice", "ModificationReceived").usage.remote_modification
    theirs.reject(486, now=pair.now)
    pair.run(0.05)
    assert pair.sent("alice") == ["INVITE", "ACK", "487"]


def test_bye_with_a_reinvite_open_answers_it_487():
    lone = Lone()
    _, tag = confirmed(lone)
    lone.say(lone.request("INVITE", cseq=2, to_tag=tag, body=SDP))
    lone.say(lone.request("BYE", cseq=3, to_tag=tag))
    assert lone.heard() == [200, 487]


def test_an_ack_without_the_answer_that_is_owed_voids_the_offer():
    lone = Lone()
    usage, tag = confirmed(lone)
    lone.say(lone.request("INVITE", cseq=2, to_tag=tag))
    assert lone.take("ModificationReceived").role is None
    usage.answer_modification(OFFER, now=lone.now)
    lone.drain()
    lone.say(lone.request("ACK", cseq=2, to_tag=tag))
    assert usage.leg.offer_answer.stable
    assert lone.take("AckReceived").role is None
    lone.say(lone.request("UPDATE", cseq=3, to_tag=tag, body=SDP))
    assert lone.take("ModificationReceived").role is BodyRole.OFFER


def test_a_session_interval_below_the_minimum_gets_422():
    lone = Lone()
    _, tag = confirmed(lone)
    lone.say(
        lone.request(
            "UPDATE", cseq=2, to_tag=tag, headers=("Session-Expires: 10", "Supported: timer")
        )
    )
    assert (lone.last().status, lone.last().min_se) == (422, 90)
