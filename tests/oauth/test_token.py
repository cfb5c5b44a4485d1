"""The answer of a token endpoint, and what is stored of it."""

from __future__ import annotations

import json

import pytest

from softphone.errors import SingleSignOnError
from softphone.oauth.token import Token, decode_token, encode_token, read_token_response
from softphone.security import KeyMaterial

ANSWER = {"access_token": "opaque-access", "token_type": "bearer"}


def read(before=None, **more):
    return read_token_response(json.dumps({**ANSWER, **more}).encode(), wall=100.0, before=before)


def test_a_token_is_read_and_shows_nothing():
    token = read(refresh_token="opaque-refresh", expires_in=60, scope="phone")
    assert (token.access.reveal(), token.refresh.reveal()) == (b"opaque-access", b"opaque-refresh")
    assert (token.obtained, token.lifetime, token.scope) == (100.0, 60.0, "phone")
    assert "opaque" not in repr(token)


@pytest.mark.parametrize(
    ("given", "lifetime"),
    [
        (60, 60.0),
        ("3599", 3599.0),
        (0.5, 0.5),
        (None, None),
        (True, None),
        (-1, None),
        ("soon", None),
        (1e300, None),
        (10**400, None),
        (10**11, 1e9),
    ],
)
def test_a_lifetime_is_a_number_within_bounds(given, lifetime):
    assert read(expires_in=given).lifetime == lifetime


def test_a_refresh_keeps_what_it_does_not_bring():
    before = read(refresh_token="old", scope="phone")
    assert read(before).refresh is before.refresh
    assert read(before).scope == "phone"
    assert read(before, refresh_token="new", scope="all").refresh.reveal() == b"new"


@pytest.mark.parametrize(
    "more",
    [
        {"access_token": "a" * 20_000},
        {"access_token": 5},
        {"access_token": "a\r\nb"},
        {"token_type": "mac"},
        {"token_type": None},
        {"refresh_token": "ä"},
        {"refresh_token": ""},
        {"refresh_token": 7},
        {"refresh_token": "r" * 20_000},
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(more):
    with pytest.raises(SingleSignOnError) as refused:
        read(**more)
    assert refused.value.__cause__ is None
    assert "a\r" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"access_token": "abc'])
def test_what_is_no_json_object_is_refused_without_its_text(body):
    with pytest.raises(SingleSignOnError, match="no JSON object") as refused:
        read_token_response(body, wall=0.0)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def token(lifetime, obtained=1000.0):
    return Token(KeyMaterial(b"abc"), None, obtained, lifetime)


def test_a_token_is_renewed_ahead_of_its_end():
    assert not token(600.0).due(1534.0)
    assert token(600.0).due(1535.0)
    assert not token(60.0).due(1029.0)
    assert token(60.0).due(1030.0)


def test_an_hour_is_assumed_where_no_end_is_told():
    assert token(None).remaining(1000.0) == 3600.0
    assert token(None).due(4535.0)
    assert not token(None).due(4534.0)


def test_a_clock_that_was_set_back_keeps_no_token_for_ever():
    assert not token(600.0).due(701.0)
    assert token(600.0).due(699.0)


def test_a_stored_token_comes_back_as_it_was():
    whole = Token(KeyMaterial(b"abc"), KeyMaterial(b"r"), 5.5, 60.0, "s", "https://a.test", "phone")
    found = decode_token(encode_token(whole))
    assert encode_token(found) == encode_token(whole)
    assert decode_token(encode_token(token(None))).refresh is None


@pytest.mark.parametrize(
    "change",
    [
        {"form": 2},
        {"access_token": "a b"},
        {"refresh_token": ""},
        {"obtained": "5"},
        {"obtained": None},
        {"server": 5},
    ],
)
def test_what_is_no_stored_token_is_refused(change):
    values = {**json.loads(encode_token(token(60.0))), **change}
    with pytest.raises(SingleSignOnError, match="sign in again"):
        decode_token(json.dumps(values).encode())
