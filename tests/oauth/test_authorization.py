"""The authorization request, and which redirect answers it."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from softphone.errors import SingleSignOnRefused
from softphone.oauth.authorization import (
    UnexpectedRedirect,
    make_authorization_request,
    read_redirect,
    shown,
)
from softphone.security import KeyMaterial

ISSUER = "https://login.example.test"


def request(*, required=True, issuer=ISSUER, endpoint=f"{ISSUER}/authorize?tenant=7&state=x"):
    octets = iter((b"s" * 32, b"v" * 32))
    return make_authorization_request(
        endpoint,
        client_id="phone",
        scope="a b",
        redirect_uri="http://127.0.0.1:5/callback",
        issuer=issuer,
        iss_required=required,
        entropy=lambda size: next(octets)[:size],
    )


STATE = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()


def target(**changes):
    values = {"code": "abc", "state": STATE, "iss": ISSUER, **changes}
    return "/callback?" + urlencode({k: v for k, v in values.items() if v is not None})


def test_a_request_has_pkce_and_keeps_the_query_of_the_endpoint():
    made = request()
    query = parse_qs(urlsplit(made.url).query)
    challenge = hashlib.sha256(made.verifier.reveal()).digest()
    assert query == {
        "tenant": ["7"],
        "response_type": ["code"],
        "client_id": ["phone"],
        "redirect_uri": ["http://127.0.0.1:5/callback"],
        "state": [STATE],
        "code_challenge": [base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()],
        "code_challenge_method": ["S256"],
        "scope": ["a b"],
    }
    assert STATE not in repr(made)


def test_the_vector_of_rfc_7636_appendix_b():
    octets = bytes.fromhex("7418dfb49799e0254ffa607dd8adbbba16d4254d69d6bff05b5805585384 8d79")
    made = make_authorization_request(
        f"{ISSUER}/authorize",
        client_id="phone",
        scope="",
        redirect_uri="http://127.0.0.1:5/callback",
        issuer=None,
        iss_required=False,
        entropy=lambda size: octets,
    )
    assert made.verifier.reveal() == b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    query = parse_qs(urlsplit(made.url).query)
    assert query["code_challenge"] == ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]
    assert "scope" not in query


def test_the_code_of_the_right_redirect_is_taken():
    assert read_redirect(request(), target()).reveal() == b"abc"
    assert read_redirect(request(required=False), target(iss=None)).reveal() == b"abc"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (target(state="another"), "another state"),
        (target(state=None), "another state"),
        (target(iss="https://evil.example.test"), "named the issuer"),
        (target(iss=f"{ISSUER}/"), "named the issuer"),
        (target(iss=None), "did not name its issuer"),
        (target(code=None), "no code"),
        (target(code="ä"), "no code"),
        (target(code="a" * 5000), "no code"),
        (target() + f"&state={STATE}", "twice"),
        (target() + "&code=def", "twice"),
        (target().replace("/callback", "/other"), "another page"),
        (target().replace("/callback", "//["), "another page"),
        ("/callback", "another state"),
        ("/callback?state=%ff", "malformed"),
        ("/callback?" + "a=1&" * 100, "malformed"),
    ],
)
def test_another_redirect_is_not_the_answer(asked, message):
    with pytest.raises(UnexpectedRedirect, match=message):
        read_redirect(request(), asked)


def test_an_issuer_that_cannot_be_checked_is_not_taken():
    with pytest.raises(UnexpectedRedirect, match="not None"):
        read_redirect(request(issuer=None, required=False), target())


def test_a_refusal_counts_only_with_our_state_and_issuer():
    said = {"code": None, "error": "access_denied", "error_description": "no\x1b[2J"}
    with pytest.raises(SingleSignOnRefused, match=r"access_denied: no\?\[2J"):
        read_redirect(request(), target(**said))
    for forged in ({"state": "x"}, {"iss": "https://evil.example.test"}):
        with pytest.raises(UnexpectedRedirect):
            read_redirect(request(), target(**said, **forged))


def test_what_a_server_says_is_shown_without_secrets():
    secret = KeyMaterial(b"tops3cret")
    assert shown("it was tops3cret!", secret, None) == "it was …!"
    assert len(shown("x" * 999)) == 200
