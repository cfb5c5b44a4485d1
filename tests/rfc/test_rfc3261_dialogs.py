"""RFC 3261 section 12: dialogs, their route sets and the order of their requests."""

from __future__ import annotations

import pytest

from softphone.sip.dialog import Dialog, leading_route
from softphone.sip.message import NameAddr, SipUri, parse_datagram
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, Pair

RECORDED = ("Record-Route: <sip:p2.test;lr>, <sip:p1.test;lr>",)


def call(lone, **changes):
    usage = lone.endpoint.invite(Pair().invitation(to=lone.flow, **changes), now=lone.now)
    lone.drain()
    return usage, lone.last()


def routes(request):
    return [str(route.uri) for route in request.routes]


def test_12_1_1_the_uas_takes_the_route_set_in_order_and_copies_it_into_the_response():
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP, headers=RECORDED))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    success = lone.last()
    assert [str(value.uri) for value in success.record_routes] == [
        "sip:p2.test;lr",
        "sip:p1.test;lr",
    ]
    lone.say(lone.request("ACK", to_tag=success.to.tag))
    usage.bye(now=lone.now)
    lone.drain()
    assert routes(lone.last()) == ["sip:p2.test;lr", "sip:p1.test;lr"]
    assert str(lone.last().uri) == "sip:far@192.0.2.9:5060"


def test_12_1_2_the_uac_takes_the_route_set_in_reverse():
    lone = Lone()
    _, invite = call(lone)
    lone.say(lone.response(invite, 200, body=SDP, headers=RECORDED))
    assert routes(lone.last()) == ["sip:p1.test;lr", "sip:p2.test;lr"]


def test_12_2_1_1_a_strict_router_gets_its_own_uri_as_request_uri():
    uri, values = leading_route(
        SipUri.parse("sip:far@192.0.2.9"),
        (NameAddr.parse("<sip:p1.test;method=INVITE?x=y>"), NameAddr.parse("<sip:p2.test;lr>")),
    )
    assert str(uri) == "sip:p1.test"
    assert [str(value) for value in values] == ["<sip:p2.test;lr>", "<sip:far@192.0.2.9>"]


def test_13_2_2_4_the_route_set_of_the_2xx_replaces_that_of_the_early_dialog():
    lone = Lone()
    _, invite = call(lone)
    lone.say(lone.response(invite, 180, headers=RECORDED))
    lone.say(lone.response(invite, 200, body=SDP, headers=("Record-Route: <sip:other.test;lr>",)))
    assert routes(lone.last()) == ["sip:other.test;lr"]


def test_12_2_the_route_set_is_never_changed_by_a_target_refresh():
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, 200, body=SDP, headers=RECORDED))
    lone.say(
        lone.request(
            "UPDATE",
            to_tag=invite.from_.tag,
            call_id=invite.call_id,
            contact="<sip:moved@192.0.2.77>",
            headers=("Record-Route: <sip:evil.test;lr>",),
        )
    )
    usage.bye(now=lone.now)
    lone.drain()
    bye = lone.last()
    assert str(bye.uri) == "sip:moved@192.0.2.77"
    assert routes(bye) == ["sip:p1.test;lr", "sip:p2.test;lr"]


def test_12_2_1_1_sequence_numbers_rise_by_one_and_ack_has_that_of_its_invite():
    lone = Lone()
    usage, invite = call(lone)
    lone.say(lone.response(invite, 200, body=SDP))
    first = invite.cseq.number
    assert lone.last().cseq.number == first
    usage.info(None, now=lone.now)
    usage.info(None, now=lone.now)
    lone.drain()
    assert [m.cseq.number for m in lone.out[-2:]] == [first + 1, first + 2]


def test_a_dialog_without_contact_goes_to_the_address_it_began_with():
    lone = Lone()
    request = parse_datagram(lone.request("INVITE", contact=None).encode())
    dialog = Dialog.from_request(request, to_tag="t", to=lone.flow)
    assert str(dialog.remote_target) == "sip:far@example.com"


@pytest.mark.parametrize("field", ["to_tag", "from_tag", "call_id"])
def test_12_a_dialog_is_named_by_call_id_and_both_tags(field):
    lone = Lone()
    lone.say(lone.request("INVITE", body=SDP))
    lone.take("InviteReceived").usage.accept(ANSWER, now=lone.now)
    lone.drain()
    named = {"to_tag": lone.last().to.tag}
    named[field] = "different"
    lone.heard()
    lone.say(lone.request("BYE", cseq=2, **named))
    assert lone.heard() == [481]
