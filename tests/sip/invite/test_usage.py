"""The INVITE usage as its application sees it."""

from __future__ import annotations

from weakref import ref

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Side, Transport
from softphone.sip import Cause
from softphone.sip.invite import InviteState
from softphone.sip.invite.subscriptions import MAXIMUM_DIALOG_USAGES
from softphone.sip.message import NameAddr
from tests.support.leavings import no_collector, rings
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER, OFFER_2, Pair, kinds

TARGET = NameAddr.parse("<sip:carol@192.0.2.3>")


def test_both_sides_know_who_and_where_the_other_is():
    pair = Pair()
    mine = pair.alice.invite(pair.invitation(), now=pair.now)
    assert str(mine.remote.uri) == "sip:bob@example.com"
    assert str(mine.remote_target) == "sip:bob@192.0.2.2"
    pair.run(0.05)
    theirs = pair.take("bob", "InviteReceived").usage
    assert str(theirs.remote.uri) == "sip:alice@example.com"
    theirs.accept(ANSWER, now=pair.now)
    pair.run(0.1)
    assert (mine.side, theirs.side) == (Side.CLIENT, Side.SERVER)
    assert mine.call_id == theirs.call_id
    assert str(mine.remote_target) == "sip:bob@192.0.2.2:5060"
    assert (mine.local.tag, mine.remote.tag) == (theirs.remote.tag, theirs.local.tag)
    assert (mine.flow, theirs.flow) == (pair.flows["alice"], pair.flows["bob"])
    assert mine.answered
    assert theirs.answered


@pytest.mark.parametrize(
    "command",
    [
        lambda usage, now: usage.send_provisional(now=now),
        lambda usage, now: usage.accept(ANSWER, now=now),
        lambda usage, now: usage.reject(486, now=now),
        lambda usage, now: usage.reinvite(OFFER_2, now=now),
        lambda usage, now: usage.update(OFFER_2, now=now),
        lambda usage, now: usage.acknowledge(ANSWER, now=now),
        lambda usage, now: usage.prack(ANSWER, now=now),
        lambda usage, now: usage.answer_modification(ANSWER, now=now),
        lambda usage, now: usage.refer(TARGET, now=now),
        lambda usage, now: usage.info(None, now=now),
        lambda usage, now: usage.replaces_value(),
    ],
)
def test_a_caller_that_waits_cannot_do_what_belongs_to_others_or_later(command):
    lone = Lone()
    usage = lone.endpoint.invite(Pair().invitation(to=lone.flow), now=lone.now)
    with pytest.raises(LocalProtocolError):
        command(usage, lone.now)
    assert usage.state is InviteState.CALLING


def test_bye_before_the_answer_cancels_or_refuses():
    pair = Pair()
    mine = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.3)
    mine.bye(now=pair.now)
    pair.run(0.1)
    assert "CANCEL" in pair.sent("alice")
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    pair.take("bob", "InviteReceived")
    pair.take("bob", "InviteReceived").usage.bye(now=pair.now)
    pair.run(0.05)
    assert "480" in pair.sent("bob")


def test_bye_of_the_far_end_tells_why():
    pair = Pair()
    mine, theirs = pair.answered()
    mine.bye(now=pair.now, headers=(("Reason", 'SIP;cause=488;text="No SRTP"'),))
    pair.run(0.1)
    ended = pair.take("bob", "InviteEnded")
    assert (ended.cause, ended.status, ended.reason) == (Cause.REMOTE, 488, "No SRTP")
    assert ended.request.method == "BYE"
    assert theirs.state is InviteState.TERMINATED
    with pytest.raises(LocalProtocolError):
        theirs.bye(now=pair.now)


def test_bye_while_an_ack_with_an_answer_is_owed_sends_the_ack_first():
    lone = Lone()
    usage = lone.endpoint.invite(Pair().invitation(to=lone.flow, body=None), now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 200, body=SDP))
    usage.bye(now=lone.now)
    lone.drain()
    assert lone.heard() == ["INVITE", "ACK", "BYE"]


def test_after_the_end_nothing_more_is_told():
    pair = Pair()
    mine, theirs = pair.answered()
    theirs.reinvite(OFFER_2, now=pair.now)
    mine.bye(now=pair.now)
    pair.run(40)
    assert kinds(pair.events["alice"]) == ["InviteEnded"]
    assert kinds(pair.events["bob"])[-1] == "InviteEnded"


def test_what_shares_a_dialog_is_bounded():
    pair = Pair()
    mine, _ = pair.answered()
    for _ in range(MAXIMUM_DIALOG_USAGES + 5):
        mine.refer(TARGET, now=pair.now)
    pair.run(0.05)
    assert kinds(pair.events["bob"]).count("ReferReceived") == MAXIMUM_DIALOG_USAGES
    assert pair.sent("bob").count("503") == 5


def ended_by_bye(pair):
    mine, _ = pair.answered(body=OFFER, session_timer=1800.0)
    mine.reinvite(OFFER_2, now=pair.now)
    pair.run(0.1)
    pair.take("bob", "ModificationReceived").usage.answer_modification(ANSWER, now=pair.now)
    pair.run(0.1)
    mine.info(None, now=pair.now)
    mine.refer(TARGET, now=pair.now)
    pair.run(0.1)
    pair.take("bob", "ReferReceived").subscription.reject(603, now=pair.now)
    pair.run(0.1)
    mine.bye(now=pair.now)


def ended_by_refusal(pair):
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    usage = pair.take("bob", "InviteReceived").usage
    usage.send_provisional(now=pair.now, reliable=True)
    pair.run(0.3)
    usage.reject(486, now=pair.now)


def ended_by_cancel(pair):
    mine = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    mine.cancel(now=pair.now)


def ended_by_silence(pair):
    pair.alice.invite(pair.invitation(), now=pair.now)
    pair.cut()


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TLS])
@pytest.mark.parametrize("end", [ended_by_bye, ended_by_refusal, ended_by_cancel, ended_by_silence])
def test_a_call_that_is_over_leaves_nothing_to_the_collector(transport, end):
    pair = Pair(transport=transport)
    with no_collector():
        for _ in range(3):
            end(pair)
            pair.run(0.2)
            for events in pair.events.values():
                events.clear()
            pair.connect()
        pair.run(240.0)
        assert rings() == {}


def test_a_call_that_is_over_is_kept_by_its_last_transaction_only():
    pair = Pair(transport=Transport.TLS)
    with no_collector():
        mine, theirs = (ref(usage) for usage in pair.answered())
        mine().bye(now=pair.now)
        pair.run(0.2)
        for events in pair.events.values():
            events.clear()
        # Copies of the 2xx are acknowledged for 32 s more; who has sent it is done.
        assert mine() is not None
        assert theirs() is None
        pair.run(32.0)
        assert mine() is None


def test_what_a_call_was_is_known_after_its_end():
    pair = Pair()
    mine, theirs = pair.answered()
    before = [(usage.call_id, usage.remote, usage.flow, usage.request) for usage in (mine, theirs)]
    mine.bye(now=pair.now)
    pair.run(40.0)
    after = [(usage.call_id, usage.remote, usage.flow, usage.request) for usage in (mine, theirs)]
    assert after == before
    assert mine.answered
    assert theirs.answered
