from __future__ import annotations

import pytest

from softphone.sip.message import AuthValue, MalformedMessage

CHALLENGE = (
    'Digest realm="atlanta.com", nonce="84a4cc6f3082121f32b42a2187831a9e", qop="auth,auth-int", '
    'opaque="", stale=FALSE, algorithm=SHA-256, charset=UTF-8'
)
CREDENTIALS = (
    'Digest username="Alice", realm="atlanta.com", nonce="84a4", uri="sip:bob@biloxi.com", '
    'response="7587245234b3434cc3412213e5f113a5", qop=auth, nc=00000001, cnonce="x\\"y"'
)


@pytest.mark.parametrize(
    "text",
    [
        CHALLENGE,
        CREDENTIALS,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        'Bearer realm="x", scope="sip"',
        "Negotiate",
    ],
)
def test_a_value_prints_as_it_was_parsed(text):
    assert str(AuthValue.parse(text)) == text


def test_parameters_are_plain_and_found_without_case():
    value = AuthValue.parse(CREDENTIALS)
    assert value.scheme == "Digest"
    assert value.parameter("CNONCE") == 'x"y'
    assert value.parameter("qop") == "auth"
    assert value.parameter("opaque") is None


def test_loose_writing_is_understood():
    value = AuthValue.parse('  Digest   realm = "a,b" ,nonce=abc/+=,, Stale=true ,')
    assert value.parameters == (("realm", "a,b"), ("nonce", "abc/+="), ("Stale", "true"))


def test_a_token68_is_kept_apart():
    value = AuthValue.parse("Bearer abc-._~+/==")
    assert (value.token68, value.parameters) == ("abc-._~+/==", ())


def test_authentication_info_has_no_scheme():
    value = AuthValue.parse_info('nextnonce="a", qop=auth, rspauth="b", nc=00000001')
    assert value.scheme == ""
    assert str(value) == 'nextnonce="a", qop=auth, rspauth="b", nc=00000001'


@pytest.mark.parametrize(
    "text",
    [
        "",
        'Digest realm="open',
        'Digest realm="a" nonce="b"',
        'Digest realm="a", realm="b"',
        "Digest =x, y",
        'Digest realm="a", nonce',
        '"Digest" realm=a',
    ],
)
def test_a_malformed_value_is_refused(text):
    with pytest.raises(MalformedMessage):
        AuthValue.parse(text)


def test_the_repr_shows_no_secret():
    assert "7587" not in repr(AuthValue.parse(CREDENTIALS))
    assert "eyJ" not in repr(AuthValue.parse("Bearer eyJhbGciOiJub25lIn0"))


def test_a_quoted_value_is_never_written_as_a_token_with_a_space():
    value = AuthValue("Digest", (("algorithm", "a b"), ("realm", "x")))
    assert str(value) == 'Digest algorithm="a b", realm="x"'
