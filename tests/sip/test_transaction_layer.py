"""Names from entropy, matching, and ACK for 2xx over the layer."""

from __future__ import annotations

from softphone.sip.config import EndpointConfig
from softphone.sip.transaction_layer import TransactionLayer
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair


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


def test_a_response_that_matches_nothing_is_reported_and_dropped():
    lone = Lone()
    pair = Pair()
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0)
    lone.say(lone.response(pair.wire[0][1], 200))
    assert lone.take("MessageRejected").status_hint == 481
    assert lone.heard() == []
