"""What may be written to name who is called: the same for a call, a transfer and a redirect."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.sip import parse_target, parse_uri

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


def test_the_domain_of_an_ipv6_address_is_in_brackets():
    own = parse_uri("sip:alice@[::1]:5070")
    assert str(parse_target("600", own).uri) == "sip:600@[::1]:5070"


def test_without_a_domain_of_our_own_a_whole_uri_is_needed():
    own = parse_uri("tel:+4930")
    assert str(parse_target("sip:bob@b.test", own).uri) == "sip:bob@b.test"
    with pytest.raises(ConfigurationError):
        parse_target("600", own)
