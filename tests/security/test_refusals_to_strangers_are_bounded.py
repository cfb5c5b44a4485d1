"""Whoever writes a datagram writes its source, too: refusals are no weapon against that source."""

from __future__ import annotations

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip import EndpointConfig
from softphone.sip.message import Request, Response, SipUri, parse_datagram
from tests.support.lone import Lone
from tests.support.pair import new_flow

VICTIM = ("192.0.2.77", 7777)
LINES = (
    "INVITE sip:us@192.0.2.1 SIP/2.0",
    "Via: SIP/2.0/UDP 192.0.2.77:7777;branch=z9hG4bKspoofed;rport",
    "From: <sip:a@b>;tag=1",
    "To: <sip:us@192.0.2.1>",
    "Call-ID: spoofed",
    "CSeq: 1 INVITE",
    "Contact: <sip:a@192.0.2.77:7777>",
)


def spoofed(*lines: str) -> str:
    return "\r\n".join((*LINES, *lines, "Content-Length: 0", "", ""))


def victim_of(lone: Lone):
    flow = new_flow(Transport.UDP, ("192.0.2.1", 5060), VICTIM)
    lone.endpoint.connected(flow=flow, now=lone.now)
    return flow


def sent_to_victim(lone: Lone, seconds: float) -> list[int]:
    """The sizes of what went out by then."""
    lone.wait(seconds)
    sent, lone.transmits = lone.transmits, []
    return [len(each.data) for each in sent if each.data]


@pytest.mark.parametrize(
    ("config", "lines"),
    [
        (EndpointConfig(), ("Require: unheard-of",)),
        (EndpointConfig(allow=("OPTIONS",)), ()),
        (EndpointConfig(admission_rate=0.001, admission_burst=0), ()),
        (EndpointConfig(), ("Max-Forwards: many",)),
        (EndpointConfig(), ("Replaces: nothing;to-tag=a;from-tag=b",)),
    ],
    ids=["420", "405", "503", "400", "481"],
)
def test_a_refusal_of_a_spoofed_invite_is_not_repeated_without_bound(config, lines):
    lone = Lone(config=config)
    flow = victim_of(lone)
    request = spoofed(*lines)
    lone.say(request, flow=flow)
    sizes = sent_to_victim(lone, 60)
    assert 1 <= len(sizes) <= 3
    assert sum(sizes) <= 3 * len(request)
    assert lone.endpoint.next_timer() is None


def test_a_call_that_the_user_declines_is_bounded_as_well():
    lone = Lone()
    flow = victim_of(lone)
    request = spoofed()
    lone.say(request, flow=flow)
    usage = lone.take("InviteReceived").usage
    usage.send_provisional(now=lone.now)
    usage.reject(603, now=lone.now)
    lone.drain()
    sizes = sent_to_victim(lone, 60)
    assert sum(sizes) <= 3 * len(request)


def test_each_copy_of_the_request_is_answered_all_the_same():
    lone = Lone(config=EndpointConfig(allow=("OPTIONS",)))
    flow = victim_of(lone)
    for _ in range(9):
        lone.say(spoofed(), flow=flow)
    assert lone.heard() == [405] * 9


@pytest.mark.parametrize("known", ["registered", "has answered", "asked for by a Via"])
def test_only_an_address_that_has_shown_itself_gets_a_refusal_eleven_times(known):
    lone = Lone(config=EndpointConfig(allow=("OPTIONS",)))
    flow = new_flow(Transport.UDP, ("192.0.2.1", 5060), VICTIM)
    # A request without rport has us open a flow to the port in its Via: that proves nothing.
    lone.endpoint.connected(flow=flow, now=lone.now, target=Target(Transport.UDP, *VICTIM))
    if known == "registered":
        lone.endpoint.keep_flow_open(flow)
    elif known == "has answered":
        answered_request(lone, flow)
    lone.transmits.clear()
    lone.say(spoofed(), flow=flow)
    sent = len(sent_to_victim(lone, 40))
    assert sent <= 3 if known == "asked for by a Via" else sent == 11


def answered_request(lone: Lone, flow) -> None:
    ends = (("From", "<sip:us@192.0.2.1>"), ("To", "<sip:them@192.0.2.77>"))
    request = Request.build("OPTIONS", SipUri.parse("sip:them@192.0.2.77"), ends)
    lone.endpoint.send_request(request, to=flow, now=lone.now)
    lone.drain()
    lone.say(lone.response(lone.last(), 200), flow=flow)


@pytest.mark.parametrize(
    ("via", "expected", "to"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport", "7777", VICTIM),
        ("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1", None, ("192.0.2.77", 5070)),
        ("SIP/2.0/UDP 10.0.0.1:7777;branch=z9hG4bK1, SIP/2.0/UDP a.example;x", None, VICTIM),
    ],
)
def test_a_malformed_request_is_answered_where_it_came_from(via, expected, to):
    lone = Lone()
    flow = victim_of(lone)
    lone.say(spoofed("Max-Forwards: many").replace(LINES[1][5:], via), flow=flow)
    response = lone.last()
    assert isinstance(response, Response)
    assert response.status == 400
    assert response.top_via.received == "192.0.2.77"
    assert response.top_via.parameter("rport") == expected
    assert len(response.vias) == via.count("UDP")
    sent = lone.transmits[-1].to
    assert (sent.remote if sent == flow else (sent.host, sent.port)) == to


def test_a_via_that_is_malformed_itself_is_echoed_as_it_came():
    lone = Lone()
    flow = victim_of(lone)
    lone.say(spoofed().replace(LINES[1], "Via: \xe4 is no Via"), flow=flow)
    assert lone.transmits[-1].to == flow
    assert b"\r\nVia: \xc3\xa4 is no Via\r\n" in lone.transmits[-1].data
    assert not isinstance(parse_datagram(lone.transmits[-1].data), Response)
