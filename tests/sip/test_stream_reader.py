"""A message that does not come to its end closes its stream."""

from __future__ import annotations

from softphone.sans_io import Transport
from tests.support.lone import Lone


def half(lone):
    return lone.request("OPTIONS")[:-10]


def test_the_flow_is_closed_when_the_rest_does_not_come():
    lone = Lone(transport=Transport.TCP)
    lone.say(half(lone))
    lone.wait(31)
    assert not lone.transmits
    lone.wait(2)
    assert lone.transmits[-1].close
    assert lone.take("MessageRejected").status_hint == 408


def test_dribbling_does_not_prolong_the_wait():
    lone = Lone(transport=Transport.TCP)
    lone.say(half(lone))
    for byte in ("\r", "\n", "X", "-"):
        lone.wait(9)
        lone.say(byte)
    assert lone.transmits[-1].close


def test_a_message_that_comes_to_its_end_is_served_and_leaves_no_timer():
    lone = Lone(transport=Transport.TLS)
    text = lone.request("OPTIONS")
    for piece in (text[:100], text[100:]):
        lone.wait(20)
        lone.say(piece)
    assert lone.heard() == [200]
    lone.wait(40)
    assert lone.endpoint.next_timer() is None


def test_a_flow_that_ends_takes_its_wait_with_it():
    lone = Lone(transport=Transport.TLS)
    lone.say(half(lone))
    lone.endpoint.disconnected(flow=lone.flow, reason=None, now=lone.now)
    lone.drain()
    assert lone.endpoint.next_timer() is None
