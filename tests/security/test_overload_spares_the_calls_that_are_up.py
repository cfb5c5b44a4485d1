"""A flood of requests gets 503; calls that are up, and whoever is known, go on."""

from __future__ import annotations

from softphone.sans_io import Target, Transport
from softphone.sip import EndpointConfig
from softphone.sip.message import Body
from tests.support.lone import SDP, Lone
from tests.support.pair import new_flow


def call(far):
    """A confirmed call; gives its To tag."""
    far.say(far.request("INVITE", call_id="call", body=SDP))
    far.take("InviteReceived").usage.accept(Body("application/sdp", SDP.encode()), now=far.now)
    far.drain()
    tag = far.last().to.tag
    far.say(far.request("ACK", call_id="call", to_tag=tag))
    far.heard()
    return tag


def flood(far, count, **request):
    for i in range(count):
        far.say(far.request("OPTIONS", call_id=f"flood{i}", **request))
    return far.heard()


def test_requests_within_a_call_are_served_when_the_rate_is_used_up():
    far = Lone(config=EndpointConfig(admission_rate=1, admission_burst=3))
    tag = call(far)
    assert 503 in flood(far, 9)
    far.say(far.request("INFO", call_id="call", cseq=2, to_tag=tag))
    far.say(far.request("BYE", call_id="call", cseq=3, to_tag=tag))
    assert 503 not in far.heard()
    assert far.take("InviteEnded")


def test_requests_within_a_call_are_served_when_the_transaction_table_is_full():
    far = Lone(config=EndpointConfig(max_transactions=8))
    tag = call(far)
    assert 503 in flood(far, 20)
    far.say(far.request("BYE", call_id="call", cseq=2, to_tag=tag))
    assert far.heard() == [200]


def test_a_to_tag_that_names_no_dialog_is_no_way_around_the_rate():
    far = Lone(config=EndpointConfig(admission_rate=1, admission_burst=3))
    assert flood(far, 9, to_tag="made-up") == [481] * 3 + [503] * 6


def test_a_cancel_of_nothing_is_no_way_around_the_rate():
    far = Lone(config=EndpointConfig(admission_rate=1, admission_burst=3))
    for i in range(9):
        far.say(far.request("CANCEL", call_id=f"c{i}"))
    assert far.heard() == [481] * 3 + [503] * 6


def test_the_cancel_of_a_call_is_served_when_the_rate_is_used_up():
    far = Lone(config=EndpointConfig(admission_rate=1, admission_burst=3))
    far.say(far.request("INVITE", call_id="call", branch="z9hG4bKthis", body=SDP))
    assert 503 in flood(far, 9)
    far.say(far.request("CANCEL", call_id="call", branch="z9hG4bKthis"))
    assert far.heard() == [200, 487]


def test_a_crowd_of_strangers_does_not_keep_our_server_from_calling_us():
    far = Lone(config=EndpointConfig(admission_rate=1, admission_burst=3))
    ours = new_flow(Transport.UDP, ("192.0.2.1", 5060), ("192.0.2.8", 5060))
    target = Target(Transport.UDP, "192.0.2.8", 5060)
    far.endpoint.connected(flow=ours, now=far.now, target=target)
    far.endpoint.keep_flow_open(ours)
    assert 503 in flood(far, 9)
    far.say(far.request("INVITE", call_id="call", body=SDP), flow=ours)
    assert far.take("InviteReceived")
