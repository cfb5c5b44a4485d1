"""RFC 5118: IPv6 addresses in every place of a message, right and wrong.

The messages are our own, one for each section, with what the section asks for.
"""

from __future__ import annotations

import pytest

from softphone.sip.message import ParseFailure, Request, SipUri, parse_datagram


def message(
    *,
    method: str = "REGISTER",
    uri: str = "sip:[2001:db8::10]",
    via: str = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
    extra: str = "",
    body: str = "",
) -> bytes:
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: {via}\r\n"
        "From: sip:user@example.com;tag=81x2\r\n"
        "To: sip:user@example.com\r\n"
        "Call-ID: SSG95523997077@host.example.com\r\n"
        "Max-Forwards: 70\r\n"
        'Contact: "Caller" <sip:caller@[2001:db8::1]>\r\n'
        f"CSeq: 98176 {method}\r\n"
        f"{extra}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def parse(**changes) -> Request:
    parsed = parse_datagram(message(**changes))
    assert isinstance(parsed, Request), parsed
    assert parse_datagram(parsed.encode()).encode() == parsed.encode()
    return parsed


def test_4_1_a_valid_message_with_an_ipv6_reference():
    request = parse()
    assert (request.uri.host, request.uri.port) == ("2001:db8::10", None)
    assert (request.top_via.host, request.top_via.port) == ("2001:db8::9:1", None)
    assert request.contacts[0].uri == SipUri("sip", "caller", None, "2001:db8::1")
    assert str(request.uri) == "sip:[2001:db8::10]"


def test_4_2_an_ipv6_address_without_brackets_is_refused():
    rejected = parse_datagram(message(uri="sip:2001:db8::10"))
    assert isinstance(rejected, ParseFailure)
    assert rejected.response.startswith(b"SIP/2.0 400 ")


def test_4_3_what_looks_like_a_port_in_the_brackets_is_none():
    uri = parse(uri="sip:[2001:db8::10:5070]").uri
    assert (uri.host, uri.port) == ("2001:db8::10:5070", None)


def test_4_4_a_port_behind_the_brackets_is_one():
    uri = parse(uri="sip:[2001:db8::10]:5070").uri
    assert (uri.host, uri.port) == ("2001:db8::10", 5070)


@pytest.mark.parametrize("received", ["[2001:db8::9:255]", "2001:db8::9:255"])
def test_4_5_received_is_accepted_with_and_without_brackets(received):
    via = f"SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111"
    assert parse(method="BYE", via=via).top_via.received == "2001:db8::9:255"


def test_4_6_addresses_in_a_session_description_are_left_alone():
    body = "v=0\r\no=a 1 1 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 2001:db8::20\r\nt=0 0\r\n"
    request = parse(method="INVITE", extra="Content-Type: application/sdp\r\n", body=body)
    assert request.body == body.encode()


def test_4_7_both_families_in_one_message():
    via = (
        "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111, "
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144,"
        "SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200"
    )
    request = parse(method="BYE", uri="sip:user@host.example.net", via=via)
    assert [(via.host, via.port) for via in request.vias] == [
        ("2001:db8::9:1", 6050),
        ("192.0.2.1", None),
        ("2001:db8::9:255", None),
    ]
    assert request.vias[2].received == "192.0.2.200"


def test_4_9_an_ipv4_address_mapped_into_ipv6():
    request = parse(
        uri="sip:user@[::ffff:192.0.2.10]",
        via="SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111",
    )
    assert request.uri.host == "::ffff:192.0.2.10"
    assert request.uri.equivalent(SipUri("sip", "user", None, "::FFFF:c000:20a"))
    assert request.top_via.host == "::ffff:192.0.2.2"


def test_4_10_the_third_colon_of_the_old_grammar_is_understood_and_not_repeated():
    request = parse(uri="sip:user@[2001:db8:::192.0.2.1]")
    assert request.uri.host == "2001:db8::192.0.2.1"
    assert str(request.uri) == "sip:user@[2001:db8::192.0.2.1]"


@pytest.mark.parametrize(
    "host",
    [
        *(
            "[]",
            "[:]",
            "[:::]",
            "[1::2::3]",
            "[12345::1]",
            "[::1",
            "::1]",
            "[::g]",
            "[fe80::1%eth0]",
        ),
        *("[::1%25eth0]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[::300.0.2.1]", "[[::1]]"),
        *("[192.0.2.1]", "[v1.x]", "[::1]x", "[::1]:", "[2001:db8:::1]"),
    ],
)
def test_what_is_no_ipv6_address_is_refused_in_a_uri_and_in_via(host):
    for changes in ({"uri": f"sip:user@{host}"}, {"via": f"SIP/2.0/UDP {host};branch=z9hG4bK1"}):
        assert isinstance(parse_datagram(message(**changes)), ParseFailure)
