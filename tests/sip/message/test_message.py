from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip.message import (
    Body,
    Headers,
    MalformedMessage,
    Request,
    Response,
    SipUri,
    parse_datagram,
    parse_uri,
)

URI = parse_uri("sip:bob@biloxi.com")
FIELDS = [
    ("v", "SIP/2.0/TLS proxy.example.com;branch=z9hG4bK2;received=192.0.2.9"),
    ("v", "SIP/2.0/TLS [::1]:5061 ;branch=z9hG4bK1"),
    ("Record-Route", "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"),
    ("f", '"Alice"  <sip:alice@atlanta.com>;tag=88sja8x'),
    ("t", "Bob <sip:bob@biloxi.com>"),
    ("i", "987asjd97y7atg"),
    ("CSeq", "986759 INVITE"),
    ("Max-Forwards", "70"),
    ("Timestamp", "54"),
]
SDP = Body("application/sdp", b"v=0\r\n")


def invite(**changes) -> Request:
    return Request.build("INVITE", URI, FIELDS, changes.get("body"))


def test_a_request_is_encoded_with_full_names_and_its_length():
    data = invite(body=SDP).encode()
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "INVITE sip:bob@biloxi.com SIP/2.0"
    assert lines[1].startswith("Via: SIP/2.0/TLS proxy")
    assert lines[-2:] == ["Content-Type: application/sdp", "Content-Length: 5"]
    assert body == b"v=0\r\n"
    assert parse_datagram(data).encode() == data


@pytest.mark.parametrize("length", ["0", "99999", "-1"])
def test_a_wrong_content_length_is_not_sent(length):
    request = invite(body=SDP)
    wrong = request.with_headers(request.headers.with_prepended("l", length))
    assert wrong.encode() == request.encode()


def test_a_response_is_encoded():
    response = Response(200, "OK", Headers([("Subject", "Grüße")]), b"\x00\xff")
    assert response.encode() == (
        "SIP/2.0 200 OK\r\nSubject: Grüße\r\nContent-Length: 2\r\n\r\n".encode() + b"\x00\xff"
    )


def test_nothing_that_breaks_a_line_is_encoded():
    bad = SipUri("sip", "a\r\nX: y", None, "h")
    for message in (
        Request("INVITE", bad),
        Request("INVITE", SipUri("sip", "a b", None, "h")),
        Request("IN\r\nVITE", URI),
        Response(200, "OK\r\nX: y"),
        Response(200, "OK\n"),
        Response(200, "\udcff"),
    ):
        with pytest.raises(LocalProtocolError):
            message.encode()
    with pytest.raises(LocalProtocolError):
        Request.build("IN VITE", URI)
    with pytest.raises(LocalProtocolError):
        invite().response(200, headers=[("Subject", "a\r\nb")])


def test_a_response_copies_what_identifies_the_transaction_as_it_is_written():
    response = invite().response(180, to_tag="314159", headers=[("RSeq", "1")])
    assert (response.status, response.reason) == (180, "Ringing")
    assert list(response.headers) == [
        ("Via", "SIP/2.0/TLS proxy.example.com;branch=z9hG4bK2;received=192.0.2.9"),
        ("Via", "SIP/2.0/TLS [::1]:5061 ;branch=z9hG4bK1"),
        ("From", '"Alice"  <sip:alice@atlanta.com>;tag=88sja8x'),
        ("To", "Bob <sip:bob@biloxi.com>;tag=314159"),
        ("Call-ID", "987asjd97y7atg"),
        ("CSeq", "986759 INVITE"),
        ("Record-Route", "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"),
        ("Timestamp", "54"),
        ("RSeq", "1"),
    ]
    assert response.to.tag == "314159"


@pytest.mark.parametrize("status", [100, 300, 404, 486])
def test_a_response_that_makes_no_dialog_carries_no_route_set(status):
    assert not invite().response(status).record_routes


def test_only_a_request_that_makes_a_dialog_gets_its_route_set_back():
    bye = Request.build("BYE", URI, [*FIELDS[:6], ("CSeq", "1 BYE")])
    assert not bye.response(200).record_routes


def test_a_tag_that_is_there_stays():
    request = invite().with_header("To", "<sip:bob@biloxi.com>;tag=mine")
    assert request.response(200, to_tag="other").to.tag == "mine"


def test_a_response_may_have_its_own_phrase_and_a_body():
    response = invite().response(200, "Fine", body=SDP)
    assert response.reason == "Fine"
    assert response.content == SDP
    assert response.success
    assert response.final
    assert not response.provisional


def test_a_response_to_a_message_without_identity_cannot_be_made():
    with pytest.raises(MalformedMessage):
        Request("OPTIONS", URI).response(200)


def test_a_body_brings_its_type_and_disposition():
    body = Body("application/sdp", b"v=0", "session;handling=required")
    request = invite(body=SDP).with_body(body)
    assert request.content == body
    assert request.headers.get_all("Content-Type") == ("application/sdp",)
    empty = request.with_body(None)
    assert empty.content is None
    assert "Content-Type" not in empty.headers
    assert "Content-Disposition" not in empty.headers
    response = empty.response(200).with_body(body)
    assert response.content == body


def test_a_body_without_type_has_none():
    assert Request("INFO", URI, Headers(), b"x").content == Body("", b"x")


def test_messages_are_changed_by_making_new_ones():
    request = invite()
    assert request.max_forwards == 70
    fewer = request.with_header("max-forwards", "69")
    assert (request.max_forwards, fewer.max_forwards) == (70, 69)
    assert fewer.without_header("Max-Forwards").max_forwards is None
    response = request.response(404).with_header("Warning", '399 a "b"')
    assert response.warnings[0].text == "b"
    assert response.without_header("Warning").warnings == ()
    assert response.with_headers(Headers()).headers == Headers()


def test_methods_are_case_sensitive():
    assert Request.build("invite", URI).method == "invite"
    assert Request.build("invite", URI) != Request.build("INVITE", URI)


def test_the_repr_shows_neither_values_nor_body():
    request = invite(body=Body("application/sdp", b"a=crypto:1 X inline:SECRET"))
    assert "SECRET" not in repr(request)
    assert "88sja8x" not in repr(request)


def test_another_topmost_via_keeps_the_others_and_what_was_read():
    request = Request.build(
        "OPTIONS",
        SipUri.parse("sip:b@c.test"),
        (
            ("Via", "SIP/2.0/UDP a.test;branch=1;rport, SIP/2.0/TLS b.test;branch=2"),
            ("From", "<sip:a@b.test>;tag=1"),
        ),
    )
    read = request.from_
    marked = request.with_top_via(request.top_via.with_parameter("received", "192.0.2.1"))
    assert marked.from_ is read
    assert [via.host for via in marked.vias] == ["a.test", "b.test"]
    assert marked.headers.get_all("Via")[0].endswith("received=192.0.2.1")
    assert request.top_via.received is None
