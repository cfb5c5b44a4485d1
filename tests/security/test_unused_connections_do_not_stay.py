"""Connections that carry nothing are closed, so that they cannot take every place for ever."""

from __future__ import annotations

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip import EndpointConfig
from softphone.sip.message import Body
from tests.support.lone import SDP, Lone
from tests.support.pair import new_flow

CONFIG = EndpointConfig(idle_timeout=300.0)
ANSWER = Body("application/sdp", SDP.encode())


def lone(transport=Transport.TLS):
    return Lone(transport=transport, config=CONFIG)


def closed(far):
    return any(transmit.close for transmit in far.transmits)


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_a_connection_without_a_message_is_closed(transport):
    far = lone(transport)
    far.wait(299)
    assert not closed(far)
    far.wait(2)
    assert closed(far)
    assert far.take("MessageRejected").reason == "A connection that nobody uses"


def test_pings_do_not_keep_a_stranger_in():
    far = lone()
    for _ in range(7):
        far.wait(50)
        far.say("\r\n\r\n")
    assert closed(far)


def test_a_message_begins_the_time_anew():
    far = lone()
    far.wait(250)
    far.say(far.request("OPTIONS"))
    far.wait(299)
    assert not closed(far)
    far.wait(2)
    assert closed(far)


def test_half_a_message_gets_less_time_and_no_more_for_each_byte():
    far = lone()
    far.say(far.request("OPTIONS")[:-10])
    far.wait(33)
    assert closed(far)


def test_a_call_keeps_its_connection_and_its_end_begins_the_time():
    far = lone()
    far.say(far.request("INVITE", body=SDP))
    usage = far.take("InviteReceived").usage
    usage.accept(ANSWER, now=far.now)
    far.drain()
    far.say(far.request("ACK", to_tag=far.last().to.tag))
    far.wait(1000)
    assert not closed(far)
    usage.bye(now=far.now)
    far.drain()
    far.wait(700)
    assert closed(far)


def test_a_connection_of_a_registered_phone_may_be_silent():
    far = lone()
    far.endpoint.keep_flow_open(far.flow)
    far.wait(5000)
    assert not closed(far)


def test_a_connection_that_we_opened_may_be_silent():
    far = lone()
    ours = new_flow(Transport.TLS, ("192.0.2.1", 40000), ("192.0.2.8", 5061))
    target = Target(Transport.TLS, "192.0.2.8", 5061)
    far.endpoint.connected(flow=ours, now=far.now, target=target)
    far.wait(5000)
    assert not any(t.close and t.to == ours for t in far.transmits)


def test_a_connection_that_ends_leaves_no_timer():
    far = lone()
    far.endpoint.disconnected(flow=far.flow, reason=None, now=far.now)
    assert far.endpoint.next_timer() is None
