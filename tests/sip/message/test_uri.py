from __future__ import annotations

import pytest

from softphone.sip.message import (
    AbsoluteUri,
    MalformedMessage,
    NameAddr,
    SipUri,
    parse_uri,
    unescape,
)
from softphone.sip.message.uri import escape_user, format_host, parse_host

# The examples of RFC 3261 sections 19.1.3 and 25.1, and what phones and servers really write.
VALID = [
    "sip:alice@atlanta.com",
    "sip:alice:secretword@atlanta.com;transport=tcp",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.com;user=phone",
    "sips:1212@gateway.com",
    "sip:alice@192.0.2.4",
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
    "sip:alice;day=tuesday@atlanta.com",
    "sip:[2001:db8::10]:5070;transport=tls",
    "sip:*72#@pbx.example.com",
    "sip:x@my_host.example.;lr;r2=on",
    "sip:user@h;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "sip:c8oqz84zk7z@privacy.org",
    "sip:sip%3Auser%40example.com@example.net",
    "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too."
    "(doesn't-it)@example.com",
]


@pytest.mark.parametrize("text", VALID)
def test_a_sip_uri_prints_as_it_was_parsed(text):
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    assert str(uri) == text
    assert SipUri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@host",
        "sip:user@",
        "sip:user@host:",
        "sip:user@host:0",
        "sip:user@host:65536",
        "sip:user@host:5060x",
        "sip:user@host:٥٠٦٠",
        "sip:us er@host",
        "sip:user@host;",
        "sip:user@host;=a",
        "sip:user@host;a=",
        "sip:user@host?",
        "sip:user@host?a",
        "sip:user@host?a=b&",
        "sip:user@host;lr?",
        "sip:u%zz@host",
        "sip:u%4@host",
        "sip:user@[::1",
        "sip:user@[]",
        "sip:user@[1:2:3]",
        "sip:user@2001:db8::1",
        "sip:2001:db8::10",
        "sip:user@ho st",
        "sip:user@host\n",
        "sip:user@host;a=1;a=2",
        "sip:user@host<",
        'sip:"user"@host',
        "sip:a@b@c",
    ],
)
def test_a_malformed_sip_uri_is_refused(text):
    with pytest.raises(MalformedMessage):
        SipUri.parse(text)


def test_the_parts_of_a_sip_uri():
    uri = SipUri.parse("SIPS:bob;x:pw@[2001:DB8::1]:5061;Transport=TCP;lr?Subject=a%20b&to=c")
    assert uri.scheme == "sips"
    assert uri.secure
    assert (uri.user, uri.password) == ("bob;x", "pw")
    assert (uri.host, uri.port) == ("2001:DB8::1", 5061)
    assert uri.transport == "tcp"
    assert uri.parameter("LR") == ""
    assert uri.parameter("absent") is None
    assert uri.headers == (("Subject", "a%20b"), ("to", "c"))
    assert str(uri.bare()) == "sips:bob;x@[2001:DB8::1]:5061"


def test_the_password_does_not_show_in_the_repr():
    assert "secretword" not in repr(SipUri.parse("sip:alice:secretword@atlanta.com"))


def test_parameters_are_set_and_dropped():
    uri = SipUri.parse("sip:a@b;transport=udp;lr")
    assert str(uri.with_parameter("transport", "tls")) == "sip:a@b;lr;transport=tls"
    assert str(uri.without_parameter("Transport")) == "sip:a@b;lr"
    assert str(uri.with_parameter("ob")) == "sip:a@b;transport=udp;lr;ob"


# RFC 3261 section 19.1.4.
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8:0:0::1]", "sip:a@[2001:DB8::1]"),
        ("sip:a@b;%6Cr", "sip:a@b;lr"),
    ],
)
def test_uris_that_mean_the_same_are_equivalent(one, other):
    assert parse_uri(one).equivalent(parse_uri(other))
    assert parse_uri(other).equivalent(parse_uri(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a:b@c", "sip:a@c"),
        ("sip:a@b;user=phone", "sip:a@b"),
        ("sip:a@b;maddr=192.0.2.1", "sip:a@b"),
        ("sip:a@b;x=1", "sip:a@b;x=2"),
        ("sip:null-%00-null@b", "sip:%00@b"),
        ("sip:a@b", "tel:+1"),
    ],
)
def test_uris_that_differ_are_not_equivalent(one, other):
    assert not parse_uri(one).equivalent(parse_uri(other))
    assert not parse_uri(other).equivalent(parse_uri(one))


def test_other_schemes_are_opaque():
    uri = parse_uri("TEL:+1-201-555-0123;phone-context=example.com")
    assert uri == AbsoluteUri("tel", "+1-201-555-0123;phone-context=example.com")
    assert parse_uri("soap.beep://192.0.2.103:3002") == AbsoluteUri(
        "soap.beep", "//192.0.2.103:3002"
    )
    assert uri.equivalent(parse_uri(str(uri)))


@pytest.mark.parametrize("text", ["nothing", ":x", "1a:b", "a:", "a:b c", "<a:b>", "a:b\x00"])
def test_a_malformed_uri_is_refused(text):
    with pytest.raises(MalformedMessage):
        parse_uri(text)


def test_escapes():
    assert unescape("%41%00b%C3%bc") == b"A\x00b\xc3\xbc"
    assert escape_user("Jörg #1@home%") == "J%C3%B6rg%20%231%40home%25"
    assert str(SipUri("sip", escape_user("a b"), None, "h")) == "sip:a%20b@h"


def test_hosts():
    assert parse_host("[::1]") == "::1"
    assert parse_host("example.com") == "example.com"
    assert format_host("::1") == "[::1]"
    assert format_host("192.0.2.1") == "192.0.2.1"


def test_a_name_addr_has_a_name_a_uri_and_parameters():
    value = NameAddr.parse('"A. \\"B\\" C" <sips:bob@biloxi.com;lr> ;tag=a48s; q=0.5')
    assert value.display_name == 'A. "B" C'
    assert str(value.uri) == "sips:bob@biloxi.com;lr"
    assert value.tag == "a48s"
    assert value.parameter("Q") == "0.5"
    assert NameAddr.parse(str(value)) == value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("caller<sip:a@b>", "caller"),
        ("Anonymous <sip:a@b>", "Anonymous"),
        ("T. Watson  III <sip:a@b>", "T. Watson III"),
        ("<sip:a@b>", None),
        ('""<sip:a@b>', ""),
        ("Jörg Müller <sip:a@b>", "Jörg Müller"),
        ('"Quoted, with <brackets>" <sip:a@b>', "Quoted, with <brackets>"),
    ],
)
def test_display_names(text, name):
    value = NameAddr.parse(text)
    assert value.display_name == name
    assert NameAddr.parse(str(value)) == value


def test_without_brackets_parameters_belong_to_the_header_field():
    value = NameAddr.parse("sip:+19725552222@gw1.example.net;unknownparam")
    assert str(value.uri) == "sip:+19725552222@gw1.example.net"
    assert value.parameter("unknownparam") == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
        '"Mr. J. User <sip:j.user@example.com>',
        '"Watson, Thomas" < sip:t.watson@example.org >',
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        "<sip:a@b",
        "<sip:a@b>x",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>;tag=1;tag=2",
        "<>",
        "sip:a@b, sip:c@d",
        '"a" "b" <sip:a@b>',
        "name sip:a@b",
        "*",
    ],
)
def test_a_malformed_name_addr_is_refused(text):
    with pytest.raises(MalformedMessage):
        NameAddr.parse(text)


def test_a_list_of_addresses():
    values = NameAddr.parse_list('"a,b" <sip:a,b@c>;q=1, sip:d@e;expires=5 ,<tel:+1>')
    assert [str(value) for value in values] == [
        '"a,b" <sip:a,b@c>;q=1',
        "<sip:d@e>;expires=5",
        "<tel:+1>",
    ]


@pytest.mark.parametrize("text", ["", ",", "<sip:a@b>,", ",<sip:a@b>", "<sip:a@b>,,<sip:c@d>"])
def test_a_list_with_an_empty_element_is_refused(text):
    with pytest.raises(MalformedMessage):
        NameAddr.parse_list(text)


def test_a_tag_is_set_and_a_parameter_dropped():
    value = NameAddr.parse("<sip:a@b>;expires=3")
    assert str(value.with_tag("x")) == "<sip:a@b>;expires=3;tag=x"
    assert str(value.without_parameter("Expires")) == "<sip:a@b>"
    instance = value.with_parameter("+sip.instance", "<urn:uuid:1>")
    assert str(instance) == '<sip:a@b>;expires=3;+sip.instance="<urn:uuid:1>"'
    assert instance.parameter("+sip.instance") == "<urn:uuid:1>"
