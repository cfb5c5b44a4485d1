"""Who may register and call, and what the others are told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.lab import LabConfig, LabUser, Login
from softphone.lab.registrar import DeviceRegistrar, LabAuthenticator, Registrar, RegistrarConfig
from softphone.lab.registrar.device_registrar import PORT_MISMATCH, SECURITY_MISMATCH, TLS_FAILURE
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import KeyMaterial
from softphone.sip import Request, SipUri
from softphone.sip.auth.digest_server import DigestVerifier, VerifierConfig
from tests.support.clock import seeded_entropy

PORT, TOKEN_PORT = ("127.0.0.1", 5061), ("127.0.0.1", 5090)
ALICE = LabUser("alice", Login(Transport.TLS, certificate=True))
ERIN = LabUser("erin", Login(Transport.TLS, token=True), "oauth")
CAROL = LabUser("carol", Login(Transport.UDP))


def gatekeeper():
    config = LabConfig(users=(ALICE, ERIN, CAROL), oauth=True)
    registrar = Registrar(RegistrarConfig(domains=("127.0.0.1",)))
    verifier = DigestVerifier(
        VerifierConfig("lab"), entropy=seeded_entropy(1), lookup=lambda *_: KeyMaterial(b"x")
    )
    return LabAuthenticator(
        config,
        registrar,
        DeviceRegistrar(registrar),
        verifier,
        {"erin": "good"},
        b"k" * 32,
        TOKEN_PORT,
    )


def flow(*names, transport=Transport.TLS, local=PORT):
    identity = None
    if names:
        identity = PeerIdentity("CN=x", names, "aa", "TLSv1.3", "TLS_AES_128_GCM_SHA256")
    return Flow(1, transport, local, ("127.0.0.1", 40000), identity)


def register(user, at, *headers):
    fields = [
        ("Via", "SIP/2.0/TLS h;branch=z9hG4bKa"),
        ("From", f"<sip:{user}@127.0.0.1>;tag=1"),
        ("To", f"<sip:{user}@127.0.0.1>"),
        ("Call-ID", "c"),
        ("CSeq", "1 REGISTER"),
        ("Contact", f"<sip:{user}@127.0.0.1:40000>"),
        *headers,
    ]
    request = Request.build("REGISTER", SipUri.parse("sip:127.0.0.1"), fields)
    return gatekeeper().handle_register(request, flow=at, now=0.0, wall=datetime.now(UTC))


def words(answer):
    return dict(answer.headers).get("Warning", "")


@pytest.mark.parametrize("name", ["uri:sip:alice@127.0.0.1", "cn:alice", "cn:CSFALICE"])
def test_a_certificate_names_the_user_or_its_device(name):
    answer = register("alice", flow(name))
    assert answer.status == 200
    assert ("Supported", "X-cisco-sis-9.0.0") in answer.headers


@pytest.mark.parametrize("at", [flow(), flow("cn:bob"), flow("uri:sip:bob@127.0.0.1")])
def test_any_other_is_refused(at):
    answer = register("alice", at)
    assert answer.status == 403
    assert TLS_FAILURE in words(answer)


def test_a_secure_user_is_refused_in_clear():
    assert SECURITY_MISMATCH in words(register("alice", flow(transport=Transport.TCP)))


def test_a_token_is_asked_for_and_judged():
    at = flow(local=TOKEN_PORT)
    assert register("erin", at).status == 407
    assert dict(register("erin", at).headers)["Proxy-Authenticate"] == 'Bearer realm="ccmsipline"'
    bad = ("Proxy-Authorization", 'Bearer token="bad"')
    assert register("erin", at, bad).status == 407
    good = ("Proxy-Authorization", 'Bearer token="good"')
    assert register("erin", at, good).status == 200


@pytest.mark.parametrize(("user", "local"), [("erin", PORT), ("alice", TOKEN_PORT)])
def test_tokens_have_a_port_of_their_own(user, local):
    answer = register(user, flow("cn:alice", local=local))
    assert PORT_MISMATCH in words(answer)


def test_others_show_a_password_and_hear_why_it_was_not_taken():
    at = flow(transport=Transport.UDP)
    assert register("carol", at).status == 401
    assert words(register("carol", at)) == ""
    twice = [("Authorization", f'Digest username="carol", realm="lab", uri="{n}"') for n in "ab"]
    answer = register("carol", at, *twice)
    assert answer.status == 400
    assert answer.reason == "Credentials given twice for one realm and algorithm"
    assert answer.reason in words(answer)
