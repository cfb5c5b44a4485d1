"""Where requests go: dialogs, refusals, Replaces, admission (RFC 3261 8.2, 12.2.2; RFC 3891)."""

from __future__ import annotations

import pytest

from softphone.sans_io import Side
from softphone.sip import Cause, EndpointConfig
from softphone.sip.invite import InviteState
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER, Pair, kinds


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE", "INFO", "CANCEL"])
def test_a_request_that_needs_a_dialog_and_names_none_gets_481(method):
    lone = Lone()
    lone.say(lone.request(method))
    assert lone.heard() == [481]
    lone.say(lone.request(method, to_tag="unknown"))
    assert lone.heard() == [481]


def test_an_ack_for_nothing_is_never_answered():
    lone = Lone()
    lone.say(lone.request("ACK", to_tag="unknown"))
    lone.say(lone.request("ACK"))
    assert lone.heard() == []
    assert not lone.events


def test_options_tells_what_we_can_do():
    lone = Lone()
    lone.say(lone.request("OPTIONS"))
    answer = lone.last()
    assert answer.status == 200
    assert "INVITE" in answer.allow
    assert answer.accept == ("application/sdp",)
    assert "100rel" in answer.supported


def test_the_application_answers_message_and_register():
    lone = Lone(side=Side.SERVER)
    for method in ("MESSAGE", "REGISTER", "PUBLISH"):
        lone.say(lone.request(method))
        received = lone.take("RequestReceived")
        lone.endpoint.respond(received.exchange, 200, now=lone.now)
        lone.drain()
        assert lone.heard() == [200]


def test_what_the_application_does_not_answer_gets_408():
    lone = Lone()
    lone.say(lone.request("MESSAGE"))
    lone.wait(33)
    assert lone.heard() == [408]


def test_the_lists_of_405_420_and_489_are_sent():
    lone = Lone()
    lone.say(lone.request("REGISTER"))
    assert (lone.last().status, "INVITE" in lone.last().allow) == (405, True)
    lone.say(lone.request("INVITE", body=SDP, headers=("Require: teleport",)))
    assert (lone.last().status, lone.last().unsupported) == (420, ("teleport",))
    lone.say(lone.request("SUBSCRIBE", headers=("Event: weather",)))
    assert lone.last().status == 489
    assert "message-summary" in lone.last().headers.get("Allow-Events")


@pytest.mark.parametrize(
    ("status", "field"), [(405, "Allow"), (489, "Allow-Events"), (403, None), (501, None)]
)
def test_a_405_or_489_of_the_application_says_what_is_taken_instead(status, field):
    lone = Lone()
    lone.say(lone.request("MESSAGE"))
    lone.endpoint.respond(lone.take("RequestReceived").exchange, status, now=lone.now)
    lone.drain()
    said = {name for name, _ in lone.last().headers} & {"Allow", "Allow-Events"}
    assert said == ({field} if field else set())


def test_what_the_application_says_itself_is_not_said_twice():
    lone = Lone()
    lone.say(lone.request("SUBSCRIBE", headers=("Event: dialog",)))
    subscription = lone.take("SubscribeReceived").subscription
    subscription.reject(489, now=lone.now, headers=(("allow-events", "weather"),))
    lone.drain()
    assert lone.last().headers.get_all("Allow-Events") == ("weather",)


def test_a_server_lists_what_it_takes_once():
    lone = Lone(side=Side.SERVER, config=EndpointConfig(allow=("OPTIONS", "REGISTER")))
    lone.say(lone.request("OPTIONS"))
    assert lone.last().allow == ("OPTIONS", "REGISTER", "PUBLISH")
    lone.say(lone.request("MESSAGE"))
    assert lone.last().allow == ("OPTIONS", "REGISTER", "PUBLISH")


def test_a_body_of_an_unknown_type_is_refused_unless_it_is_optional():
    lone = Lone()
    unknown = ("Content-Type: application/unknown",)
    lone.say(lone.request("INVITE", body="x", headers=unknown))
    assert lone.heard() == [415]
    optional = (*unknown, "Content-Disposition: render; handling=optional")
    lone.say(lone.request("INVITE", call_id="two", body="x", headers=optional))
    assert lone.take("InviteReceived").role is None


def test_more_than_the_admitted_rate_gets_503_with_retry_after_and_leaves_no_trace():
    config = EndpointConfig(admission_rate=1, admission_burst=3, retry_after=7)
    lone = Lone(config=config)
    for i in range(10):
        lone.say(lone.request("OPTIONS", call_id=f"c{i}"))
    refused = lone.last()
    assert lone.heard() == [200] * 3 + [503] * 7
    assert refused.retry_after.delta == 7
    assert lone.endpoint._layer.server_count == 3
    lone.wait(2.1)
    for i in range(3):
        lone.say(lone.request("OPTIONS", call_id=f"d{i}"))
    assert lone.heard() == [200, 200, 503]


def test_server_transactions_are_bounded():
    lone = Lone(config=EndpointConfig(max_transactions=5))
    for i in range(9):
        lone.say(lone.request("OPTIONS", call_id=f"c{i}"))
    assert lone.heard() == [200] * 5 + [503] * 4


def test_a_request_out_of_order_gets_500():
    lone = Lone()
    lone.say(lone.request("INVITE", cseq=10, body=SDP))
    lone.take("InviteReceived").usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.say(lone.request("ACK", cseq=10, to_tag=tag))
    lone.heard()
    lone.say(lone.request("INFO", cseq=10, to_tag=tag))
    assert lone.heard() == [500]
    lone.say(lone.request("INFO", cseq=12, to_tag=tag))
    received = lone.take("InDialogRequestReceived")
    lone.endpoint.respond(received.exchange, 200, now=lone.now)
    lone.drain()
    assert lone.heard() == [200]


def test_an_event_that_nobody_asked_for_gets_489_and_one_that_is_known_is_reported():
    pair = Pair()
    mine, _ = pair.answered()
    state = ("Subscription-State", "active")
    mine.notify(None, now=pair.now, headers=(("Event", "kpml"), state))
    pair.run(0.1)
    assert pair.take("alice", "ResponseReceived").response.status == 489
    mine.notify(None, now=pair.now, headers=(("Event", "refer"), state))
    pair.run(0.1)
    assert pair.take("alice", "ResponseReceived").response.status == 481
    # A 481 to a request within the dialog ends it on our side (RFC 3261 section 12.2.1.2).
    assert mine.state is InviteState.TERMINATED


def replacing(pair, theirs, **changes):
    return pair.alice.invite(pair.invitation(replaces=theirs, body=OFFER, **changes), now=pair.now)


def test_an_accepted_replaces_ends_the_call_that_it_names():
    pair = Pair()
    mine, theirs = pair.answered()
    new = replacing(pair, mine.replaces_value())
    pair.run(0.05)
    received = pair.take("bob", "InviteReceived")
    assert received.replaces is theirs
    received.usage.accept(ANSWER, now=pair.now)
    pair.run(0.2)
    assert pair.take("bob", "InviteEnded").cause is Cause.REPLACED
    assert mine.state is InviteState.TERMINATED
    assert new.state is InviteState.CONFIRMED


def test_a_rejected_replaces_leaves_the_call_alone():
    pair = Pair()
    mine, theirs = pair.answered()
    replacing(pair, mine.replaces_value())
    pair.run(0.05)
    pair.take("bob", "InviteReceived").usage.reject(603, now=pair.now)
    pair.run(0.1)
    assert mine.state is theirs.state is InviteState.CONFIRMED


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("nowhere;to-tag=a;from-tag=b", 481),
        ("{};early-only", 486),
    ],
)
def test_a_replaces_that_does_not_fit_is_refused(value, status):
    pair = Pair()
    mine, _ = pair.answered()
    replacing(pair, value.format(mine.replaces_value()))
    pair.run(0.1)
    assert pair.take("alice", "InviteRejected").status == status
    assert kinds(pair.events["bob"]) == []


def test_an_incoming_early_dialog_cannot_be_replaced_and_our_own_can():
    pair = Pair()
    mine = pair.alice.invite(pair.invitation(), now=pair.now)
    pair.run(0.05)
    theirs = pair.take("bob", "InviteReceived").usage
    theirs.send_provisional(now=pair.now)
    pair.run(0.05)
    replacing(pair, mine.replaces_value())
    pair.run(0.1)
    pair.take("alice", "ProvisionalReceived")
    assert pair.take("alice", "InviteRejected").status == 481
    pair.bob.invite(
        pair.invitation(to=pair.flows["bob"], replaces=theirs.replaces_value()), now=pair.now
    )
    pair.run(0.05)
    assert pair.take("alice", "InviteReceived").replaces is mine


def test_a_bye_that_crosses_ours_is_answered():
    pair = Pair()
    mine, theirs = pair.answered()
    pair.wire.clear()
    mine.bye(now=pair.now)
    theirs.bye(now=pair.now)
    pair.run(40)
    assert pair.sent("alice") == pair.sent("bob") == ["BYE", "200"]
    assert kinds(pair.events["alice"]) == kinds(pair.events["bob"]) == ["InviteEnded"]
    assert len(pair.alice._table) == len(pair.bob._table) == 0
