"""Server transactions on the wire: timers G, H, I, J and L (RFC 3261 17.2, RFC 6026, RFC 3581)."""

from __future__ import annotations

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip.message import parse_datagram
from softphone.sip.transaction.server import return_path, server_key, with_received
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, new_flow


def ringing(lone, **options):
    invite = lone.request("INVITE", body=SDP, **options)
    lone.say(invite)
    return invite, lone.take("InviteReceived").usage


def sending_times(lone, seconds, step=0.05):
    times, start = [], lone.now
    for _ in range(round(seconds / step)):
        lone.wait(step)
        times += [round(lone.now - start, 1)] * len(lone.heard())
    return times


def test_an_invite_gets_100_after_200_ms_and_copies_get_it_again():
    lone = Lone()
    invite, _ = ringing(lone)
    assert lone.heard() == []
    lone.say(invite)
    assert lone.heard() == []
    lone.wait(0.25)
    lone.say(invite)
    assert lone.heard() == [100, 100]


def test_timer_g_repeats_a_failure_up_to_t2_and_timer_h_ends_it():
    lone = Lone()
    lone.endpoint.keep_flow_open(lone.flow)
    _, usage = ringing(lone)
    usage.reject(486, now=lone.now)
    lone.drain()
    assert lone.heard() == [486]
    assert sending_times(lone, 20) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]
    lone.wait(15)
    lone.heard()
    assert lone.endpoint.next_timer() is None


def test_the_ack_of_a_failure_stops_timer_g_and_copies_are_absorbed():
    lone = Lone()
    invite, usage = ringing(lone, branch="z9hG4bKone")
    usage.reject(486, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.heard()
    lone.say(lone.request("ACK", branch="z9hG4bKone", to_tag=tag))
    lone.say(invite)
    assert sending_times(lone, 4.9) == []
    lone.wait(0.2)
    assert lone.endpoint.next_timer() is None


RELIABLE = (Transport.TCP, Transport.TLS)


@pytest.mark.parametrize("transport", RELIABLE)
def test_a_reliable_transport_repeats_no_failure(transport):
    lone = Lone(transport=transport)
    _, usage = ringing(lone)
    usage.reject(486, now=lone.now)
    lone.drain()
    assert lone.heard() == [486]
    lone.wait(33)
    assert lone.heard() == []
    assert lone.endpoint.next_timer() is None


def test_a_copy_of_an_answered_request_gets_the_same_answer_until_timer_j():
    lone = Lone()
    options = lone.request("OPTIONS")
    lone.say(options)
    first = lone.last()
    lone.wait(31.9)
    lone.say(options)
    assert lone.last() == first
    lone.wait(0.2)
    lone.say(options)
    assert lone.last() != first


@pytest.mark.parametrize("transport", RELIABLE)
def test_timer_j_is_zero_over_a_reliable_transport(transport):
    lone = Lone(transport=transport)
    options = lone.request("OPTIONS")
    lone.say(options)
    first = lone.last()
    assert lone.endpoint.next_timer() is None
    lone.say(options)
    assert lone.last() != first


@pytest.mark.parametrize("transport", RELIABLE)
def test_timer_i_is_zero_over_a_reliable_transport(transport):
    lone = Lone(transport=transport)
    _, usage = ringing(lone, branch="z9hG4bKone")
    usage.reject(486, now=lone.now)
    lone.drain()
    assert lone.endpoint._layer.server_count == 1
    lone.say(lone.request("ACK", branch="z9hG4bKone", to_tag=lone.last().to.tag))
    assert lone.endpoint._layer.server_count == 0
    assert lone.endpoint.next_timer() is None


@pytest.mark.parametrize("transport", Transport)
def test_timer_h_ends_a_failure_without_ack_after_64_t1_and_is_no_matter(transport):
    lone = Lone(transport=transport)
    _, usage = ringing(lone)
    usage.reject(486, now=lone.now)
    lone.wait(31.9)
    assert lone.endpoint._layer.server_count == 1
    lone.wait(0.2)
    assert lone.endpoint._layer.server_count == 0
    assert not lone.events


@pytest.mark.parametrize("transport", Transport)
def test_timer_l_ends_the_accepted_state_after_64_t1(transport):
    lone = Lone(transport=transport)
    _, usage = ringing(lone)
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    lone.say(lone.request("ACK", to_tag=lone.last().to.tag))
    lone.wait(31.9)
    assert lone.endpoint._layer.server_count == 1
    lone.wait(0.2)
    assert lone.endpoint._layer.server_count == 0


def test_a_copy_of_an_accepted_invite_is_absorbed():
    lone = Lone()
    invite, usage = ringing(lone)
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    assert lone.heard() == [200]
    lone.say(invite)
    assert lone.heard() == []
    assert not lone.events


def test_received_and_rport_are_filled_in_for_a_client_that_asks():
    lone = Lone()
    flow = new_flow(Transport.UDP, ("192.0.2.1", 5060), ("203.0.113.5", 40000))
    lone.say(lone.request("OPTIONS"), flow=flow)
    via = lone.last().top_via
    assert (via.received, via.rport) == ("203.0.113.5", 40000)
    assert lone.transmits[-1].to == flow


def test_without_rport_the_response_goes_to_the_port_of_sent_by():
    flow = new_flow(Transport.UDP, ("192.0.2.1", 5060), ("203.0.113.5", 40000))
    text = Lone().request("OPTIONS").replace(";rport", "")
    request = parse_datagram(text.encode())
    assert return_path(request.top_via, flow) == Target(Transport.UDP, "203.0.113.5", 5060)
    assert with_received(request, flow).top_via.received == "203.0.113.5"


def test_an_ack_has_the_key_of_its_invite_and_a_cancel_its_own():
    lone = Lone()
    keys = {
        method: server_key(parse_datagram(lone.request(method, branch="z9hG4bKq").encode()))
        for method in ("INVITE", "ACK", "CANCEL")
    }
    assert keys["INVITE"] == keys["ACK"] != keys["CANCEL"]


def test_a_bare_magic_cookie_is_matched_by_the_fields_of_rfc_2543():
    lone = Lone()
    one = lone.request("OPTIONS", branch="z9hG4bK", call_id="one")
    two = lone.request("OPTIONS", branch="z9hG4bK", call_id="two")
    lone.say(one)
    lone.say(two)
    assert lone.heard() == [200, 200]
    calls = {key[3] for key in lone.endpoint._layer._servers}
    assert calls == {"one", "two"}


def test_the_flow_dies_before_the_answer_and_the_call_is_over():
    lone = Lone(transport=Transport.TLS)
    ringing(lone)
    lone.endpoint.disconnected(flow=lone.flow, reason="reset", now=lone.now)
    lone.drain()
    assert lone.take("InviteEnded").status == 503
    assert lone.endpoint.usages() == ()
    assert lone.endpoint.next_timer() is None
