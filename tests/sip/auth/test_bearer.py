"""Bearer tokens: when they are sent, when not, and that nobody sees them."""

from __future__ import annotations

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import (
    AuthenticationRefused,
    BearerSession,
    bearer_challenge,
    is_bearer_token,
    presented_token,
)
from softphone.sip.message import Request, SipUri
from tests.support.challenges import OWN, own_server_everywhere

TOKEN = "eyJhbGciOi.J9-secret_token~+/=="


def request(method="REGISTER"):
    fields = [
        ("Via", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1"),
        ("From", "<sip:alice@example.test>;tag=1"),
        ("To", "<sip:alice@example.test>"),
        ("Call-ID", "c1"),
        ("CSeq", f"1 {method}"),
    ]
    return Request.build(method, SipUri.parse("sip:example.test"), fields)


def challenged(sent):
    return sent.response(407, headers=[bearer_challenge("ccmsipline")])


@pytest.mark.parametrize("quoted", [True, False])
def test_a_challenge_is_answered_and_the_server_reads_the_token(quoted):
    session = BearerSession(
        KeyMaterial(TOKEN.encode()), quoted=quoted, policy=own_server_everywhere()
    )
    again = session.authorize(request(), challenged(request()), flow=OWN)
    assert isinstance(again, Request)
    assert presented_token(again) == TOKEN
    assert ('token="' in again.headers.get("Proxy-Authorization")) is quoted
    assert session.refusal is None


def test_nothing_is_sent_before_it_is_asked_for_and_then_always():
    session = BearerSession(KeyMaterial(TOKEN.encode()), policy=own_server_everywhere())
    assert presented_token(session.preauthorize(request(), to=OWN)) is None
    session.authorize(request(), challenged(request()), flow=OWN)
    assert presented_token(session.preauthorize(request(), to=OWN)) == TOKEN
    assert presented_token(session.preauthorize(request("ACK"), to=OWN)) is None


def test_a_token_that_was_refused_is_not_sent_again_until_there_is_another():
    session = BearerSession(KeyMaterial(TOKEN.encode()), policy=own_server_everywhere())
    again = session.authorize(request(), challenged(request()), flow=OWN)
    refused = session.authorize(again, challenged(again), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)
    assert session.token_refused
    assert presented_token(session.preauthorize(request(), to=OWN)) is None
    session.replace_token(KeyMaterial(b"another"))
    # A late challenge to the old token says nothing of the new one.
    assert presented_token(session.authorize(again, challenged(again), flow=OWN)) == "another"
    assert not session.token_refused


def test_without_a_token_the_refusal_says_so():
    session = BearerSession(policy=own_server_everywhere())
    assert "there is none" in session.authorize(request(), challenged(request()), flow=OWN).reason


def test_the_old_token_is_wiped():
    old = KeyMaterial(TOKEN.encode())
    session = BearerSession(old, policy=own_server_everywhere())
    session.replace_token(KeyMaterial(b"new"))
    assert len(old) == 0


def test_nobody_sees_it():
    session = BearerSession(KeyMaterial(TOKEN.encode()), policy=own_server_everywhere())
    again = session.authorize(request(), challenged(request()), flow=OWN)
    assert TOKEN not in repr(session)
    assert TOKEN not in repr(again)
    session.authorize(again, challenged(again), flow=OWN)
    assert TOKEN not in session.refusal.reason


def test_what_can_be_a_token():
    assert is_bearer_token(TOKEN)
    assert not is_bearer_token("")
    assert not is_bearer_token('a"b')
    assert not is_bearer_token("a b")
    assert not is_bearer_token("a" * 20_000)


def www_challenged(sent, *more):
    value = ", ".join(('Bearer realm="example.test"', *more))
    return sent.response(401, headers=[("WWW-Authenticate", value)])


def test_a_registrar_gets_the_token_as_rfc_8898_writes_it():
    session = BearerSession(
        KeyMaterial(TOKEN.encode()), quoted=False, policy=own_server_everywhere()
    )
    again = session.authorize(request(), www_challenged(request()), flow=OWN)
    assert again.headers.get_all("Authorization") == (f"Bearer {TOKEN}",)
    assert again.headers.get("Proxy-Authorization") is None
    assert session.preauthorize(request(), to=OWN).headers.get("Authorization") is not None


@pytest.mark.parametrize(
    ("named", "answered"),
    [
        ('authz_server="https://login.example.test"', True),
        ('authz_server="https://evil.example.test"', False),
        ('scope="phone"', True),
    ],
)
def test_only_our_own_authorization_server_may_be_named(named, answered):
    session = BearerSession(
        KeyMaterial(TOKEN.encode()),
        quoted=False,
        authorization_server="https://login.example.test",
        policy=own_server_everywhere(),
    )
    again = session.authorize(request(), www_challenged(request(), named), flow=OWN)
    assert isinstance(again, Request) is answered
    if not answered:
        assert "another authorization server" in again.reason


def test_where_the_server_is_unknown_any_may_be_named():
    session = BearerSession(KeyMaterial(TOKEN.encode()), policy=own_server_everywhere())
    named = www_challenged(request(), 'authz_server="https://login.example.test"')
    assert isinstance(session.authorize(request(), named, flow=OWN), Request)
