"""Exchanges: challenges on the way, and answers of the application."""

from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sans_io import Side
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestCredentials, DigestSession
from softphone.sip.message import NameAddr, Request, SipUri
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.lone import Lone

FAR = NameAddr(None, SipUri.parse("sip:far@example.com"))
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="%s", algorithm=SHA-256, qop="auth"'


def ask(lone, credentials=None):
    request = Request.build("MESSAGE", FAR.uri, (("From", str(FAR)), ("To", str(FAR))))
    exchange = lone.endpoint.send_request(
        request, to=lone.flow, now=lone.now, credentials=credentials
    )
    lone.drain()
    return exchange


def session():
    return DigestSession(
        [DigestCredentials("us", KeyMaterial(b"secret"))],
        entropy=seeded_entropy(2),
        policy=own_server_everywhere("r"),
    )


def test_a_challenge_is_answered_with_the_next_cseq_and_a_new_branch():
    lone = Lone()
    exchange = ask(lone, session())
    first = lone.last()
    lone.say(lone.response(first, 401, headers=(CHALLENGE % "one",)))
    second = lone.last()
    assert second.cseq.number == first.cseq.number + 1
    assert second.top_via.branch != first.top_via.branch
    assert len(second.vias) == 1
    assert not lone.events
    lone.say(lone.response(second, 200))
    assert lone.take("ResponseReceived").response.status == 200
    assert exchange.request.cseq == second.cseq
    assert exchange.flow == lone.flow


def test_credentials_that_are_refused_are_not_offered_for_ever():
    lone = Lone()
    ask(lone, session())
    for i in range(10):
        lone.say(lone.response(lone.last(), 401, headers=(CHALLENGE % i,)))
    assert lone.heard().count("MESSAGE") <= 5
    assert lone.take("ResponseReceived").response.status == 401


def test_provisional_responses_are_reported_as_such():
    lone = Lone()
    exchange = ask(lone)
    lone.say(lone.response(lone.last(), 100))
    assert not lone.take("ResponseReceived").final
    assert exchange.response is None


def test_an_answer_is_given_once():
    lone = Lone(side=Side.SERVER)
    lone.say(lone.request("REGISTER"))
    exchange = lone.take("RequestReceived").exchange
    lone.endpoint.respond(exchange, 100, now=lone.now)
    lone.endpoint.respond(exchange, 200, now=lone.now, headers=(("Expires", "60"),))
    lone.drain()
    assert lone.last().to.tag == exchange.to_tag
    assert lone.heard() == [100, 200]
    assert exchange.answered
    with pytest.raises(LocalProtocolError):
        lone.endpoint.respond(exchange, 200, now=lone.now)
    lone.wait(40)
    assert lone.heard() == []


def test_an_answer_after_the_flow_has_died_is_dropped():
    lone = Lone(side=Side.SERVER)
    lone.say(lone.request("REGISTER"))
    exchange = lone.take("RequestReceived").exchange
    lone.endpoint.disconnected(flow=lone.flow, reason=None, now=lone.now)
    lone.drain()
    lone.endpoint.respond(exchange, 200, now=lone.now)
    lone.drain()
    assert lone.heard() == []
