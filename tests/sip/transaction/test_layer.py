"""Names from entropy, matching, and ACK for 2xx over the layer."""

from __future__ import annotations

from softphone.sans_io import Target, Transport
from softphone.sip import EndpointConfig
from softphone.sip.transaction import TransactionLayer
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair, new_flow


def layer(seed=1):
    return TransactionLayer(config=EndpointConfig(), entropy=seeded_entropy(seed))


def test_names_come_from_the_entropy_alone_and_do_not_repeat():
    def names(seed):
        one = layer(seed)
        makers = (one.new_branch, one.new_tag, one.new_call_id)
        return [make() for _ in range(50) for make in makers]

    assert names(1) == names(1)
    assert len(set(names(1))) == 150
    assert not set(names(1)) & set(names(2))
    assert layer().new_branch().startswith("z9hG4bK")


def test_a_first_cseq_leaves_room_to_rise():
    one = layer()
    assert all(1 <= one.new_sequence() <= 2**16 for _ in range(100))
    assert all(0 <= one.random() < 1 for _ in range(100))


def test_an_ack_waits_for_the_flow_and_is_the_same_each_time():
    pair = Pair()
    lone = Lone()
    lone.endpoint.invite(pair.invitation(to=lone.flow), now=lone.now)
    lone.drain()
    success = lone.response(lone.last(), 200, body=SDP)
    lone.say(success)
    first = lone.transmits[-1].data
    lone.say(success)
    assert lone.transmits[-1].data == first


LONG = EndpointConfig(reliable_above=1300)
OVER_TCP = Target(Transport.TCP, "192.0.2.9", 5060)


def long_invite(lone):
    """An INVITE that is too long for UDP, on its way over TCP."""
    wordy = (("Subject", "x" * 1400),)
    lone.endpoint.invite(Pair().invitation(to=lone.flow, headers=wordy), now=lone.now)
    lone.drain()
    assert lone.transmits[-1].to == OVER_TCP
    assert lone.out == []


def test_a_large_request_goes_over_udp_after_all_where_tcp_is_refused():
    lone = Lone(config=LONG)
    long_invite(lone)
    lone.endpoint.disconnected(flow=OVER_TCP, reason="refused", now=lone.now)
    lone.drain()
    sent = lone.last()
    assert lone.transmits[-1].to == lone.flow
    assert len(sent.vias) == 1
    assert sent.top_via.transport == "UDP"
    assert "transport=tcp" not in sent.headers.get("Contact").lower()
    lone.wait(0.6)
    assert lone.heard() == ["INVITE", "INVITE"]
    lone.say(lone.response(sent, 486))
    assert lone.take("InviteRejected").status == 486


def test_a_tcp_connection_that_breaks_unanswered_is_no_way_either():
    lone = Lone(config=LONG)
    long_invite(lone)
    flow = new_flow(Transport.TCP, ("192.0.2.1", 7000), ("192.0.2.9", 5060))
    lone.endpoint.connected(flow=flow, target=OVER_TCP, now=lone.now)
    lone.drain()
    assert lone.last().top_via.transport == "TCP"
    lone.endpoint.disconnected(flow=flow, reason="reset", now=lone.now)
    lone.drain()
    sent = lone.last()
    assert (sent.top_via.transport, len(sent.vias)) == ("UDP", 1)
    lone.endpoint.disconnected(flow=lone.flow, reason="gone", now=lone.now)
    lone.drain()
    assert lone.take("InviteRejected").status == 503


def test_a_tcp_connection_that_breaks_after_an_answer_is_a_failure():
    lone = Lone(config=LONG)
    long_invite(lone)
    flow = new_flow(Transport.TCP, ("192.0.2.1", 7000), ("192.0.2.9", 5060))
    lone.endpoint.connected(flow=flow, target=OVER_TCP, now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 180), flow=flow)
    lone.heard()
    lone.endpoint.disconnected(flow=flow, reason="reset", now=lone.now)
    lone.drain()
    assert lone.take("InviteRejected").status == 503
    assert lone.heard() == []


def test_a_response_that_matches_nothing_is_reported_and_dropped():
    lone = Lone()
    pair = Pair()
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0)
    lone.say(lone.response(pair.wire[0][1], 200))
    assert lone.take("MessageRejected").status_hint == 481
    assert lone.heard() == []
