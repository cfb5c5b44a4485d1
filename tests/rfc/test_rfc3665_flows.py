"""RFC 3665 section 3: the call flows between two user agents, message by message."""

from __future__ import annotations

import pytest

from softphone.sans_io import Transport
from softphone.sip.message import NameAddr, Request
from tests.support.pair import ANSWER, ANSWER_2, OFFER, OFFER_2, Pair, kinds

TRANSPORTS = [Transport.UDP, Transport.TCP, Transport.TLS]


def ladder(pair):
    """The wire as lines of a call flow."""
    arrow = {"alice": "->", "bob": "<-"}
    return [
        f"{arrow[side]} {m.method if isinstance(m, Request) else m.status}" for side, m in pair.wire
    ]


def ringing(pair, **changes):
    mine = pair.alice.invite(pair.invitation(**changes), now=pair.now)
    pair.run(0.25)
    theirs = pair.take("bob", "InviteReceived").usage
    theirs.send_provisional(now=pair.now)
    pair.run(0.1)
    return mine, theirs


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_3_1_successful_session_establishment(transport):
    pair = Pair(transport=transport)
    _, theirs = ringing(pair)
    theirs.accept(ANSWER, now=pair.now)
    pair.run(0.1)
    theirs.bye(now=pair.now)
    pair.run(0.1)
    assert ladder(pair) == [
        "-> INVITE",
        "<- 100",
        "<- 180",
        "<- 200",
        "-> ACK",
        "<- BYE",
        "-> 200",
    ]
    invite, ack, bye = (pair.wire[i][1] for i in (0, 4, 5))
    assert invite.call_id == ack.call_id == bye.call_id
    assert ack.cseq.number == invite.cseq.number
    assert ack.uri == pair.wire[3][1].contacts[0].uri
    assert bye.uri == invite.contacts[0].uri
    assert bye.from_.tag == ack.to.tag
    assert bye.to.tag == invite.from_.tag


def test_3_2_session_establishment_through_a_strict_first_hop_keeps_the_route_set():
    pair = Pair()
    strict = NameAddr.parse("<sip:proxy@192.0.2.2;maddr=x>")
    loose = NameAddr.parse("<sip:192.0.2.8;lr>")
    pair.alice.invite(pair.invitation(route_set=(strict, loose)), now=pair.now)
    pair.run(0)
    invite = pair.wire[0][1]
    assert str(invite.uri) == "sip:proxy@192.0.2.2;maddr=x"
    assert [str(route.uri) for route in invite.routes] == ["sip:192.0.2.8;lr", "sip:bob@192.0.2.2"]


def test_3_7_session_with_reinvite():
    pair = Pair()
    mine, theirs = ringing(pair)
    theirs.accept(ANSWER, now=pair.now)
    pair.run(0.1)
    pair.wire.clear()
    theirs.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    mine.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.05)
    mine.bye(now=pair.now)
    pair.run(0.1)
    assert ladder(pair) == ["<- INVITE", "-> 200", "<- ACK", "-> BYE", "<- 200"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_3_8_unsuccessful_no_answer(transport):
    pair = Pair(transport=transport)
    mine, _ = ringing(pair)
    mine.cancel(now=pair.now)
    pair.run(0.1)
    assert ladder(pair) == [
        "-> INVITE",
        "<- 100",
        "<- 180",
        "-> CANCEL",
        "<- 200",
        "<- 487",
        "-> ACK",
    ]
    assert kinds(pair.events["bob"]) == ["InviteCanceled"]
    assert pair.take("alice", "InviteRejected").canceled


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_3_9_unsuccessful_busy(transport):
    pair = Pair(transport=transport)
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    pair.take("bob", "InviteReceived").usage.reject(486, now=pair.now)
    pair.run(0.1)
    assert ladder(pair) == ["-> INVITE", "<- 486", "-> ACK"]


def test_3_10_unsuccessful_no_response_from_user_agent():
    pair = Pair()
    pair.links["alice"].up = False
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(33)
    assert ladder(pair) == ["-> INVITE"] * 7
    assert pair.take("alice", "InviteRejected").status == 408


def test_3_11_unsuccessful_temporarily_unavailable():
    pair = Pair()
    _, theirs = ringing(pair)
    theirs.reject(480, now=pair.now)
    pair.run(0.1)
    assert ladder(pair) == ["-> INVITE", "<- 100", "<- 180", "<- 480", "-> ACK"]


def test_delayed_offer_with_its_answer_in_the_ack():
    pair = Pair()
    mine, theirs = ringing(pair, body=None)
    theirs.accept(OFFER, now=pair.now)
    pair.run(0.05)
    mine.acknowledge(ANSWER, now=pair.now)
    pair.run(0.05)
    assert ladder(pair) == ["-> INVITE", "<- 100", "<- 180", "<- 200", "-> ACK"]
    assert [m.content for _, m in pair.wire] == [None, None, None, OFFER, ANSWER]
    assert pair.take("bob", "AckReceived").body == ANSWER


def test_reliable_early_media_with_prack():
    pair = Pair()
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "InviteReceived").usage
    theirs.send_provisional(183, now=pair.now, body=ANSWER)
    theirs.accept(None, now=pair.now)
    pair.run(0.2)
    assert ladder(pair) == [
        "-> INVITE",
        "<- 183",
        "-> PRACK",
        "<- 200",
        "<- 200",
        "-> ACK",
    ]
