"""The next place for what one place did not serve (RFC 3263 section 4.3, RFC 3261 21.5.4)."""

from __future__ import annotations

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip.dialog import ReferRequest, SubscribeRequest
from softphone.sip.message import NameAddr, Request, SipUri
from softphone.sip.transaction import NO_FAILOVER, RequestFailover
from softphone.sip.transport import Failover
from tests.support.lone import SDP, Lone
from tests.support.pair import Pair, new_flow

FAR = NameAddr(None, SipUri.parse("sip:far@example.com"))
PLACES = [Target(Transport.TLS, f"192.0.2.{90 + i}", 5061) for i in range(3)]


class Farm:
    """An endpoint and three places, the first of them connected."""

    def __init__(self, places=PLACES):
        self.lone = Lone(transport=Transport.TLS)
        self.places = list(places)
        self.failover = Failover(self.places)
        self.flows = {}
        self.open(self.places[0])

    def open(self, place):
        number = len(self.flows) + 6000
        flow = new_flow(place.transport, ("192.0.2.1", number), (place.host, place.port))
        self.flows[place] = flow
        self.lone.endpoint.connected(flow=flow, target=place, now=self.lone.now)
        self.lone.drain()

    def invite(self, **changes):
        changes = {"to": self.flows[self.places[0]], "failover": self.failover} | changes
        usage = self.lone.endpoint.invite(Pair().invitation(**changes), now=self.lone.now)
        self.lone.drain()
        return usage

    def ask(self):
        request = Request.build("MESSAGE", FAR.uri, (("From", str(FAR)), ("To", str(FAR))))
        exchange = self.lone.endpoint.send_request(
            request, to=self.flows[self.places[0]], now=self.lone.now, failover=self.failover
        )
        self.lone.drain()
        return exchange

    def answer(self, status, place=0, **more):
        text = self.lone.response(self.lone.last(), status, **more)
        self.lone.say(text, flow=self.flows[self.places[place]])

    @property
    def opening(self):
        """The places that a connection was asked for."""
        return [
            transmit.to
            for transmit in self.lone.transmits
            if isinstance(transmit.to, Target) and not transmit.data
        ]


def test_a_detour_takes_each_place_once():
    detour = RequestFailover(Failover(PLACES))
    assert [detour.next_target(place, now=0.0) for place in PLACES] == [PLACES[1], PLACES[2], None]
    assert RequestFailover(None).next_target(PLACES[0], now=0.0) is None


def test_an_invite_answered_503_goes_to_the_next_place_as_a_transaction_of_its_own():
    farm = Farm()
    usage = farm.invite()
    first = farm.lone.last()
    farm.answer(503)
    assert farm.lone.heard() == ["INVITE", "ACK"]
    assert farm.opening == [PLACES[1]]
    farm.open(PLACES[1])
    second = farm.lone.last()
    assert second.method == "INVITE"
    assert second.top_via.branch != first.top_via.branch
    assert (second.call_id, second.cseq, str(second.from_)) == (
        first.call_id,
        first.cseq,
        str(first.from_),
    )
    assert len(second.vias) == 1
    assert "192.0.2.1:6001" in second.headers.get("Contact")
    assert not [event for event in farm.lone.events if type(event).__name__ == "InviteRejected"]
    farm.answer(200, 1, body=SDP)
    assert farm.lone.take("InviteAnswered").usage is usage
    assert usage.flow == farm.flows[PLACES[1]]


def test_an_invite_that_no_place_serves_fails_with_the_last_answer():
    farm = Farm()
    farm.invite()
    farm.answer(503)
    farm.open(PLACES[1])
    farm.answer(503, 1)
    farm.lone.endpoint.disconnected(flow=PLACES[2], reason="refused", now=farm.lone.now)
    farm.lone.drain()
    rejected = farm.lone.take("InviteRejected")
    assert (rejected.status, rejected.reason) == (503, "refused")
    assert farm.lone.heard().count("INVITE") == 2


def test_silence_and_a_broken_connection_are_failures_too():
    farm = Farm()
    farm.invite()
    farm.lone.wait(33.0)
    assert farm.opening == [PLACES[1]]
    farm.open(PLACES[1])
    assert farm.lone.last().method == "INVITE"
    flow = farm.flows.pop(PLACES[1])
    farm.lone.endpoint.disconnected(flow=flow, reason="reset", now=farm.lone.now)
    farm.lone.drain()
    assert farm.opening == [PLACES[1], PLACES[2]]


@pytest.mark.parametrize("status", [486, 500, 404, 600])
def test_other_answers_are_final(status):
    farm = Farm()
    farm.invite()
    farm.answer(status)
    assert farm.lone.take("InviteRejected").status == status
    assert farm.opening == []


def test_a_phone_that_has_rung_does_not_ring_elsewhere_too():
    farm = Farm()
    farm.invite()
    farm.answer(180)
    farm.answer(503)
    assert farm.lone.take("InviteRejected").status == 503
    assert farm.opening == []


def test_a_call_that_was_given_up_goes_nowhere_else():
    farm = Farm()
    usage = farm.invite()
    usage.cancel(now=farm.lone.now)
    farm.answer(503)
    assert farm.lone.take("InviteRejected").canceled
    assert farm.opening == []


def test_a_place_that_asked_to_be_left_alone_is_left_alone_by_the_next_request():
    farm = Farm()
    farm.ask()
    farm.answer(503, headers=("Retry-After: 300",))
    farm.open(PLACES[1])
    farm.answer(200, 1)
    assert farm.lone.take("ResponseReceived").response.status == 200
    assert farm.failover.choose_target(now=farm.lone.now + 299.0) == PLACES[1]
    for place in PLACES[1:]:
        farm.failover.mark_failed(place, now=farm.lone.now)
    assert farm.failover.choose_target(now=farm.lone.now + 299.0) is None
    assert farm.failover.choose_target(now=farm.lone.now + 301.0) == PLACES[0]


def test_a_message_goes_on_to_the_next_place_and_reports_once():
    farm = Farm()
    exchange = farm.ask()
    farm.answer(503)
    farm.open(PLACES[1])
    farm.answer(202, 1)
    assert farm.lone.take("ResponseReceived").exchange is exchange
    assert exchange.flow == farm.flows[PLACES[1]]
    assert not [event for event in farm.lone.events if type(event).__name__ == "ResponseReceived"]


@pytest.mark.parametrize("kind", ["SUBSCRIBE", "REFER"])
def test_subscriptions_and_transfers_go_on_too(kind):
    farm = Farm()
    to = farm.flows[PLACES[0]]
    said = {"uri": FAR.uri, "local": FAR, "remote": FAR, "to": to, "failover": farm.failover}
    if kind == "REFER":
        farm.lone.endpoint.refer(ReferRequest(refer_to=FAR, **said), now=farm.lone.now)
    else:
        wanted = SubscribeRequest(event="dialog", **said)
        farm.lone.endpoint.subscribe(wanted, now=farm.lone.now)
    farm.lone.drain()
    farm.answer(503)
    farm.open(PLACES[1])
    farm.answer(202, 1, headers=("Expires: 60",))
    assert farm.lone.take("SubscriptionAccepted").response.status == 202


def test_a_gruu_stays_and_a_flows_own_contact_does_not():
    farm = Farm()
    gruu = NameAddr.parse("<sip:us@example.com;gr=urn:uuid:1>")
    for contact, kept in ((gruu, True), (NameAddr.parse("<sip:us@192.0.2.1:6000>"), False)):
        farm = Farm()
        farm.invite(contact=contact)
        farm.answer(503)
        farm.open(PLACES[1])
        assert (farm.lone.last().headers.get("Contact") == str(contact)) is kept


def test_a_request_that_has_nowhere_else_to_go_remembers_no_place():
    assert NO_FAILOVER.next_target(PLACES[0], now=0.0) is None
    assert NO_FAILOVER._tried == ()
