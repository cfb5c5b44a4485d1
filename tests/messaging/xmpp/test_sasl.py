"""Which mechanism is spoken, and that a server that proves nothing is not believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest
from slixmpp.util.sasl import SASLMutualAuthFailed

from softphone.errors import ConfigurationError
from softphone.messaging.xmpp.sasl import (
    OAuthBearer,
    OneMessage,
    Scram,
    SignInMeans,
    choose_mechanism,
    oauth_bearer_message,
    plain_message,
    saslprep_bytes,
    vtg_token_message,
)
from softphone.security import KeyMaterial

ALL = {
    "PLAIN",
    "DIGEST-MD5",
    "EXTERNAL",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
}
NODE = {"PLAIN", "CISCO-VTG-TOKEN", "OAUTHBEARER"}


@pytest.mark.parametrize(
    ("offered", "has", "name"),
    [
        (ALL, {}, "SCRAM-SHA-256-PLUS"),
        (ALL, {"binding": False}, "SCRAM-SHA-256"),
        (ALL, {"certificate": True}, "EXTERNAL"),
        (ALL, {"password": False}, None),
        (ALL - {"SCRAM-SHA-256-PLUS"}, {}, "SCRAM-SHA-1-PLUS"),
        (ALL - {"SCRAM-SHA-256-PLUS"}, {"fips": True}, "SCRAM-SHA-256"),
        ({"PLAIN", "DIGEST-MD5", "LOGIN"}, {}, None),
        ({"PLAIN", "SCRAM-SHA-1"}, {"fips": True}, None),
        (ALL, {"plain": True}, "SCRAM-SHA-256-PLUS"),
        (NODE, {}, None),
        (NODE, {"plain": True}, "PLAIN"),
        (NODE, {"plain": True, "password": False}, None),
        (NODE, {"one_time_password": True, "plain": True}, "CISCO-VTG-TOKEN"),
        (NODE, {"one_time_password": True, "token": True}, "OAUTHBEARER"),
        (NODE | ALL, {"one_time_password": True, "token": True}, "SCRAM-SHA-256-PLUS"),
    ],
)
def test_the_strongest_that_policy_allows_is_chosen(offered, has, name):
    means = SignInMeans(**{"verified": True, "password": True, "binding": True} | has)
    assert choose_mechanism(offered, means) == name
    assert choose_mechanism(offered, replace(means, verified=False)) is None


def test_the_password_is_not_shown_after_another_refusal():
    means = SignInMeans(True, password=True, plain=True)
    assert choose_mechanism({"PLAIN"}, means) == "PLAIN"
    assert choose_mechanism(ALL, means, {"SCRAM-SHA-256"}) == "SCRAM-SHA-1"
    assert choose_mechanism({"PLAIN", "SCRAM-SHA-256"}, means, {"SCRAM-SHA-256"}) is None


def test_the_token_message_is_that_of_published_clients():
    # From a unit test of another XMPP library, and computed again.
    message = vtg_token_message("user@server.com", KeyMaterial(b"foo"))
    assert base64.b64encode(message.reveal()) == b"dXNlcmlkPXVzZXJAc2VydmVyLmNvbQB0b2tlbj1mb28="


def test_plain_and_bearer_messages_are_those_of_their_rfcs():
    secret = KeyMaterial("p\xe4 ss".encode())
    assert plain_message("user", secret).reveal() == b"\0user\0p\xc3\xa4 ss"
    with pytest.raises(ConfigurationError):
        plain_message("user", KeyMaterial(b"\0"))
    # RFC 7628 section 4.1, whose token and host these are.
    token = KeyMaterial(b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    message = oauth_bearer_message("user@example.com", "server.example.com", 143, token)
    assert base64.b64encode(message.reveal()) == (
        b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVy"
        b"IHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    assert oauth_bearer_message("a=,b@c", "h", 1, token).reveal().startswith(b"n,a=a=3D=2Cb@c,\1")


@pytest.mark.parametrize("kind", [OneMessage, OAuthBearer])
def test_a_message_is_given_once_and_wiped(kind):
    secret = KeyMaterial(b"the secret")
    mechanism = kind("PLAIN", secret)
    assert "secret" not in repr(mechanism)
    assert mechanism.process() == b"the secret"
    assert len(secret) == 0
    assert mechanism.process(b"once more") == (b"" if kind is OneMessage else b"\1")


@pytest.mark.parametrize(
    ("challenge", "status"),
    [
        (b'{"status":"invalid_token","scope":"x"}', "invalid_token"),
        (b'{"status":"<b>"}', ""),
        (b'{"status":1}', "1"),
        (b"[]", ""),
        (b"\xff", ""),
        (b"[" * 4000, ""),
        (b'{"status":"invalid_token"}' + b" " * 4096, ""),
    ],
)
def test_an_error_challenge_is_answered_and_its_status_told(challenge, status):
    mechanism = OAuthBearer("OAUTHBEARER", KeyMaterial(b"x"))
    mechanism.process()
    assert mechanism.process(challenge) == b"\1"
    assert mechanism.status == status


def scram(entropy, name="SCRAM-SHA-256-PLUS"):
    credentials = {
        "username": b"user",
        "password": b"pencil",
        "authzid": b"",
        "channel_binding": b"bound",
    }
    security = {
        "encrypted": True,
        "unencrypted_scram": False,
        "tls_version": "TLSv1.2",
        "binding_proposed": True,
    }
    return Scram(name, credentials, security, entropy)


def server(first: bytes, *, iterations=4096, added=b"more", key=b"pencil"):
    """The server's first message, and what makes its last from the client's."""
    bare = first.split(b",", 2)[2]
    nonce = bare.split(b"r=")[1] + added
    salt = b"0123456789abcdef"
    challenge = b"r=%s,s=%s,i=%d" % (nonce, base64.b64encode(salt), iterations)

    def last(final: bytes) -> bytes:
        salted = hashlib.pbkdf2_hmac("sha256", key, salt, iterations)
        said = b",".join((bare, challenge, final[: final.rindex(b",p=")]))
        mine = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        return b"v=" + base64.b64encode(mine)

    return challenge, last


def test_both_sides_prove_that_they_know_the_password(entropy):
    mechanism = scram(entropy)
    first = mechanism.process()
    assert first.startswith(b"p=tls-unique,,n=user,r=")
    challenge, last = server(first)
    final = mechanism.process(challenge)
    assert final.startswith(b"c=" + base64.b64encode(b"p=tls-unique,,bound"))
    assert mechanism.process(last(final)) == b""
    assert mechanism.process(b"") == b""
    assert not mechanism.unproven


def test_the_nonce_is_of_our_entropy():
    drawn = []

    def entropy(size):
        drawn.append(size)
        return bytes(range(size))

    assert scram(entropy).process().endswith(b"r=" + bytes(range(24)).hex().encode())
    assert drawn == [24]


def test_a_server_that_demands_an_extension_is_not_believed(entropy):
    """RFC 5802 section 5.1: m= is for extensions that are mandatory, and there are none."""
    mechanism = scram(entropy)
    challenge, _ = server(mechanism.process())
    with pytest.raises(SASLMutualAuthFailed):
        mechanism.process(b"m=new," + challenge)
    assert mechanism.unproven


@pytest.mark.parametrize("said", [b"", b"v=AAAA", b"e=other-error", b"v=?", b"\xff\x00", b"m=x"])
def test_a_server_that_proves_nothing_is_not_believed(entropy, said):
    mechanism = scram(entropy)
    challenge, _ = server(mechanism.process())
    mechanism.process(challenge)
    with pytest.raises(SASLMutualAuthFailed):
        mechanism.process(said)
    assert mechanism.unproven


def test_success_before_any_challenge_is_none(entropy):
    mechanism = scram(entropy)
    mechanism.process()
    with pytest.raises(SASLMutualAuthFailed):
        mechanism.process(b"")


@pytest.mark.parametrize("iterations", [1, 4095, 1_000_001, 10**12])
def test_iterations_are_bounded(entropy, iterations):
    mechanism = scram(entropy)
    challenge, _ = server(mechanism.process())
    with pytest.raises(SASLMutualAuthFailed):
        mechanism.process(challenge.replace(b"i=4096", b"i=%d" % iterations))


def test_a_server_has_to_add_to_the_nonce(entropy):
    mechanism = scram(entropy)
    challenge, _ = server(mechanism.process(), added=b"")
    with pytest.raises(SASLMutualAuthFailed):
        mechanism.process(challenge)


def test_a_character_that_no_password_may_have_is_named():
    assert saslprep_bytes("pass\u00adword") == b"password"
    with pytest.raises(ConfigurationError, match="character"):
        saslprep_bytes("a\u0007b")
