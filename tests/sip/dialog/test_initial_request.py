"""Requests outside dialogs (RFC 3261 section 8.1.1)."""

from __future__ import annotations

from softphone.sip import EndpointConfig
from softphone.sip.dialog import complete_request, initial_request
from softphone.sip.message import NameAddr, Request, SipUri
from softphone.sip.transaction import TransactionLayer
from tests.support.clock import seeded_entropy
from tests.support.pair import OFFER, Pair

LAYER = TransactionLayer(config=EndpointConfig(user_agent="us"), entropy=seeded_entropy(1))


def test_everything_that_was_said_is_in_it_and_the_rest_is_fresh():
    said = Pair().invitation(
        contact=NameAddr.parse("<sip:alice@192.0.2.1>"),
        route_set=(NameAddr.parse("<sip:edge.test;lr>"),),
        headers=(("Subject", "lunch"),),
        remote=NameAddr.parse("<sip:bob@example.com>;tag=old"),
    )
    one = initial_request("INVITE", said, layer=LAYER, body=OFFER)
    two = initial_request("INVITE", said, layer=LAYER, body=OFFER)
    assert one.headers.get("Subject") == "lunch"
    assert one.content == OFFER
    assert one.to.tag is None
    assert [str(route.uri) for route in one.routes] == ["sip:edge.test;lr"]
    assert (one.max_forwards, one.headers.get("User-Agent")) == (70, "us")
    assert one.from_.tag != two.from_.tag
    assert one.call_id != two.call_id
    assert "Via" not in one.headers


def test_a_call_that_is_passed_on_has_fewer_hops_left():
    said = Pair().invitation(max_forwards=3)
    assert initial_request("INVITE", said, layer=LAYER).max_forwards == 3


def test_a_call_id_that_was_chosen_is_kept():
    said = Pair().invitation(call_id="chosen")
    assert initial_request("INVITE", said, layer=LAYER).call_id == "chosen"


def test_what_a_request_brings_is_left_as_it_is():
    address = str(NameAddr(None, SipUri.parse("sip:us@example.com")).with_tag("mine"))
    fields = (
        ("From", address),
        ("To", "<sip:far@example.com>"),
        ("Call-ID", "same"),
        ("CSeq", "42 REGISTER"),
        ("Max-Forwards", "5"),
        ("User-Agent", "other"),
    )
    request = Request.build("REGISTER", SipUri.parse("sip:example.com"), fields)
    assert complete_request(request, LAYER) == request
