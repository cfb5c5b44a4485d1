"""What the lab answers says nothing about which users there are: neither status, nor header fields,
nor the work that it takes."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.lab.registrar import DeviceRegistrar, LabAuthenticator, Registrar, RegistrarConfig
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import KeyMaterial
from softphone.sip import Request, SipUri
from softphone.sip.auth import DigestAlgorithm, DigestCredentials, DigestSession
from softphone.sip.auth.digest_server import DigestVerifier, VerifierConfig
from softphone.sip.message import AuthValue, parse_datagram
from tests.support.challenges import OWN, own_server_everywhere

PORT, TOKEN_PORT = ("127.0.0.1", 5061), ("127.0.0.1", 5090)
USERS = (
    LabUser("alice", Login(Transport.TLS, certificate=True)),
    LabUser("carol", Login(Transport.UDP)),
    LabUser("cindy", Login(Transport.UDP)),
    LabUser("dave", Login(Transport.TLS)),
    LabUser("erin", Login(Transport.TLS, token=True), "oauth"),
)
STRANGERS = tuple(f"nobody{number}" for number in range(200))


def make_lab(key=b"k" * 32):
    registrar = Registrar(RegistrarConfig(domains=("127.0.0.1",)))
    verifier = DigestVerifier(
        VerifierConfig("lab"),
        entropy=random.Random(1).randbytes,
        lookup=lambda user, _: KeyMaterial(b"secret") if user in ("carol", "dave") else None,
    )
    return LabAuthenticator(
        LabConfig(users=USERS, oauth=True),
        registrar,
        DeviceRegistrar(registrar),
        verifier,
        {"erin": "good"},
        key,
        TOKEN_PORT,
    )


def at(*names, transport=Transport.TLS, local=PORT):
    identity = PeerIdentity("CN=x", names, "aa", "TLSv1.3", "AES") if names else None
    return Flow(1, transport, local, ("127.0.0.1", 40000), identity)


PLACES = {
    "UDP": at(transport=Transport.UDP),
    "TLS": at(),
    "TLS, a certificate of another": at("cn:bob"),
    "the port of tokens": at(local=TOKEN_PORT),
}


def register(user, *fields):
    return Request.build(
        "REGISTER",
        SipUri.parse("sip:127.0.0.1"),
        [
            ("Via", "SIP/2.0/TLS h;branch=z9hG4bKa"),
            ("From", f"<sip:{user}@127.0.0.1>;tag=1"),
            ("To", f"<sip:{user}@127.0.0.1>"),
            ("Call-ID", "c"),
            ("CSeq", "1 REGISTER"),
            ("Contact", f"<sip:{user}@127.0.0.1:40000>"),
            *fields,
        ],
    )


def answer(lab, request, place):
    return lab.handle_register(request, flow=place, now=0.0, wall=datetime.now(UTC))


def shape(found):
    """Status, reason, and names and lengths of the header fields."""
    warning = [value for name, value in found.headers if name == "Warning"]
    return found.status, found.reason, tuple((n, len(v)) for n, v in found.headers), *warning


def with_password(lab, user, place, password, claimed=None):
    """The REGISTER of a name with the answer to a challenge."""
    sent = register(user)
    challenge = lab.verifier.challenge(now=0.0)
    session = DigestSession(
        [DigestCredentials(claimed or user, KeyMaterial(password))],
        entropy=random.Random(2).randbytes,
        policy=own_server_everywhere(),
    )
    return session.authorize(sent, sent.response(401, headers=challenge), flow=OWN)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("shown", ["nothing", "a password", "the password of another"])
def test_strangers_are_answered_as_users_are(place, shown):
    lab = make_lab()

    def of(name):
        if shown == "nothing":
            request = register(name)
        elif shown == "a password":
            request = with_password(lab, name, place, b"wrong")
        else:
            request = with_password(lab, name, place, b"secret", claimed="carol")
        return shape(answer(lab, request, place))

    users = {of(user.name) for user in USERS if (user.name, shown[:3]) != ("carol", "the")}
    strangers = Counter(of(name) for name in STRANGERS)
    assert set(strangers) == users
    # As often as among users, so that a kind of answer is no sign of either.
    assert min(strangers.values()) >= len(STRANGERS) / len(USERS) / 2


def test_a_stranger_is_answered_alike_each_time_and_otherwise_by_another_lab():
    of = {
        key: [shape(answer(make_lab(key), register(name), at())) for name in STRANGERS]
        for key in (b"k" * 32, b"l" * 32)
    }
    assert of[b"k" * 32] == [shape(answer(make_lab(), register(name), at())) for name in STRANGERS]
    assert of[b"k" * 32] != of[b"l" * 32]


def test_a_stranger_with_a_certificate_token_or_password_of_its_name_is_refused():
    lab = make_lab()
    for name in STRANGERS:
        for place in (at(f"cn:{name}", f"uri:sip:{name}@127.0.0.1"), *PLACES.values()):
            for fields in ((), (("Proxy-Authorization", 'Bearer token=""'),)):
                assert answer(lab, register(name, *fields), place).status in (401, 403, 407)
            assert answer(lab, with_password(lab, name, place, b"secret"), place).status != 200


def test_a_stranger_costs_as_much_work_as_a_user(monkeypatch):
    lab, hashed = make_lab(), []
    digest = DigestAlgorithm.digest

    def counting(self, data):
        hashed.append(len(data))
        return digest(self, data)

    monkeypatch.setattr(DigestAlgorithm, "digest", counting)
    work = {}
    like_dave = next(name for name in STRANGERS if answer(lab, register(name), at()).status == 401)
    for name in ("dave", like_dave):
        request = with_password(lab, name, at(), b"wrong")
        hashed.clear()
        answer(lab, request, at())
        work[name] = len(hashed)
    assert work["dave"] > 0
    assert len(set(work.values())) == 1


async def test_a_running_lab_keeps_its_key_and_does_not_say_404(tmp_path):
    users = (LabUser("carol", Login(Transport.UDP)),)
    keys = set()
    for _ in range(2):
        async with LabServer(tmp_path, LabConfig(users=users)) as lab:
            keys.add(lab.files.decoy_key)
    assert len(keys) == 1
    key = tmp_path / "strangers.key"
    assert key.stat().st_mode & 0o077 == 0


OCTETS = {
    "username": b"\xff\x00x",
    "response": b"\xff\xfe",
    "cnonce": b"\xc3\x28",
    "nc": b"\xb2" * 8,
    "uri": b"sip:\xff",
    "nonce": b"\xff" * 72,
    "realm": b"\xff",
    "algorithm": b"SHA-256-sess",
    "qop": b"auth-int",
}
MANY = b",".join(b'username="a"' for _ in range(300))
OTHERS = {
    "300 parameters": b"Digest " + MANY,
    "a token of such octets": b'Bearer token="\xff\xfe"',
    "a scheme many times": b"Digest " * 900,
}


def credentials(nonce: bytes, /, **changed: bytes) -> bytes:
    values = {
        "username": b"carol",
        "realm": b"lab",
        "nonce": nonce,
        "uri": b"sip:127.0.0.1",
        "response": b"0" * 64,
        "algorithm": b"SHA-256",
        "cnonce": b"x",
        "qop": b"auth",
        "nc": b"00000001",
    }
    parts = [name.encode() + b'="' + value + b'"' for name, value in (values | changed).items()]
    return b"Digest " + b", ".join(parts)


@pytest.mark.parametrize("what", [*OCTETS, *OTHERS])
def test_octets_of_no_text_in_credentials_are_refused_and_the_next_user_is_served(what):
    lab = make_lab()
    asked = register("carol").response(401, headers=lab.verifier.challenge(now=0.0))
    nonce = AuthValue.parse(asked.headers.get("WWW-Authenticate")).parameter("nonce").encode()
    value = OTHERS[what] if what in OTHERS else credentials(nonce, **{what: OCTETS[what]})
    head, _, rest = register("carol").encode().partition(b"\r\n")
    read = parse_datagram(head + b"\r\nAuthorization: " + value + b"\r\n" + rest)
    if isinstance(read, Request):
        assert answer(lab, read, PLACES["UDP"]).status in (400, 401, 403)
    else:
        assert read.status_hint == 400
    assert answer(lab, register("carol"), PLACES["UDP"]).status == 401
