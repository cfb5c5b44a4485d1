"""The lab's edge towards phones: Route, Record-Route, Via, and no RTP in clear."""

from __future__ import annotations

import pytest

from softphone.lab.edge import ROUTE, CallRelay, EdgeProxy, ProxyRefusal
from softphone.sans_io import Flow, Target, Transport
from softphone.sip import Request, Response, SipUri
from softphone.sip.message import parse_datagram

INSIDE = Target(Transport.TCP, "127.0.0.1", 5060)
PHONE = Flow(1, Transport.TLS, ("127.0.0.1", 5061), ("127.0.0.1", 40000))
SERVER = Flow(2, Transport.TCP, ("127.0.0.1", 40001), ("127.0.0.1", 5060))
HEAD = (
    "Via: SIP/2.0/TLS 127.0.0.1:40000;branch=z9hG4bK1\r\n"
    "From: <sip:carol@127.0.0.1>;tag=a\r\nTo: <sip:600@127.0.0.1>{tag}\r\n"
    "Call-ID: call\r\nCSeq: {cseq}\r\nMax-Forwards: {hops}\r\n{more}"
    "Content-Length: {length}\r\n\r\n"
)
AVP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nc=IN IP4 127.0.0.1\r\n"
    "m=audio 4000 RTP/AVP 0\r\n"
)


def message(start, cseq, more="", tag="", hops=70, body=""):
    if body:
        more += "Content-Type: application/sdp\r\n"
    head = HEAD.format(tag=tag, cseq=cseq, hops=hops, more=more, length=len(body))
    return f"{start}\r\n{head}{body}".encode()


def request(method, more=f"Route: {ROUTE}\r\n", **rest):
    return message(f"{method} sip:600@127.0.0.1 SIP/2.0", f"1 {method}", more, **rest)


@pytest.fixture
async def proxy():
    made = EdgeProxy(INSIDE, ROUTE, lambda: CallRelay("127.0.0.1", bytes))
    made.edge = SipUri.parse("sip:edge.test:5061;transport=tls")
    made.connected(flow=PHONE, now=0.0)
    yield made
    made.close()


def passed(proxy, data, flow=PHONE):
    """What the proxy sends, parsed, and where to."""
    proxy.receive(data, flow=flow, now=0.0)
    return [(parse_datagram(each.data), each.to) for each in proxy.transmits() if each.data]


def registered(proxy):
    """Let a REGISTER pass, and open the connection that it wants."""
    ((register, to),) = passed(proxy, request("REGISTER"))
    proxy.connected(flow=SERVER, now=0.0, target=to)
    return register, to


async def test_a_request_has_the_edges_via_and_no_route_of_its_own(proxy):
    register, to = registered(proxy)
    assert (to.host, to.transport, to.credential) == ("127.0.0.1", Transport.TCP, "phone 1")
    assert register.headers.get_all("Route") == ()
    assert [each.split()[1].split(";")[0] for each in register.headers.get_all("Via")] == [
        "edge.test:5061",
        "127.0.0.1:40000",
    ]
    assert (register.max_forwards, register.headers.get_all("Record-Route")) == (69, ())
    assert proxy.methods == ["REGISTER"]


async def test_without_the_route_nothing_passes(proxy):
    ((answer, to),) = passed(proxy, request("REGISTER", ""))
    assert (answer.status, to) == (403, PHONE)
    assert proxy.next_event() == ProxyRefusal("REGISTER", 403)
    assert proxy.next_event() is None
    # What stands first counts.
    more = f"Route: <sip:other.test;lr>\r\nRoute: {ROUTE}\r\n"
    ((answer, _),) = passed(proxy, request("REGISTER", more))
    assert answer.status == 403


async def test_dialogs_are_recorded_twice_and_lead_back(proxy):
    registered(proxy)
    ((invite, _),) = passed(proxy, request("INVITE"))
    recorded = invite.headers.get_all("Record-Route")
    assert [each.split("proxy-call-id=")[1].split(";")[0] for each in recorded] == [
        "inside",
        "edge",
    ]
    routes = "".join(f"Route: {each}\r\n" for each in (*recorded, "<sip:x.test;lr>"))
    ((bye, _),) = passed(proxy, request("BYE", routes, tag=";tag=b"))
    assert bye.headers.get_all("Route") == ("<sip:x.test;lr>",)
    ((ack, to),) = passed(proxy, request("ACK", routes))
    assert (ack.top_via.branch, to) == (invite.top_via.branch, SERVER)


async def test_answers_and_requests_from_inside_find_the_phone(proxy):
    register, _ = registered(proxy)
    ((answer, to),) = passed(proxy, register.response(200, to_tag="x").encode(), SERVER)
    assert isinstance(answer, Response)
    assert (len(answer.headers.get_all("Via")), to) == (1, PHONE)
    ((notify, to),) = passed(proxy, request("NOTIFY", ""), SERVER)
    assert isinstance(notify, Request)
    assert (notify.top_via.transport.upper(), to) == ("TLS", PHONE)


async def test_media_in_clear_is_refused(proxy):
    registered(proxy)
    ((answer, to),) = passed(proxy, request("INVITE", body=AVP))
    assert (answer.status, to) == (488, PHONE)


async def test_a_request_that_goes_round_ends(proxy):
    registered(proxy)
    assert passed(proxy, request("OPTIONS", hops=0)) == []


async def test_pings_are_answered_and_garbage_ends_the_connection(proxy):
    proxy.receive(b"\r\n\r\n", flow=PHONE, now=0.0)
    assert [each.data for each in proxy.transmits()] == [b"\r\n"]
    proxy.receive(b"x" * 70_000, flow=PHONE, now=0.0)
    assert [each.close for each in proxy.transmits()] == [True]


async def test_a_lost_side_ends_the_other(proxy):
    _, inside = registered(proxy)
    proxy.disconnected(flow=SERVER, reason=None, now=0.0)
    assert [(each.to, each.close) for each in proxy.transmits()] == [(PHONE, True)]
    proxy.disconnected(flow=PHONE, reason=None, now=0.0)
    proxy.connected(flow=PHONE, now=0.0)
    _, inside = registered(proxy)
    proxy.disconnected(flow=PHONE, reason=None, now=0.0)
    assert [(each.to, each.close) for each in proxy.transmits()] == [(SERVER, True)]
    proxy.connected(flow=PHONE, now=0.0)
    passed(proxy, request("REGISTER"))
    proxy.disconnected(flow=inside, reason="refused", now=0.0)
    assert [(each.to, each.close) for each in proxy.transmits()] == [(PHONE, True)]
    assert proxy.next_timer() is None


async def test_calls_end_with_the_oldest_when_there_are_too_many(proxy):
    registered(proxy)
    for number in range(258):
        data = request("INVITE").replace(b"Call-ID: call", f"Call-ID: {number}".encode())
        passed(proxy, data)
    assert len(proxy.relays) == 256
    assert "0" not in proxy.relays
