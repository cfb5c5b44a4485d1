"""What may be written to name who is called: the same for a call, a transfer and a redirect."""

from __future__ import annotations

import pytest

from softphone.config.account import parse_sip_uri
from softphone.errors import ConfigurationError
from softphone.sip import explain_no_sip_uri, parse_target, parse_uri

OWN = parse_uri("sips:alice@example.test:5071")


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("600", "sips:600@example.test:5071"),
        ("+49 30".replace(" ", ""), "sips:+4930@example.test:5071"),
        ("bob@b.test", "sips:bob@b.test"),
        ("bob@b.test:5080", "sips:bob@b.test:5080"),
        ("sip:bob@b.test;transport=tcp", "sip:bob@b.test;transport=tcp"),
        ("SIP:bob@b.test", "sip:bob@b.test"),
        ('"Bob" <sip:bob@b.test>', "sip:bob@b.test"),
        ("tel:+4930", "tel:+4930"),
    ],
)
def test_a_target_is_a_user_an_address_or_a_uri(text, uri):
    assert str(parse_target(text, OWN).uri) == uri


@pytest.mark.parametrize(
    "text",
    ["", "@b.test", "not a uri", "bob@", "sip:", "a@b@c", "x:", "<sip:bob", "6\r\n7"],
)
def test_anything_else_is_refused_and_named(text):
    with pytest.raises(ConfigurationError, match="target: ") as refused:
        parse_target(text, OWN)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason", "advice"),
    [
        (
            "alice@b.test",
            "Malformed URI",
            "no scheme: write sip:alice@b.test, or sips:alice@b.test ",
        ),
        ("127.0.0.1:5060", "Malformed URI", "no scheme: write sip:127.0.0.1:5060, or sips:"),
        ("pbx.example.test:5061", "", "no scheme: write sip:pbx.example.test:5061, or"),
        ("tel:+4930", "", "write it as sip:USER@HOST or sip:HOST, with sips: for TLS"),
        ("sip:a@b:99999", "Port out of range", "Port out of range; write it as sip:USER@HOST"),
        ("sip:alice@", "Malformed SIP URI", "write it as sip:USER@HOST or sip:HOST"),
        ("a b", "Malformed URI", "write it as sip:USER@HOST"),
    ],
)
def test_how_to_write_a_sip_uri_is_said(text, reason, advice):
    said = explain_no_sip_uri(text, reason)
    assert said.removeprefix("it has ").startswith(advice)
    with pytest.raises(ConfigurationError) as refused:
        parse_sip_uri(text, what="aor")
    assert str(refused.value).endswith(said)


def test_the_domain_of_an_ipv6_address_is_in_brackets():
    own = parse_uri("sip:alice@[::1]:5070")
    assert str(parse_target("600", own).uri) == "sip:600@[::1]:5070"


def test_without_a_domain_of_our_own_a_whole_uri_is_needed():
    own = parse_uri("tel:+4930")
    assert str(parse_target("sip:bob@b.test", own).uri) == "sip:bob@b.test"
    with pytest.raises(ConfigurationError):
        parse_target("600", own)
