"""Our re-INVITE and UPDATE, and glare with the far end's (RFC 3261 14.1, RFC 3311 5)."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Transport
from softphone.sip.invite import InviteState
from softphone.sip.message import BodyRole
from tests.support.pair import ANSWER_2, OFFER, OFFER_2, Pair, kinds


def test_a_reinvite_is_offered_answered_and_acknowledged():
    pair = Pair()
    mine, theirs = pair.answered()
    pair.wire.clear()
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    received = pair.take("bob", "ModificationReceived")
    assert (received.role, received.body) == (BodyRole.OFFER, OFFER_2)
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.1)
    answered = pair.take("alice", "ModificationAnswered")
    assert (answered.role, answered.body) == (BodyRole.ANSWER, ANSWER_2)
    assert pair.sent("alice") == ["INVITE", "ACK"]
    pair.run(60)
    assert pair.sent("bob") == ["200"]


def test_a_reinvite_without_offer_asks_for_one_and_answers_in_the_ack():
    pair = Pair()
    mine, theirs = pair.answered()
    theirs.reinvite(None, now=pair.now)
    pair.run(0.05)
    assert pair.take("alice", "ModificationReceived").role is None
    mine.answer_modification(OFFER_2, now=pair.now)
    pair.run(0.05)
    assert pair.take("bob", "ModificationAnswered").role is BodyRole.OFFER
    theirs.acknowledge(ANSWER_2, now=pair.now)
    pair.run(0.05)
    acknowledged = pair.take("alice", "AckReceived")
    assert (acknowledged.role, acknowledged.body) == (BodyRole.ANSWER, ANSWER_2)


def test_a_refused_reinvite_leaves_the_session_as_it_was():
    pair = Pair()
    mine, theirs = pair.answered()
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    pair.take("bob", "ModificationReceived")
    theirs.reject_modification(488, now=pair.now)
    pair.run(0.1)
    assert pair.take("alice", "ModificationFailed").status == 488
    assert mine.state is theirs.state is InviteState.CONFIRMED
    theirs.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    assert pair.take("alice", "ModificationReceived").body == OFFER_2


def test_update_modifies_the_session_without_ack():
    pair = Pair()
    mine, theirs = pair.answered()
    pair.wire.clear()
    mine.update(OFFER_2, now=pair.now)
    pair.run(0.05)
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.05)
    assert pair.take("alice", "ModificationAnswered").role is BodyRole.ANSWER
    assert pair.sent("alice") == ["UPDATE"]


def test_an_update_without_offer_is_answered_inside():
    pair = Pair()
    mine, _ = pair.answered()
    mine.update(None, now=pair.now)
    pair.run(0.05)
    assert kinds(pair.events["bob"]) == ["SessionRefreshed"]
    assert pair.take("alice", "ModificationAnswered").role is None


def test_update_works_in_an_early_dialog_once_the_first_answer_is_through():
    pair = Pair()
    mine = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "InviteReceived").usage
    theirs.send_provisional(183, now=pair.now, body=ANSWER_2)
    pair.run(0.1)
    mine.update(OFFER_2, now=pair.now)
    pair.run(0.05)
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.05)
    assert pair.take("alice", "ModificationAnswered").role is BodyRole.ANSWER
    theirs.accept(None, now=pair.now)
    pair.run(0.1)
    assert mine.state is InviteState.CONFIRMED


@pytest.mark.parametrize("seed", range(5))
def test_both_reinvite_at_once_and_both_get_through_in_the_end(seed):
    pair = Pair(seed=seed)
    mine, theirs = pair.answered()
    pair.wire.clear()
    pair.on_event["alice"] = lambda event: answer(event, mine, pair)
    pair.on_event["bob"] = lambda event: answer(event, theirs, pair)
    mine.reinvite(OFFER_2, now=pair.now)
    theirs.reinvite(OFFER_2, now=pair.now)
    pair.run(1.99)
    assert pair.sent("alice").count("491") == pair.sent("bob").count("491") == 1
    # The owner of the Call-ID waits 2.1 to 4 s, the other at most 2 s (RFC 3261 section 14.1).
    assert "ModificationAnswered" not in kinds(pair.events["alice"])
    pair.run(3)
    for side in ("alice", "bob"):
        assert kinds(pair.events[side]).count("ModificationAnswered") == 1


def answer(event, usage, pair):
    if type(event).__name__ == "ModificationReceived":
        usage.answer_modification(ANSWER_2, now=pair.now)


def test_two_updates_that_cross_get_491():
    pair = Pair()
    mine, theirs = pair.answered()
    mine.update(OFFER_2, now=pair.now)
    theirs.update(OFFER_2, now=pair.now)
    pair.run(0.05)
    assert [m.status for _, m in pair.wire[-2:]] == [491, 491]


def test_a_second_offer_before_the_answer_to_the_first_gets_500_with_retry_after():
    pair = Pair()
    mine, theirs = pair.answered()
    mine.update(OFFER_2, now=pair.now)
    pair.run(0.05)
    leg = theirs.leg
    assert not leg.offer_answer.stable
    mine.local_modification.stop()
    mine.leg.offer_answer = type(mine.leg.offer_answer)()
    mine.update(OFFER, now=pair.now)
    pair.run(0.02)
    refused = pair.wire[-1][1]
    assert refused.status == 500
    assert 0 <= refused.retry_after.delta <= 10


def test_a_modification_while_one_is_open_is_our_own_mistake():
    pair = Pair()
    mine, theirs = pair.answered()
    mine.reinvite(OFFER_2, now=pair.now)
    with pytest.raises(LocalProtocolError):
        mine.update(OFFER_2, now=pair.now)
    pair.run(0.05)
    with pytest.raises(LocalProtocolError):
        theirs.reinvite(OFFER_2, now=pair.now)


def test_481_to_a_reinvite_ends_the_call():
    pair = Pair()
    mine, theirs = pair.answered()
    theirs.end_without_event(now=pair.now)
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.1)
    assert kinds(pair.events["alice"]) == ["ModificationFailed", "InviteEnded"]
    assert pair.alice.usages() == ()


def test_no_answer_to_a_reinvite_ends_the_call_with_bye():
    pair = Pair()
    mine, _ = pair.answered()
    pair.links["alice"].up = False
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(33)
    assert kinds(pair.events["alice"]) == ["ModificationFailed", "InviteEnded"]
    assert "BYE" in pair.sent("alice")


def test_a_dead_flow_fails_the_modification_and_the_call_lives_on_a_new_flow():
    pair = Pair(transport=Transport.TLS)
    mine, theirs = pair.answered()
    mine.reinvite(OFFER_2, now=pair.now)
    old = dict(pair.flows)
    pair.cut()
    failed = pair.take("alice", "ModificationFailed")
    assert failed.status == 503
    assert mine.state is theirs.state is InviteState.CONFIRMED
    pair.connect()
    pair.bob.rebind_flow(old["bob"], pair.flows["bob"], now=pair.now)
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.05)
    assert pair.take("bob", "ModificationReceived").role is BodyRole.OFFER
    theirs.answer_modification(ANSWER_2, now=pair.now)
    pair.run(0.1)
    theirs.bye(now=pair.now)
    pair.run(0.1)
    assert kinds(pair.events["alice"])[-1] == "InviteEnded"


def test_the_remote_target_follows_the_contact_of_requests_and_of_2xx():
    pair = Pair()
    mine, theirs = pair.answered()
    mine.contact = mine.dialog.local.without_parameter("tag")
    mine.update(None, now=pair.now)
    pair.run(0.05)
    assert str(theirs.remote_target) == "sip:alice@example.com"
