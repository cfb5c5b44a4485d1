"""Session timers (RFC 4028): roles, refresh, 422 and the end of a silent peer."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.sip import Cause, EndpointConfig
from softphone.sip.invite.session_timer import SessionTimer
from softphone.sip.transaction import TransactionLayer
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER, Pair, kinds

NO_TIMER = EndpointConfig(allow=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO"), supported=())


def call(lone, **changes):
    usage = lone.endpoint.invite(
        Pair().invitation(to=lone.flow, body=OFFER, **changes), now=lone.now
    )
    lone.drain()
    return usage, lone.last()


def test_the_caller_refreshes_by_update_at_half_the_interval_and_the_call_lives_on():
    pair = Pair()
    mine, theirs = pair.answered(session_timer=200.0)
    assert (mine.session_timer.interval, theirs.session_timer.interval) == (200, 200)
    assert mine.session_timer.ours
    assert not theirs.session_timer.ours
    pair.wire.clear()
    pair.run(1000)
    assert 9 <= pair.sent("alice").count("UPDATE") <= 10
    assert set(kinds(pair.events["alice"])) == {"SessionRefreshed"}
    assert len(pair.alice.usages()) == len(pair.bob.usages()) == 1


def test_the_callee_refreshes_when_it_was_chosen():
    lone = Lone()
    lone.say(
        lone.request(
            "INVITE",
            body=SDP,
            headers=(
                "Session-Expires: 180;refresher=uas",
                "Supported: timer",
                "Allow: UPDATE",
            ),
        )
    )
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    success = lone.last()
    assert (success.session_expires.delta, success.session_expires.refresher) == (180, "uas")
    assert not success.requires("timer")
    lone.say(lone.request("ACK", to_tag=success.to.tag))
    lone.heard()
    lone.wait(91)
    update = lone.last()
    assert update.method == "UPDATE"
    assert update.session_expires.refresher == "uac"


def test_a_peer_that_does_not_know_timers_is_not_refreshed():
    pair = Pair(bob_config=NO_TIMER)
    pair.answered(session_timer=200.0)
    pair.wire.clear()
    pair.run(1000)
    assert pair.sent("alice") == []


def test_without_update_the_last_offer_goes_out_again_in_a_reinvite():
    lone = Lone()
    _, invite = call(lone, session_timer=200.0)
    lone.say(
        lone.response(
            invite, 200, body=SDP, headers=("Session-Expires: 200;refresher=uac", "Require: timer")
        )
    )
    lone.heard()
    lone.wait(101)
    again = lone.last()
    assert (again.method, again.content) == ("INVITE", OFFER)
    lone.say(lone.response(again, 200, body=SDP, headers=("Session-Expires: 200;refresher=uac",)))
    assert lone.heard()[-1] == "ACK"
    assert lone.take("ModificationAnswered").body.data == SDP.encode()


def test_a_peer_that_stops_refreshing_is_hung_up_with_a_reason():
    lone = Lone()
    _, invite = call(lone, session_timer=200.0)
    lone.say(lone.response(invite, 200, body=SDP, headers=("Session-Expires: 200;refresher=uas",)))
    lone.heard()
    # Section 10: 32 s, or a third of the interval, before it expires.
    lone.wait(167.9)
    assert lone.heard() == []
    lone.wait(0.2)
    bye = lone.last()
    assert bye.method == "BYE"
    assert (bye.reasons[0].protocol, bye.reasons[0].cause) == ("SIP", 408)
    ended = lone.take("InviteEnded")
    assert (ended.cause, ended.status) == (Cause.TIMEOUT, 408)


def test_a_refresh_by_the_peer_keeps_the_session():
    pair = Pair()
    pair.answered(session_timer=200.0)
    pair.run(150)
    pair.links["alice"].up = False
    pair.run(130)
    assert kinds(pair.events["bob"])[-1] == "InviteEnded"
    assert pair.take("bob", "InviteEnded").cause is Cause.TIMEOUT


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TLS])
def test_a_callee_that_finds_the_interval_too_small_says_so_and_the_caller_obeys(transport):
    pair = Pair(transport=transport, bob_config=EndpointConfig(min_se=500.0))
    mine, theirs = pair.answered(session_timer=120.0)
    assert pair.sent("bob")[0] == "422"
    assert mine.session_timer.interval == theirs.session_timer.interval == 500


def test_a_caller_without_timer_gets_none_asked_of_it():
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP))
    lone.take("InviteReceived").usage.accept(ANSWER, now=lone.now)
    lone.drain()
    assert lone.last().session_expires is None


def accepted(lone, *headers, **changes):
    """Our 2xx to an INVITE with these headers, acknowledged."""
    lone.say(lone.request("INVITE", body=SDP, headers=headers))
    usage = lone.take("InviteReceived").usage
    for name, value in changes.items():
        setattr(usage.session_timer, name, value)
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    success = lone.last()
    lone.say(lone.request("ACK", to_tag=success.to.tag))
    lone.heard()
    return success


@pytest.mark.parametrize("asked", ["180", "180;refresher=uac"])
def test_a_caller_that_is_to_refresh_is_told_that_it_must_know_timers(asked):
    lone = Lone()
    success = accepted(lone, f"Session-Expires: {asked}", "Supported: timer", "Allow: UPDATE")
    assert (success.session_expires.delta, success.session_expires.refresher) == (180, "uac")
    assert success.requires("timer")
    lone.wait(147.9)
    assert lone.heard() == []
    lone.wait(0.2)
    assert lone.heard() == ["BYE"]


def test_for_a_caller_without_timers_that_a_proxy_gave_one_we_refresh():
    """RFC 4028 section 9, table 2: without "timer" in Supported the refresher is the UAS."""
    lone = Lone()
    success = accepted(lone, "Session-Expires: 60;refresher=uac", "Allow: UPDATE")
    assert (success.session_expires.delta, success.session_expires.refresher) == (60, "uas")
    assert not success.requires("timer")
    lone.wait(31)
    assert lone.heard()[0] == "UPDATE"


def test_an_interval_of_our_own_wish_is_no_less_than_the_callers_minimum():
    success = accepted(Lone(), "Min-SE: 3600", "Supported: timer", wanted=1800.0)
    assert success.session_expires.delta == 3600
    success = accepted(Lone(), "Supported: timer", wanted=1800.0)
    assert (success.session_expires.delta, success.session_expires.refresher) == (1800, "uas")


def test_a_2xx_without_a_timer_ends_the_timer():
    lone = Lone()
    usage, invite = call(lone, session_timer=200.0)
    answer = ("Session-Expires: 200;refresher=uac", "Allow: UPDATE")
    lone.say(lone.response(invite, 200, body=SDP, headers=answer))
    lone.wait(101)
    assert lone.last().method == "UPDATE"
    lone.say(lone.response(lone.last(), 200))
    assert usage.session_timer.interval is None
    lone.heard()
    lone.wait(1000)
    assert lone.heard() == []
    assert lone.endpoint.usages() == (usage,)


class Nobody:
    """A usage that wants nothing."""

    layer = TransactionLayer(config=EndpointConfig(), entropy=seeded_entropy(1))


def test_the_request_keeps_the_roles_as_they_were_agreed():
    timer = SessionTimer(Nobody(), wanted=1800)
    assert timer.request_fields() == [("Session-Expires", "1800"), ("Min-SE", "90")]
    timer.interval, timer.ours = 600.0, False
    assert timer.request_fields()[0] == ("Session-Expires", "600;refresher=uas")
    timer.wanted = timer.interval = None
    assert timer.request_fields() == []
