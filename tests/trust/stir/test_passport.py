"""Identity header fields: what is read of them, and what is refused, with the reason."""

from __future__ import annotations

from contextlib import suppress

import pytest

from softphone.sip import parse_uri
from softphone.trust.stir import (
    AttestationLevel,
    InvalidPassport,
    canonical_number,
    number_of,
    parse_identity,
)
from tests.support.stir import CALLED, CALLER, URL, encoded, identity

NOW = 1_764_260_000


def value(**changes) -> str:
    return identity(None, issued=NOW, **changes)


def test_a_shaken_passport_is_read():
    passport = parse_identity(value(level="B"))
    assert (passport.url, passport.issued) == (URL, NOW)
    assert (passport.origin, passport.destinations) == (CALLER, (CALLED,))
    assert passport.level is AttestationLevel.PARTIAL
    assert passport.origin_id.startswith("123e4567")
    assert "signature" not in repr(passport)


def test_parameters_may_be_quoted_spaced_and_in_any_order():
    token = value().partition(";")[0]
    passport = parse_identity(f'{token} ; ppt="shaken"; ALG=ES256 ;Info = <{URL}>')
    assert passport.url == URL
    assert parse_identity(f"{token};info=<{URL}>").origin == CALLER


def test_numbers_are_compared_without_separators():
    claims = {"orig": {"tn": "+1 (555) 010-1003"}, "dest": {"tn": ["x", "+1.555.010.2000"]}}
    passport = parse_identity(value(claims=claims))
    assert (passport.origin, passport.destinations) == (CALLER, (CALLED,))
    assert parse_identity(value(claims={"dest": {"tn": CALLED}})).destinations == (CALLED,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('"c2lnbmF0dXJl"', "no PASSporT"),  # RFC 4474
        ("", "no PASSporT"),
        ("a.b", "no PASSporT"),
        (f"..{'A' * 86};info=<{URL}>", "compact form"),
        ("x" * 9000, "8192 characters"),
        (value() + "é", "ASCII"),
        (value(header={"alg": "RS256"}), "not signed by ES256"),
        (value(header={"alg": "none"}), "not signed by ES256"),
        (value(parameters=f";info=<{URL}>;alg=HS256"), "not signed by ES256"),
        (value(header={"typ": "JWT"}), "type is not"),
        (value(header={"ppt": "div"}), "another kind"),
        (value(header={"ppt": None}), "another kind"),
        (value(parameters=f";info=<{URL}>;ppt=rph"), "another kind"),
        (value(header={"crit": ["b64"]}), "extension"),
        (value(header={"x5u": "https://other.example.test/"}), "no one certificate"),
        (value(header={"x5u": None}), "no one certificate"),
        (value(parameters=""), "no one certificate"),
        (value(url="http://cert.example.test/"), "https"),
        (value(url=f"{URL}?1"), "has a query"),
        (value(url=f"{URL}#1"), "has a query"),
        (value(url="https://cert.example.test/\x1b[2J"), "https"),
        (value(url="https://x/" + "y" * 2000), "no one certificate"),
        (value(claims={"iat": None}), "when it was issued"),
        (value(claims={"iat": True}), "when it was issued"),
        (value(claims={"iat": 1.5}), "when it was issued"),
        (value(claims={"iat": 1 << 60}), "when it was issued"),
        (value(claims={"orig": None}), "no number of the caller"),
        (value(claims={"orig": {"uri": "sip:a@b"}}), "no number of the caller"),
        (value(claims={"orig": {"tn": ["1"]}}), "no number of the caller"),
        (value(claims={"dest": {"uri": ["sip:a@b"]}}), "no number that is called"),
        (value(claims={"dest": {"tn": ["bob", 5]}}), "no number that is called"),
        (value(claims={"dest": {"tn": [CALLED] * 40}}), "no number that is called"),
        (value(claims={"attest": "D"}), "neither A, B nor C"),
        (value(claims={"attest": ["A"]}), "neither A, B nor C"),
        (value(claims={"origid": "a b"}), "origination identifier"),
    ],
)
def test_what_does_not_count_is_refused_with_the_reason(text, why):
    with pytest.raises(InvalidPassport, match=why):
        parse_identity(text)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"{", "JSON of its header"),
        (b"\xff\xfe{\x00}\x00", "JSON of its header"),
        (b"[" * 4000, "JSON of its header"),
        (b'{"alg":' + b"9" * 5000 + b"}", "JSON of its header"),
        (b'{"alg":"ES256","alg":"none"}', "JSON of its header"),
        (b"[1]", "no JSON object"),
    ],
)
def test_json_that_readers_would_understand_differently_is_refused(head, why):
    claims, signature = value().partition(";")[0].split(".")[1:]
    with pytest.raises(InvalidPassport, match=why):
        parse_identity(f"{encoded(head)}.{claims}.{signature};info=<{URL}>")


def test_base64_and_signatures_have_their_lengths():
    head, claims, _ = value().partition(";")[0].split(".")
    for signature, why in (("A", "base64url"), ("AAAA", "signature"), ("A" * 200, "signature")):
        with pytest.raises(InvalidPassport, match=why):
            parse_identity(f"{head}.{claims}.{signature};info=<{URL}>")


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("tel:+1-555-010-1003", CALLER),
        ("tel:1003;phone-context=example.test", None),
        ("sip:+15550101003@example.test;user=phone", CALLER),
        ("sip:%2b15550101003;npdi@example.test", CALLER),
        ("sip:1003;phone-context=+1@example.test", None),
        ("sip:alice@example.test", None),
        ("sip:example.test", None),
        ("im:alice@example.test", None),
    ],
)
def test_the_number_of_a_uri(uri, number):
    assert number_of(parse_uri(uri)) == number


@pytest.mark.parametrize(
    ("text", "number"), [("+", None), ("*72#", "*72#"), ("١٢", None), ("1" * 33, None)]
)
def test_only_digits_stars_and_hashes_are_a_number(text, number):
    assert canonical_number(text) == number


def test_every_octet_changed_is_read_or_refused():
    text = value()
    for at in range(0, len(text), 3):
        for other in ".;<A":
            with suppress(InvalidPassport):
                parse_identity(text[:at] + other + text[at + 1 :])
