"""The callee's INVITE until its ACK (RFC 3261 13.3, 9.2; RFC 3262 3)."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip import Cause, EndpointConfig
from softphone.sip.message import BodyRole, NameAddr
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER


def ringing(lone, **options):
    options.setdefault("body", SDP)
    lone.say(lone.request("INVITE", **options))
    return lone.take("InviteReceived").usage


def done(lone):
    lone.drain()
    return lone.last()


def test_the_offer_is_reported_and_answered_in_the_200():
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP))
    received = lone.take("InviteReceived")
    assert received.role is BodyRole.OFFER
    assert received.body.data == SDP.encode()
    received.usage.send_provisional(now=lone.now)
    received.usage.accept(ANSWER, now=lone.now)
    success = done(lone)
    assert success.content == ANSWER
    assert lone.out[0].to.tag == success.to.tag
    assert success.contacts
    assert "Allow" in success.headers
    lone.say(lone.request("ACK", to_tag=success.to.tag))
    acknowledged = lone.take("AckReceived")
    assert (acknowledged.role, acknowledged.body) == (None, None)


def test_an_invite_without_offer_gets_ours_and_the_answer_comes_in_the_ack():
    lone = Lone()
    lone.say(lone.request("INVITE"))
    received = lone.take("InviteReceived")
    assert (received.role, received.body) == (None, None)
    received.usage.accept(OFFER, now=lone.now)
    success = done(lone)
    lone.say(lone.request("ACK", to_tag=success.to.tag, body=SDP))
    assert lone.take("AckReceived").role is BodyRole.ANSWER


def test_the_200_is_sent_again_until_the_ack_and_then_no_more():
    lone = Lone()
    usage = ringing(lone)
    usage.accept(ANSWER, now=lone.now)
    success = done(lone)
    lone.heard()
    lone.wait(4)
    assert lone.heard() == [200, 200, 200]
    lone.say(lone.request("ACK", to_tag=success.to.tag))
    lone.wait(60)
    assert lone.heard() == []


def test_without_ack_the_call_ends_with_bye_after_64_t1():
    lone = Lone()
    usage = ringing(lone)
    usage.accept(ANSWER, now=lone.now)
    lone.wait(32.1)
    assert lone.heard()[-1] == "BYE"
    assert lone.take("InviteEnded").cause is Cause.TIMEOUT
    assert lone.endpoint.usages() == ()


def test_a_bye_of_ours_waits_for_the_ack():
    lone = Lone()
    usage = ringing(lone)
    usage.accept(ANSWER, now=lone.now)
    tag = done(lone).to.tag
    usage.bye(now=lone.now)
    lone.drain()
    assert lone.take("InviteEnded").cause is Cause.LOCAL
    assert lone.heard() == [200]
    lone.say(lone.request("ACK", to_tag=tag))
    assert lone.heard() == ["BYE"]
    assert not lone.events


def test_cancel_gets_200_and_the_invite_487():
    lone = Lone()
    ringing(lone, branch="z9hG4bKc")
    lone.say(
        lone.request(
            "CANCEL", branch="z9hG4bKc", headers=('Reason: SIP;cause=200;text="elsewhere"',)
        )
    )
    assert lone.heard() == [200, 487]
    canceled = lone.take("InviteCanceled")
    assert (canceled.status, canceled.reason) == (200, "elsewhere")
    assert lone.endpoint.usages() == ()


def test_cancel_that_crosses_our_200_changes_nothing():
    lone = Lone()
    usage = ringing(lone, branch="z9hG4bKc")
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    lone.say(lone.request("CANCEL", branch="z9hG4bKc"))
    assert lone.heard() == [200, 200]
    assert not lone.events
    assert lone.endpoint.usages() == (usage,)


def test_cancel_of_nothing_gets_481():
    lone = Lone()
    lone.say(lone.request("CANCEL"))
    assert lone.heard() == [481]


def test_a_copy_of_the_request_by_another_path_is_merged():
    lone = Lone()
    ringing(lone, branch="z9hG4bKpath1")
    lone.say(lone.request("INVITE", branch="z9hG4bKpath2", body=SDP))
    assert lone.heard() == [482]


def test_reject_and_redirect_send_what_is_said():
    lone = Lone()
    ringing(lone).reject(488, now=lone.now, headers=(("Warning", '305 x "Incompatible media"'),))
    assert (done(lone).status, lone.last().warnings[0].code) == (488, 305)
    usage = ringing(lone, call_id="two")
    usage.redirect([NameAddr.parse("<sip:x@y.test>")], now=lone.now)
    assert (done(lone).status, str(lone.last().contacts[0].uri)) == (302, "sip:x@y.test")
    with pytest.raises(LocalProtocolError):
        usage.accept(ANSWER, now=lone.now)


def test_nobody_answers_and_the_call_gets_480():
    lone = Lone(config=EndpointConfig(answer_timeout=30))
    ringing(lone)
    lone.wait(31)
    assert 480 in lone.heard()
    assert lone.take("InviteEnded").cause is Cause.TIMEOUT


def test_a_provisional_is_sent_again_every_minute():
    lone = Lone()
    usage = ringing(lone)
    usage.send_provisional(now=lone.now)
    lone.drain()
    lone.heard()
    lone.wait(121)
    assert lone.heard() == [180, 180]


SUPPORTED = ("Supported: 100rel",)


def test_a_reliable_provisional_is_sent_again_until_its_prack():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    reliable = done(lone)
    assert reliable.requires("100rel")
    assert 1 <= reliable.rseq < 2**31
    lone.heard()
    lone.wait(3.6)
    assert lone.heard() == [183, 183, 183]
    usage.send_provisional(180, now=lone.now, reliable=True)
    lone.drain()
    assert lone.heard() == []
    prack = lone.request(
        "PRACK", cseq=2, to_tag=reliable.to.tag, headers=(f"RAck: {reliable.rseq} 1 INVITE",)
    )
    lone.say(prack)
    assert lone.take("PrackReceived").role is None
    assert [m.status for m in lone.out] == [200, 180]
    assert lone.out[-1].rseq == reliable.rseq + 1


def test_a_prack_that_names_nothing_gets_481():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    reliable = done(lone)
    lone.heard()
    lone.say(
        lone.request(
            "PRACK", cseq=2, to_tag=reliable.to.tag, headers=(f"RAck: {reliable.rseq} 9 INVITE",)
        )
    )
    assert lone.heard() == [481]


def test_without_prack_the_invite_fails_with_504_after_64_t1():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    lone.wait(32.1)
    assert 504 in lone.heard()
    assert lone.take("InviteEnded").status == 504


def test_the_200_waits_for_the_prack_of_a_provisional_with_a_body():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    reliable = done(lone)
    usage.accept(None, now=lone.now)
    lone.drain()
    assert lone.heard() == [183]
    lone.say(
        lone.request(
            "PRACK", cseq=2, to_tag=reliable.to.tag, headers=(f"RAck: {reliable.rseq} 1 INVITE",)
        )
    )
    assert [m.status for m in lone.out] == [200, 200]
    assert lone.out[-1].content is None


def test_a_prack_that_meets_the_200_is_answered():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED)
    usage.send_provisional(180, now=lone.now, reliable=True)
    reliable = done(lone)
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    assert lone.heard() == [180, 200]
    rack = (f"RAck: {reliable.rseq} 1 INVITE",)
    lone.say(lone.request("PRACK", cseq=2, to_tag=reliable.to.tag, headers=rack))
    assert [(m.status, m.cseq.method) for m in lone.out] == [(200, "PRACK")]
    lone.heard()
    lone.say(lone.request("PRACK", cseq=3, to_tag=reliable.to.tag, headers=rack))
    assert lone.heard() == [481]


def test_our_offer_in_a_reliable_provisional_is_answered_in_the_prack():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED, body="")
    usage.send_provisional(183, now=lone.now, body=OFFER)
    reliable = done(lone)
    lone.say(
        lone.request(
            "PRACK",
            cseq=2,
            to_tag=reliable.to.tag,
            headers=(f"RAck: {reliable.rseq} 1 INVITE",),
            body=SDP,
        )
    )
    assert lone.take("PrackReceived").role is BodyRole.ANSWER


def test_a_new_offer_in_a_prack_waits_for_our_answer():
    lone = Lone()
    usage = ringing(lone, headers=SUPPORTED)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    reliable = done(lone)
    lone.heard()
    lone.say(
        lone.request(
            "PRACK",
            cseq=2,
            to_tag=reliable.to.tag,
            headers=(f"RAck: {reliable.rseq} 1 INVITE",),
            body=SDP,
        )
    )
    assert lone.take("PrackReceived").role is BodyRole.OFFER
    assert lone.heard() == []
    usage.answer_modification(ANSWER, now=lone.now)
    assert done(lone).content == ANSWER


def test_the_answer_shown_in_an_unreliable_183_is_repeated_in_the_200():
    lone = Lone()
    usage = ringing(lone)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    usage.accept(None, now=lone.now)
    assert done(lone).content == ANSWER


def test_a_session_interval_below_our_minimum_gets_422():
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP, headers=("Session-Expires: 30", "Supported: timer")))
    assert lone.last().status == 422
    assert lone.last().min_se == 90
    assert not lone.events


def test_bye_before_the_answer_ends_the_call_and_the_invite_gets_487():
    lone = Lone()
    usage = ringing(lone)
    usage.send_provisional(now=lone.now)
    tag = done(lone).to.tag
    lone.heard()
    lone.say(lone.request("BYE", cseq=2, to_tag=tag))
    assert lone.heard() == [200, 487]
    assert lone.take("InviteEnded").cause is Cause.REMOTE


def test_a_description_that_waits_behind_another_reliable_response_is_sent_before_the_200():
    lone = Lone()
    usage = ringing(lone, headers=("Require: 100rel",))
    usage.send_provisional(now=lone.now)
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    sent = []
    for number in (1, 2):
        reliable = lone.last()
        sent.append(reliable.status)
        rack = f"RAck: {reliable.rseq} 1 INVITE"
        tag = reliable.to.tag
        lone.say(lone.request("PRACK", to_tag=tag, cseq=1 + number, headers=(rack,)))
    assert sent == [180, 183]
    final = lone.last()
    assert (final.status, final.cseq.method, final.content) == (200, "INVITE", None)


def test_a_200_that_waits_for_its_prack_can_still_become_a_refusal():
    lone = Lone()
    usage = ringing(lone, headers=("Supported: 100rel",))
    usage.send_provisional(183, now=lone.now, body=ANSWER)
    usage.accept(ANSWER, now=lone.now)
    with pytest.raises(LocalProtocolError):
        usage.accept(ANSWER, now=lone.now)
    usage.bye(now=lone.now)
    lone.drain()
    assert lone.heard() == [183, 480]
    lone.wait(60)
    assert 200 not in lone.heard()
    with pytest.raises(LocalProtocolError):
        usage.reject(486, now=lone.now)
