"""A target that somebody else has written, in a Contact, a Refer-To or a link, names a place only.

Its headers and its method are instructions for whoever makes the request (RFC 3261 section 19.1.5);
ours are made as we want them, and neither stands in a Request-URI, To or Route (section 19.1.1).
"""

from __future__ import annotations

import pytest

from softphone.errors import SoftphoneError
from softphone.sip import InviteRequest, NameAddr, SipUri, SubscribeRequest
from softphone.sip.message import parse_uri
from tests.support.lone import SDP, Lone
from tests.support.pair import OFFER

US = NameAddr.parse("<sip:us@192.0.2.1>")
TARGETS = {
    "sip:bob@192.0.2.9?Route=%3Csip:evil.test%3E&Authorization=x": "sip:bob@192.0.2.9",
    "sip:bob@192.0.2.9;method=BYE?body=hello": "sip:bob@192.0.2.9",
    "sip:bob@192.0.2.9;transport=tcp;method=REFER": "sip:bob@192.0.2.9;transport=tcp",
    "sip:bob@192.0.2.9?Subject=a%0d%0aX-Evil:%201": "sip:bob@192.0.2.9",
    "sip:bob@192.0.2.9;maddr=192.0.2.6?From=sip:eve%40evil": "sip:bob@192.0.2.9;maddr=192.0.2.6",
    "sip:bob%0d%0aX-Evil:1@192.0.2.9": "sip:bob%0d%0aX-Evil:1@192.0.2.9",
}
ROUTES = {"none": (), "loose": ("<sip:edge.test;lr>",), "strict": ("<sip:edge.test?x=y>",)}


@pytest.mark.parametrize("routes", list(ROUTES))
@pytest.mark.parametrize("kind", [InviteRequest, SubscribeRequest])
@pytest.mark.parametrize("target", list(TARGETS))
def test_of_a_target_only_the_place_is_in_the_request(target, kind, routes):
    lone, uri, expected = Lone(), parse_uri(target), TARGETS[target]
    route_set = tuple(NameAddr.parse(route) for route in ROUTES[routes])
    common = {"uri": uri, "local": US, "remote": NameAddr(None, uri), "route_set": route_set}
    if kind is InviteRequest:
        request = InviteRequest(**common, to=lone.flow, body=OFFER)
        lone.endpoint.invite(request, now=lone.now)
    else:
        request = SubscribeRequest(**common, to=lone.flow, event="presence")
        lone.endpoint.subscribe(request, now=lone.now)
    lone.drain()
    sent = lone.last()
    places = [str(sent.uri), *(str(route.uri) for route in sent.routes)]
    assert str(sent.to.uri) == expected
    assert (
        places
        == {
            "none": [expected],
            "loose": [expected, "sip:edge.test;lr"],
            "strict": ["sip:edge.test", expected],
        }[routes]
    )
    assert str(sent.from_.uri) == str(US.uri)
    for name in ("Authorization", "Subject", "X-Evil"):
        assert name not in sent.headers


@pytest.mark.parametrize(
    "place", ["sip:far@192.0.2.9?Route=%3Csip:evil%3E", "sip:far@192.0.2.9;method=BYE"]
)
def test_a_contact_with_instructions_is_a_place_within_a_dialog(place):
    lone = Lone()
    request = InviteRequest(
        uri=SipUri.parse("sip:far@192.0.2.9"),
        local=US,
        remote=NameAddr.parse("<sip:far@192.0.2.9>"),
        to=lone.flow,
        body=OFFER,
    )
    lone.endpoint.invite(request, now=lone.now)
    lone.drain()
    invite = lone.last()
    lone.say(lone.response(invite, 200, to_tag="far", contact=f"<{place}>", body=SDP))
    assert lone.last().method == "ACK"
    assert str(lone.last().uri) == "sip:far@192.0.2.9"


@pytest.mark.parametrize(
    "text",
    ["sip:bob\r\nX: y@host", "sip:b ob@host", "sip:bob@host?Subject=a\r\nX-Evil: 1", "sip:@host"],
)
def test_a_target_that_breaks_its_line_is_none(text):
    with pytest.raises(SoftphoneError):
        SipUri.parse(text)
