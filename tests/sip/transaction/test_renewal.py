"""A request refused with a bearer token that is being replaced: sent again once, and never more."""

from __future__ import annotations

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import BearerSession, presented_token
from softphone.sip.invite import InviteState
from softphone.sip.message import NameAddr, Request, SipUri
from tests.support.challenges import own_server_everywhere
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER_2, OFFER_2, Pair

FAR = NameAddr(None, SipUri.parse("sip:far@example.com"))
BEARER = 'Proxy-Authenticate: Bearer realm="ccmsipline"'


class World:
    """One endpoint with a token `old`, and what asked for another."""

    def __init__(self, *, renewable=True):
        self.lone = Lone()
        self.asked = []
        self.session = BearerSession(
            KeyMaterial(b"old"),
            policy=own_server_everywhere("ccmsipline"),
            on_refused=(lambda: self.asked.append(1)) if renewable else None,
        )

    def refuse(self, request=None):
        self.lone.say(self.lone.response(request or self.last(), 407, headers=(BEARER,)))

    def renew(self, token=b"new"):
        self.session.replace_token(KeyMaterial(token))
        self.session.retry_waiting_requests(now=self.lone.now)
        self.lone.drain()

    def give_up(self):
        self.session.fail_waiting_requests("the service is away", now=self.lone.now)
        self.lone.drain()

    @property
    def tokens(self):
        return [
            presented_token(one)
            for one in self.lone.out
            if isinstance(one, Request) and one.method != "ACK"
        ]

    def last(self):
        """The request that went out last."""
        return [one for one in self.lone.out if one.method != "ACK"][-1]

    def message(self):
        request = Request.build("MESSAGE", FAR.uri, (("From", str(FAR)), ("To", str(FAR))))
        lone = self.lone
        exchange = lone.endpoint.send_request(
            request, to=lone.flow, now=lone.now, credentials=self.session
        )
        lone.drain()
        return exchange

    def invite(self):
        lone = self.lone
        invitation = Pair().invitation(to=lone.flow, credentials=self.session)
        usage = lone.endpoint.invite(invitation, now=lone.now)
        lone.drain()
        return usage

    def call(self):
        """A call that is up, its token accepted."""
        usage = self.invite()
        self.refuse()
        self.lone.say(self.lone.response(self.last(), 200, body=SDP))
        assert self.lone.take("InviteAnswered")
        return usage


@pytest.mark.parametrize("ask", [World.message, World.invite])
def test_a_refused_request_waits_and_is_sent_again_with_the_new_token(ask):
    world = World()
    ask(world)
    world.refuse()
    world.refuse()
    assert (world.asked, world.tokens) == ([1], [None, "old"])
    assert not world.lone.events
    assert world.lone.endpoint.waits_for_responses
    before = world.last()
    world.renew()
    assert world.tokens == [None, "old", "new"]
    after = world.last()
    assert after.call_id == before.call_id
    assert after.cseq.number == before.cseq.number + 1
    assert after.top_via.branch != before.top_via.branch
    body = SDP if after.method == "INVITE" else ""
    world.lone.say(world.lone.response(after, 200, body=body))
    kind = "InviteAnswered" if after.method == "INVITE" else "ResponseReceived"
    assert world.lone.take(kind).response.status == 200


@pytest.mark.parametrize("ask", [World.message, World.invite])
def test_a_second_refusal_is_final(ask):
    world = World()
    ask(world)
    world.refuse()
    world.refuse()
    world.renew()
    world.refuse()
    event = world.lone.take("ResponseReceived" if ask is World.message else "InviteRejected")
    assert event.response.status == 407
    world.renew(b"newer")
    assert world.tokens == [None, "old", "new"]
    assert not world.session.has_waiting_requests


@pytest.mark.parametrize("ask", [World.message, World.invite])
def test_without_another_token_the_refusal_stands(ask):
    for end in (World.give_up, lambda world: world.lone.wait(46.0)):
        world = World()
        ask(world)
        world.refuse()
        world.refuse()
        end(world)
        event = world.lone.take("ResponseReceived" if ask is World.message else "InviteRejected")
        assert event.response.status == 407
        world.renew()
        assert world.tokens == [None, "old"]


def test_nobody_waits_where_nobody_renews():
    world = World(renewable=False)
    world.message()
    world.refuse()
    world.refuse()
    assert world.lone.take("ResponseReceived").response.status == 407


def test_a_call_that_is_given_up_meanwhile_is_over_at_once_and_not_sent_again():
    world = World()
    usage = world.invite()
    world.refuse()
    world.refuse()
    usage.cancel(now=world.lone.now)
    world.lone.drain()
    rejected = world.lone.take("InviteRejected")
    assert (rejected.status, rejected.canceled) == (487, True)
    world.renew()
    assert world.tokens == [None, "old"]
    assert not world.lone.endpoint.waits_for_responses


def test_a_reinvite_is_written_anew_with_the_session_as_it_is_by_then():
    world = World()
    usage = world.call()
    usage.reinvite(OFFER_2, now=world.lone.now)
    world.lone.drain()
    world.refuse()
    assert not world.lone.events
    assert usage.modification_waits
    usage.replace_waiting_offer(ANSWER_2)
    world.renew()
    again = world.last()
    assert (again.method, presented_token(again)) == ("INVITE", "new")
    assert again.content == ANSWER_2
    world.lone.say(world.lone.response(again, 200, body=SDP))
    assert world.lone.take("ModificationAnswered")
    usage.reinvite(OFFER_2, now=world.lone.now)
    world.lone.drain()
    world.refuse()
    world.renew(b"newer")
    world.refuse()
    assert world.lone.take("ModificationFailed").status == 407
    assert usage.state is InviteState.CONFIRMED


def test_a_bye_is_seen_through_with_the_new_token():
    world = World()
    usage = world.call()
    usage.bye(now=world.lone.now)
    world.lone.drain()
    world.refuse()
    world.renew()
    bye = world.last()
    assert (bye.method, presented_token(bye)) == ("BYE", "new")
