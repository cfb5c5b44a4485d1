from __future__ import annotations

import pytest

from softphone.sip.message import Response, parse_datagram
from softphone.sip.message.parser import content_lengths, rejection_response

REQUEST = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"v: SIP/2.0/UDP a.example.com;branch=z9hG4bK1\r\n"
    b"Via : SIP/2.0/UDP b.example.com\r\n ;branch=z9hG4bK2\r\n"
    b"f: <sip:alice@example.com>;tag=1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"To: <sip:eve@example.com>\r\n"
    b"i: abc\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"l: 7\r\n"
    b"Subject: secret"
)


def test_an_answer_echoes_what_identifies_the_request_and_nothing_else():
    data = rejection_response(REQUEST, 400, "Because")
    response = parse_datagram(data)
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (400, "Bad Request - Because")
    assert [via.branch for via in response.vias] == ["z9hG4bK1", "z9hG4bK2"]
    assert response.from_.tag == "1"
    assert str(response.to.uri) == "sip:bob@example.com"
    assert response.call_id == "abc"
    assert b"secret" not in data


def test_a_tag_is_added_and_is_the_same_for_each_retransmission():
    first = parse_datagram(rejection_response(REQUEST, 400, "x"))
    assert first.to.tag
    assert parse_datagram(rejection_response(REQUEST, 400, "x")) == first
    other = parse_datagram(rejection_response(REQUEST + b"!", 400, "x"))
    assert other.to.tag != first.to.tag


def test_a_tag_that_is_there_stays():
    tagged = REQUEST.replace(b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=mine")
    assert parse_datagram(rejection_response(tagged, 400, "x")).to.tag == "mine"


def test_a_malformed_to_is_echoed_as_it_came():
    broken = REQUEST.replace(b"To: <sip:bob@example.com>", b'To: "open <sip:bob@example.com>')
    assert b'\r\nTo: "open <sip:bob@example.com>\r\n' in rejection_response(broken, 400, "x")


@pytest.mark.parametrize("name", [b"f: ", b"To: ", b"i: ", b"CSeq: "])
def test_a_missing_field_does_not_keep_the_answer_back(name):
    lines = [line for line in REQUEST.split(b"\r\n") if not line.startswith(name)]
    assert rejection_response(b"\r\n".join(lines), 400, "x").startswith(b"SIP/2.0 400 ")


@pytest.mark.parametrize(
    "raw",
    [
        REQUEST.replace(b"INVITE sip", b"ACK sip"),
        REQUEST.replace(b"INVITE sip", b"SIP/2.0 200"),
        REQUEST.replace(b"INVITE sip", b"IN\x00VITE sip"),
        REQUEST.replace(b"v: ", b"x-v: ").replace(b"Via :", b"x-w: "),
        b"",
        b"\r\n",
        b"INVITE",
        b"INVITE ",
    ],
)
def test_some_things_are_never_answered(raw):
    assert rejection_response(raw, 400, "x") is None


def test_a_field_with_a_control_character_is_not_echoed():
    data = rejection_response(REQUEST.replace(b"i: abc", b"i: a\nb\x00c"), 400, "x")
    assert b"Call-ID" not in data
    assert rejection_response(b"OPTIONS sip:a SIP/2.0\r\nVia: x\ny", 400, "x") is None


def test_bytes_that_are_no_utf8_are_echoed_as_they_came():
    data = rejection_response(REQUEST.replace(b"i: abc", b"i: \xff\xfe"), 400, "x")
    assert b"Call-ID: \xff\xfe\r\n" in data


def test_many_vias_are_not_echoed():
    vias = b"".join(b"Via: SIP/2.0/UDP a\r\n" for _ in range(65))
    assert rejection_response(b"OPTIONS sip:a SIP/2.0\r\n" + vias, 400, "x") is None


def test_an_answer_is_never_much_longer_than_its_request():
    data = rejection_response(REQUEST, 400, "Reason")
    assert len(data) < len(REQUEST) + 100


def test_content_lengths_are_found_in_any_spelling():
    raw = b"x\r\nl : 7\r\nCONTENT-LENGTH:\r\n 8\r\nbroken line\r\n\xff: 1"
    assert content_lengths(raw) == ["7", "8"]
