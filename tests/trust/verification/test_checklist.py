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
from softphone.lab import Authority
from softphone.sans_io import PeerIdentity
from softphone.security import Relaxation
from softphone.trust import Service, ServiceEndpoint, der_of, fingerprint_of
from softphone.trust.verification.checklist import CheckOutcome, checks_of, inspection_result
from tests.support.pki import DAY, NOW, Held, Pki, Shape, needs_openssl, signed_with_sha1

HOST = "im1.example.test"
PKI = Pki()
PLACE = ServiceEndpoint(Service.HTTPS, "192.0.2.1", 443, HOST)
WALL = datetime.now(UTC)
PASSES, RESERVED, FAILS, UNKNOWN = CheckOutcome


def shape(**more):
    return Shape(HOST, (x509.DNSName(HOST),), **more)


def identity(revocation, verdict="chain"):
    return PeerIdentity("CN=x", (), "00", "TLSv1.3", "X", verdict, revocation)


def look(held, *, verified=True, revocation="good", refusal=None, verdict="chain", **more):
    shown = [der_of(held.certificate)]
    path = [*shown, *map(der_of, held.above)] if verified else []
    seen = inspection_result(
        shown,
        path,
        unverified=None if verified else CertificateUnknown("nobody vouches for it"),
        identity=None if refusal is not None else identity(revocation, verdict),
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
    assert "expired" in checks["dates"].detail
    assert "1024" in checks["keys and signatures"].detail
    assert HOST in checks["name"].detail
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


def test_a_path_is_judged_as_far_as_it_goes_and_else_what_was_shown():
    middle = PKI.make(Shape("middle", authority=True, ends=NOW + DAY), PKI.root)
    held = PKI.make(shape(), middle)
    checks = look(held)
    assert "CN=tables root" in checks["path"].detail
    assert f"{NOW + DAY:%F %R}" in checks["dates"].detail
    # Unverified, only the certificate itself is known: nobody's dates but its own.
    alone = look(held, verified=False, refusal=CertificateUnknown("who is it"))
    assert f"{NOW + 90 * DAY:%F %R}" in alone["dates"].detail
    assert alone["path"].detail == "nobody vouches for it"


def test_what_departs_from_the_rfc_is_named():
    odd = PKI.leaf(shape(purposes=()))
    assert look(odd)["RFC 5280"].outcome is PASSES
    lax = Authority("lax", wall=WALL, key_identifiers=False)
    issued = lax.server(HOST)
    check = look(Held(issued.certificate, None, (lax.certificate,)))["RFC 5280"]
    assert check.outcome is RESERVED
    assert "authority key identifier" in check.detail
    assert check.remedy


def test_a_name_that_its_authority_may_not_vouch_for_fails_the_check_of_names():
    bound = x509.NameConstraints([x509.DNSName("other.test")], None)
    middle = PKI.make(Shape("bound", authority=True, constraints=bound), PKI.root)
    check = look(PKI.make(shape(), middle))["name"]
    assert check.outcome is FAILS
    assert "authority" in check.remedy
    assert "CN=bound" in check.detail


def test_a_name_that_is_right_is_told():
    assert look(PKI.leaf(shape()))["name"].detail == f"it is one of {HOST}"


def test_a_certificate_without_names_says_so_in_what_helps():
    check = look(PKI.leaf(Shape("", ())))["name"]
    assert check.outcome is FAILS
    assert f'issued for "{HOST}"' in check.remedy
    assert check.remedy.endswith("nobody")


@needs_openssl
def test_each_weakness_that_a_setting_lets_pass_is_named(tmp_path):
    held = signed_with_sha1(PKI, HOST, tmp_path)
    name = "keys and signatures"
    assert look(held)[name].outcome is FAILS
    check = look(held, allow=frozenset({Relaxation.SHA1}))[name]
    assert (check.outcome, check.remedy) == (RESERVED, "")
    assert "SHA1 signature" in check.detail


@pytest.mark.parametrize("verified", [True, False])
def test_what_a_refused_certificate_declares_of_its_revocation_is_told(verified):
    held = PKI.leaf(shape(crl="http://crl.test/a", ocsp="http://ocsp.test/"))
    check = look(held, verified=verified, refusal=IdentityMismatch("another"))["revocation"]
    assert check.outcome is UNKNOWN
    declared = "http://ocsp.test/, http://crl.test/a" if verified else "nothing"
    assert check.detail.endswith(f"it declares {declared}")


def test_the_words_on_revocation_are_as_good_as_what_was_seen():
    for word, remedy in (("good", False), ("unreachable", True), ("unchecked", False)):
        assert bool(look(PKI.leaf(shape()), revocation=word)["revocation"].remedy) is remedy
    # A refusal on other grounds says nothing of it.
    check = look(PKI.leaf(shape()), refusal=CertificateUntrusted("another name"))["revocation"]
    assert check.outcome is UNKNOWN


@pytest.mark.parametrize(
    ("verdict", "outcome", "words"),
    [
        ("pin", RESERVED, "nobody is asked about a pinned certificate"),
        ("trust-list", PASSES, "until a newer list leaves it out"),
        ("tvs", PASSES, "TVS was asked"),
        ("chain", RESERVED, "says nowhere how to ask"),
    ],
)
def test_what_nobody_was_asked_for_means_by_who_vouches(verdict, outcome, words):
    check = look(PKI.leaf(shape()), revocation="undeclared", verdict=verdict)["revocation"]
    assert check.outcome is outcome
    assert words in check.detail


@pytest.mark.parametrize("verdict", ["pin", "trust-list", "tvs"])
def test_a_certificate_that_is_believed_itself_may_have_another_name_and_no_path(verdict):
    other = PKI.leaf(Shape("x", (x509.DNSName("other.test"),)))
    checks = look(other, verdict=verdict)
    assert checks["name"].outcome is RESERVED
    assert "accepted, since" in checks["name"].detail
    assert checks["path"].outcome is PASSES
    assert checks["path"].detail.startswith("none is needed")


def test_an_answer_that_a_setting_forbids_to_fetch_names_the_setting():
    why = "cannot be determined: nobody answers (revocation only where local-revocation is allowed)"
    check = look(PKI.leaf(shape()), refusal=CertificateUntrusted(why))["revocation"]
    assert check.remedy.startswith("allow local-revocation (policy.allow)")
