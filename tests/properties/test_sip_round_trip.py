"""What is printed parses to the same, for every value the SIP room can make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.sip.message import (
    AbsoluteUri,
    AuthValue,
    Body,
    CrlfKeepAlive,
    CSeq,
    EventValue,
    Headers,
    NameAddr,
    RAck,
    Reason,
    Replaces,
    Request,
    Response,
    SessionExpires,
    SipUri,
    StreamFramer,
    SubscriptionStateValue,
    Via,
    format_multipart,
    parse_datagram,
    parse_multipart,
    parse_uri,
    unescape,
)
from softphone.sip.message.grammar import format_parameters, parse_parameters, quote, unquote
from softphone.sip.message.headers import ContentType
from softphone.sip.message.typed_headers import RetryAfter, WarningValue, parse_date
from softphone.sip.message.uri import escape_user

TOKEN_CHARS = "abcXYZ0189-.!%*_+`'~"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
ports = st.none() | st.integers(1, 65535)
seconds = st.integers(0, 2**32 - 1)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9][a-z0-9\-]{0,9}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
values = st.none() | tokens | texts.map(quote)
parameters = st.lists(
    st.tuples(tokens, values), max_size=4, unique_by=lambda item: item[0].lower()
).map(tuple)
uri_chars = st.text("abcXYZ019-_.!~*'()[]/:&+$", min_size=1, max_size=8)
uri_parameters = st.lists(
    st.tuples(uri_chars, st.none() | uri_chars), max_size=3, unique_by=lambda item: item[0].lower()
).map(tuple)
uri_headers = st.lists(
    st.tuples(st.text("abcX0-_?/", min_size=1, max_size=5), st.text("abcX0-_.%20", max_size=0)),
    max_size=2,
).map(tuple)
users = texts.filter(bool).map(escape_user)
sip_uris = st.builds(
    lambda scheme, user, password, host, port, params, headers: SipUri(
        scheme, user, password if user else None, host, port, params, headers
    ),
    st.sampled_from(["sip", "sips"]),
    st.none() | users,
    st.none() | st.text("abc019&=+$,", max_size=5),
    hosts,
    ports,
    uri_parameters,
    uri_headers,
)
other_uris = st.builds(
    AbsoluteUri,
    st.from_regex(r"[a-z][a-z0-9+.\-]{0,5}", fullmatch=True).filter(
        lambda scheme: scheme not in ("sip", "sips")
    ),
    st.text("abc019-+/:;=?@.", min_size=1, max_size=12),
)
addresses = st.builds(NameAddr, st.none() | texts, sip_uris | other_uris, parameters)
vias = st.builds(Via, tokens, hosts, ports, parameters)
cseqs = st.builds(CSeq, st.integers(0, 2**31 - 1), tokens)
VALUES = {
    Via: vias,
    CSeq: cseqs,
    NameAddr: addresses,
    RAck: st.builds(RAck, seconds, st.integers(0, 2**31 - 1), tokens),
    WarningValue: st.builds(WarningValue, st.integers(100, 999), hosts, texts),
    Reason: st.builds(Reason, tokens, st.none() | seconds, texts),
    Replaces: st.builds(Replaces, tokens, tokens, tokens, st.booleans()),
    SessionExpires: st.builds(SessionExpires, seconds, st.sampled_from([None, "uac", "uas"])),
    SubscriptionStateValue: st.builds(
        SubscriptionStateValue,
        tokens.map(str.lower),
        st.none() | tokens,
        st.none() | seconds,
        st.none() | seconds,
    ),
    EventValue: st.builds(
        EventValue,
        tokens,
        st.none() | tokens,
        parameters.filter(lambda items: all(name.lower() != "id" for name, _ in items)),
    ),
    RetryAfter: st.builds(RetryAfter, seconds, st.none() | seconds),
    ContentType: st.builds(ContentType, tokens.map(str.lower), tokens.map(str.lower), parameters),
    AuthValue: st.builds(
        AuthValue,
        tokens,
        st.lists(
            st.tuples(tokens, texts), min_size=1, max_size=4, unique_by=lambda i: i[0].lower()
        ).map(tuple),
    ),
}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_value_parses_back(kind, data):
    value = data.draw(VALUES[kind])
    assert kind.parse(str(value)) == value


@given(sip_uris | other_uris)
def test_a_uri_parses_back_and_is_equivalent_to_itself(uri):
    assert parse_uri(str(uri)) == uri
    assert uri.equivalent(uri)


@given(texts)
def test_text_survives_quoting_and_escaping(text):
    assert unquote(quote(text)) == text
    assert unescape(escape_user(text)) == text.encode()


@given(parameters)
def test_parameters_parse_back(items):
    assert parse_parameters(format_parameters(items)) == tuple(items)


@given(st.lists(addresses, min_size=1, max_size=4))
def test_a_list_of_addresses_parses_back(items):
    assert NameAddr.parse_list(", ".join(map(str, items))) == tuple(items)


@given(st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC)))
def test_a_date_parses_back(when):
    assert parse_date(format_datetime(when, usegmt=True)) == when.replace(microsecond=0)


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_a_host(address):
    uri = parse_uri(f"sip:[{address.exploded.upper()}]")
    assert IPv6Address(uri.host) == address
    assert uri.equivalent(SipUri("sip", None, None, str(address)))


known = st.sampled_from(["Subject", "User-Agent", "Date", "Supported", "Warning", "Expires"])
unknown = tokens.map(lambda token: f"X-Y{token}")
visible = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\r\n"), max_size=30
)
fields = st.lists(
    st.tuples(known | unknown, visible.map(lambda text: text.strip(" \t"))), max_size=6
)
bodies = st.none() | st.builds(
    Body, st.just("application/sdp"), st.binary(max_size=50), st.sampled_from(["", "session"])
)


@st.composite
def requests(draw):
    method = draw(tokens)
    extra = {name.lower(): (name, value) for name, value in draw(fields)}
    return Request.build(
        method,
        draw(sip_uris.map(lambda uri: replace(uri, headers=())) | other_uris),
        [
            *(("Via", str(via)) for via in draw(st.lists(vias, min_size=1, max_size=3))),
            ("From", str(draw(addresses))),
            ("To", str(draw(addresses))),
            ("Call-ID", draw(tokens)),
            ("CSeq", str(CSeq(draw(st.integers(0, 2**31 - 1)), method))),
            *extra.values(),
        ],
        draw(bodies),
    )


@given(requests())
@settings(deadline=None)
def test_a_request_parses_back(request):
    parsed = parse_datagram(request.encode())
    assert isinstance(parsed, Request), parsed
    assert parsed.with_headers(parsed.headers.without("Content-Length")) == request
    assert parsed.encode() == request.encode()


@given(requests(), st.integers(100, 699), visible, bodies)
@settings(deadline=None)
def test_a_response_parses_back(request, status, reason, body):
    response = request.response(status, reason, to_tag="x", body=body)
    parsed = parse_datagram(response.encode())
    assert isinstance(parsed, Response), parsed
    assert parsed.with_headers(parsed.headers.without("Content-Length")) == response


@given(st.lists(requests(), max_size=4), st.data())
@settings(max_examples=40, deadline=None)
def test_a_stream_is_the_same_in_any_pieces(messages, data):
    encoded = b"\r\n\r\n".join(message.encode() for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=12)))
    framer, items = StreamFramer(), []
    for start, end in zip([0, *cuts], [*cuts, len(encoded)], strict=True):
        items += framer.feed(encoded[start:end])
    found = [item for item in items if not isinstance(item, CrlfKeepAlive)]
    assert [item.encode() for item in found] == [
        parse_datagram(message.encode()).encode() for message in messages
    ]


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_a_multipart_body_parses_back(parts):
    bodies = [Body("application/octet-stream", part) for part in parts]
    body = format_multipart(bodies, boundary="a-boundary-that-nobody-draws")
    assert [part.body for part in parse_multipart(body)] == bodies


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_give_a_result(data):
    assert parse_datagram(data) is not None
    StreamFramer().feed(data)


@given(st.lists(st.tuples(tokens, visible)))
def test_headers_are_what_they_were_made_of(items):
    assert [name.lower() for name, _ in Headers(items)] == [
        name.lower() for name, _ in Headers(Headers(items))
    ]
