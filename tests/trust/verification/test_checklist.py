from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.errors import (
    CertificateRevoked,
    CertificateUnknown,
    CertificateUntrusted,
    IdentityMismatch,
)
from softphone.sans_io import PeerIdentity
from softphone.security import Relaxation
from softphone.trust import Service, ServiceEndpoint, der_of, fingerprint_of
from softphone.trust.verification.checklist import CheckOutcome, checks_of, inspection_result
from tests.support.pki import DAY, NOW, Pki, Shape

HOST = "im1.example.test"
PKI = Pki()
PLACE = ServiceEndpoint(Service.HTTPS, "192.0.2.1", 443, HOST)
WALL = datetime.now(UTC)
PASSES, RESERVED, FAILS, UNKNOWN = CheckOutcome


def shape(**more):
    return Shape(HOST, (x509.DNSName(HOST),), **more)


def identity(revocation):
    return PeerIdentity("CN=x", (), "00", "TLSv1.3", "X", "chain", revocation)


def look(held, *, verified=True, revocation="good", refusal=None, **more):
    shown = [der_of(held.certificate)]
    path = [*shown, *map(der_of, held.above)] if verified else []
    seen = inspection_result(
        shown,
        path,
        unverified=None if verified else CertificateUnknown("nobody vouches for it"),
        identity=None if refusal is not None else identity(revocation),
        refusal=refusal,
    )
    return {check.name: check for check in checks_of(seen, PLACE, wall=WALL, **more)}


def test_a_sound_certificate_passes_every_check():
    checks = look(PKI.leaf(shape()))
    assert {check.outcome for check in checks.values()} == {PASSES}
    assert {check.remedy for check in checks.values()} == {""}
    assert list(checks) == [
        "path",
        "dates",
        "keys and signatures",
        "RFC 5280",
        "name",
        "revocation",
    ]


def test_an_unknown_one_says_whom_to_believe_and_everything_else_about_it():
    held = Pki("another root").leaf(shape())
    checks = look(held, verified=False, refusal=CertificateUnknown("nobody vouches for it"))
    assert checks["path"].outcome is FAILS
    assert "CN=another root" in checks["path"].remedy
    assert fingerprint_of(held.certificate) in checks["path"].remedy
    assert checks["name"].outcome is PASSES
    assert checks["revocation"].outcome is UNKNOWN
    assert "it declares nothing" in checks["revocation"].detail


def test_each_thing_that_is_wrong_is_told_at_once():
    small = rsa.generate_private_key(65537, 1024)
    old = Shape("x", (x509.DNSName("other.test"),), ends=NOW - DAY / 2, key=small)
    checks = look(PKI.leaf(old), refusal=IdentityMismatch("it names somebody else"))
    for name in ("dates", "keys and signatures", "name"):
        assert checks[name].outcome is FAILS
        assert checks[name].remedy
    assert "dns:other.test" in checks["name"].remedy
    assert checks["path"].outcome is PASSES
    allowed = look(PKI.leaf(old), allow=frozenset({Relaxation.RSA_1024}))
    assert allowed["keys and signatures"].outcome is RESERVED


@pytest.mark.parametrize(
    ("revocation", "outcome"),
    [
        ("good", PASSES),
        ("undeclared", RESERVED),
        ("unreachable", RESERVED),
        ("invalid", RESERVED),
        ("unchecked", UNKNOWN),
    ],
)
def test_every_word_on_revocation_is_explained(revocation, outcome):
    check = look(PKI.leaf(shape()), revocation=revocation)["revocation"]
    assert check.outcome is outcome
    assert check.detail


@pytest.mark.parametrize(
    "refusal",
    [CertificateRevoked("it was revoked"), CertificateUntrusted("the revocation is unknown")],
)
def test_a_refusal_for_its_revocation_is_that_check_s(refusal):
    check = look(PKI.leaf(shape()), refusal=refusal)["revocation"]
    assert (check.outcome, check.detail) == (FAILS, str(refusal))
    assert check.remedy


def test_a_certificate_that_cannot_be_read_is_an_error():
    with pytest.raises(CertificateUntrusted, match="cannot be read"):
        inspection_result([b"rubbish"], [], unverified=None, identity=None, refusal=None)
