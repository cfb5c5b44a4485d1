"""2xx copies until the ACK, on every transport (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.sip import InviteState
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, Pair


@pytest.mark.parametrize("transport", Transport)
def test_the_gaps_double_from_t1_to_t2_whatever_the_transport(transport):
    lone = Lone(transport=transport)
    lone.say(lone.request("INVITE", body=SDP))
    lone.take("InviteReceived").usage.accept(ANSWER, now=lone.now)
    lone.drain()
    lone.heard()
    start, times = lone.now, []
    while (at := lone.endpoint.next_timer()) is not None and at - start < 20:
        lone.clock.advance(at)
        lone.endpoint.handle_timer(now=lone.now)
        lone.drain()
        times += [round(at - start, 1)] * len(lone.heard())
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]


def test_after_a_new_flow_the_copies_go_out_on_it():
    pair = Pair(transport=Transport.TLS)
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "InviteReceived").usage
    pair.links["bob"].up = False
    theirs.accept(ANSWER, now=pair.now)
    pair.drain()
    old = pair.flows["bob"]
    pair.cut()
    pair.connect()
    pair.bob.rebind_flow(old, pair.flows["bob"], now=pair.now)
    before = len(pair.wire)
    pair.run(1)
    copies = [m for side, m in pair.wire[before:] if side == "bob"]
    assert [m.status for m in copies] == [200]


def test_each_2xx_waits_for_the_ack_of_its_own_number():
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    for cseq in (2, 3):
        lone.say(lone.request("INVITE", cseq=cseq, to_tag=tag, body=SDP))
        usage.answer_modification(ANSWER, now=lone.now)
        lone.drain()
    for acknowledged, left in ((2, {1, 3}), (1, {3}), (3, set())):
        lone.say(lone.request("ACK", cseq=acknowledged, to_tag=tag))
        lone.out.clear()
        lone.wait(4)
        assert {copy.cseq.number for copy in lone.out} == left
    lone.wait(40)
    assert usage.state is InviteState.CONFIRMED
