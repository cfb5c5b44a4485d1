"""Client transactions on the wire: timers A, B, D, E, F, K and M (RFC 3261 17.1, RFC 6026)."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.sip.message import NameAddr, Request, SipUri
from tests.support.lone import SDP, Lone
from tests.support.pair import OFFER, Pair


def call(lone):
    pair = Pair()
    return lone.endpoint.invite(pair.invitation(to=lone.flow, body=OFFER), now=lone.now)


def options(lone):
    address = NameAddr(None, SipUri.parse("sip:far@example.com"))
    request = Request.build("OPTIONS", address.uri, (("From", str(address)), ("To", str(address))))
    return lone.endpoint.send_request(request, to=lone.flow, now=lone.now)


def sending_times(lone, seconds, step=0.05):
    times, start = [], lone.now
    for _ in range(round(seconds / step)):
        lone.wait(step)
        times += [round(lone.now - start, 1)] * len(lone.heard())
    return times


def test_timer_a_doubles_from_t1_and_timer_b_ends_it_after_64_t1():
    lone = Lone()
    call(lone)
    lone.drain()
    assert lone.heard() == ["INVITE"]
    assert sending_times(lone, 31.9) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert not lone.events
    lone.wait(0.2)
    assert lone.take("InviteRejected").status == 408
    assert lone.endpoint.next_timer() is None


def test_timer_e_doubles_up_to_t2_and_timer_f_ends_it_after_64_t1():
    lone = Lone()
    options(lone)
    lone.drain()
    lone.heard()
    assert sending_times(lone, 20) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]
    lone.wait(13)
    assert lone.take("RequestFailed").status_hint == 408


def test_timer_e_is_t2_once_a_provisional_is_there():
    lone = Lone()
    options(lone)
    lone.drain()
    lone.say(lone.response(lone.last(), 100))
    lone.heard()
    assert sending_times(lone, 10) == [0.5, 4.5, 8.5]


RELIABLE = (Transport.TCP, Transport.TLS)


@pytest.mark.parametrize("transport", RELIABLE)
def test_nothing_is_sent_twice_over_a_reliable_transport(transport):
    lone = Lone(transport=transport)
    call(lone)
    options(lone)
    lone.drain()
    assert lone.heard() == ["INVITE", "OPTIONS"]
    lone.wait(31)
    assert lone.heard() == []


@pytest.mark.parametrize("transport", RELIABLE)
def test_timers_b_and_f_end_a_silent_request_over_a_reliable_transport_too(transport):
    lone = Lone(transport=transport)
    call(lone)
    options(lone)
    lone.drain()
    lone.wait(31.9)
    assert not lone.events
    lone.wait(0.2)
    assert lone.take("InviteRejected").status == 408
    assert lone.take("RequestFailed").status_hint == 408
    assert lone.endpoint.next_timer() is None


@pytest.mark.parametrize("request_of", [call, options])
@pytest.mark.parametrize("transport", RELIABLE)
def test_timers_d_and_k_are_zero_over_a_reliable_transport(transport, request_of):
    lone = Lone(transport=transport)
    request_of(lone)
    lone.drain()
    failure = lone.response(lone.last(), 486)
    lone.say(failure)
    assert lone.endpoint.next_timer() is None
    lone.heard()
    lone.events.clear()
    lone.say(failure)
    assert lone.heard() == []
    assert lone.take("MessageRejected").status_hint == 481


def test_timer_k_absorbs_copies_of_a_final_response_for_t4():
    lone = Lone()
    options(lone)
    lone.drain()
    final = lone.response(lone.last(), 200)
    lone.say(final)
    lone.take("ResponseReceived")
    lone.wait(4.9)
    lone.say(final)
    assert not lone.events
    lone.wait(0.2)
    lone.say(final)
    assert lone.take("MessageRejected").status_hint == 481


def test_a_provisional_stops_timers_a_and_b_of_an_invite():
    lone = Lone()
    call(lone)
    lone.drain()
    lone.say(lone.response(lone.last(), 180))
    lone.heard()
    lone.wait(150)
    assert lone.heard() == []
    assert not [event for event in lone.events if type(event).__name__ == "InviteRejected"]


def test_copies_of_a_failure_are_acknowledged_until_timer_d_and_reported_once():
    lone = Lone()
    call(lone)
    lone.drain()
    failure = lone.response(lone.last(), 486)
    for _ in range(3):
        lone.say(failure)
    assert lone.heard() == ["INVITE", "ACK", "ACK", "ACK"]
    assert [type(event).__name__ for event in lone.events] == ["InviteRejected"]
    lone.wait(31)
    lone.say(failure)
    assert lone.heard() == ["ACK"]
    lone.wait(2)
    lone.say(failure)
    assert lone.heard() == []


def test_the_ack_of_a_failure_has_the_branch_of_its_invite_and_the_tag_of_the_response():
    lone = Lone()
    call(lone)
    lone.drain()
    invite = lone.last()
    lone.say(lone.response(invite, 486, to_tag="busy"))
    ack = lone.last()
    assert ack.top_via == invite.top_via
    assert ack.to.tag == "busy"
    assert ack.cseq.number == invite.cseq.number
    assert ack.uri == invite.uri


def test_the_ack_of_a_2xx_has_a_branch_of_its_own_and_is_sent_again_for_each_copy():
    lone = Lone()
    call(lone)
    lone.drain()
    invite = lone.last()
    success = lone.response(invite, 200, body=SDP)
    lone.say(success)
    ack = lone.last()
    assert ack.method == "ACK"
    assert ack.top_via.branch != invite.top_via.branch
    lone.say(success)
    assert lone.last() == ack
    lone.wait(33)
    lone.heard()
    lone.say(success)
    # RFC 6026: timer M has ended the Accepted state.
    assert lone.heard() == []


def test_a_response_on_another_stream_is_dropped():
    lone = Lone(transport=Transport.TLS)
    call(lone)
    lone.drain()
    other = Lone(transport=Transport.TLS).flow
    lone.say(lone.response(lone.last(), 486), flow=other)
    assert lone.heard() == ["INVITE"]
    assert [type(event).__name__ for event in lone.events] == ["MessageRejected"]


def test_a_response_with_two_vias_is_dropped():
    lone = Lone()
    call(lone)
    lone.drain()
    invite = lone.last()
    extra = invite.with_headers(
        invite.headers.with_added("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
    )
    lone.say(lone.response(extra, 486))
    assert lone.heard() == ["INVITE"]


def test_the_flow_dies_and_the_transaction_fails_with_503():
    lone = Lone(transport=Transport.TLS)
    options(lone)
    lone.drain()
    lone.endpoint.disconnected(flow=lone.flow, reason="reset", now=lone.now)
    lone.drain()
    failed = lone.take("RequestFailed")
    assert (failed.status_hint, failed.reason) == (503, "reset")
    assert lone.endpoint.next_timer() is None


def test_a_request_on_a_dead_flow_fails_after_the_command_returned():
    lone = Lone(transport=Transport.TLS)
    lone.endpoint.disconnected(flow=lone.flow, reason=None, now=lone.now)
    exchange = options(lone)
    lone.events.clear()
    lone.wait(0)
    assert lone.take("RequestFailed").exchange is exchange
