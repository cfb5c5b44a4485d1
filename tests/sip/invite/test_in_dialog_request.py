"""INFO, MESSAGE and others within a call."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Transport
from softphone.sip import Cause
from softphone.sip.invite import InviteState
from softphone.sip.message import Body
from tests.support.pair import Pair, kinds

DIGIT = Body("application/dtmf-relay", b"Signal=1\r\nDuration=160\r\n")


def test_info_reaches_the_application_and_its_answer_comes_back():
    pair = Pair()
    mine, theirs = pair.answered()
    exchange = mine.info(DIGIT, now=pair.now)
    pair.run(0.05)
    received = pair.take("bob", "InDialogRequestReceived")
    assert (received.usage, received.request.content) == (theirs, DIGIT)
    pair.bob.respond(received.exchange, 200, now=pair.now)
    pair.run(0.05)
    answer = pair.take("alice", "ResponseReceived")
    assert (answer.exchange, answer.response.status) == (exchange, 200)


def test_message_and_any_other_method_go_the_same_way():
    pair = Pair()
    mine, _ = pair.answered()
    mine.message(Body("text/plain", b"hello"), now=pair.now)
    mine.request_in_dialog("OPTIONS", now=pair.now)
    pair.run(0.1)
    assert pair.take("bob", "InDialogRequestReceived").request.method == "MESSAGE"
    assert pair.take("alice", "ResponseReceived").response.status == 200


def test_a_peer_that_does_not_answer_at_all_is_gone():
    pair = Pair()
    mine, _ = pair.answered()
    pair.links["alice"].up = False
    mine.info(DIGIT, now=pair.now)
    pair.run(33)
    assert kinds(pair.events["alice"]) == ["RequestFailed", "InviteEnded"]
    assert pair.take("alice", "InviteEnded").cause is Cause.TIMEOUT


def test_a_dead_flow_ends_no_call():
    pair = Pair(transport=Transport.TLS)
    mine, _ = pair.answered()
    mine.info(DIGIT, now=pair.now)
    pair.cut()
    assert pair.take("alice", "RequestFailed").status_hint == 503
    assert mine.state is InviteState.CONFIRMED


def test_after_the_end_there_is_no_dialog_to_talk_in():
    pair = Pair()
    mine, _ = pair.answered()
    mine.bye(now=pair.now)
    with pytest.raises(LocalProtocolError):
        mine.info(DIGIT, now=pair.now)
