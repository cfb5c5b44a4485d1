from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.errors import CertificateExpired, CertificateUntrusted, IdentityMismatch
from softphone.lab.authority import Authority, Validity
from softphone.security import Relaxation, RevocationMode
from softphone.trust import GateRules, Service, der_of, examine, fingerprint_of
from tests.support.certificates import HOST, alice, authority, foreign, server

NOW = datetime.now(UTC)
SMALL_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
OFF = RevocationMode.OFF


def chain_of(issued, *above):
    return [der_of(each) for each in (issued.certificate, *above)]


def rules(*anchors, **more):
    return GateRules(anchors=frozenset(der_of(each) for each in anchors), revocation=OFF, **more)


CHAIN = chain_of(server(), authority().certificate)
RULES = rules(authority().certificate)


def judged(chain, reference=HOST, gate=RULES, wall=NOW):
    examination = examine(chain, Service.SIP, reference, wall=wall, rules=gate)
    return examination.conclude({}, wall=wall)


def test_a_sound_chain_gets_its_verdict():
    verdict = judged(CHAIN)
    assert (verdict.kind, verdict.relaxations) == ("chain", ())
    identity = verdict.identity(protocol="TLSv1.3", cipher="X")
    assert identity.fingerprint == fingerprint_of(server().certificate)
    assert identity.verdict == "chain"


def test_without_a_reference_the_names_are_told_and_not_compared():
    verdict = judged(chain_of(alice(), authority().certificate), None)
    assert verdict.identity(protocol="", cipher="").names[0] == "uri:sip:alice@example.test"


def test_another_name_is_refused():
    with pytest.raises(IdentityMismatch):
        judged(CHAIN, "other.example.test")


def test_dates_are_judged_by_the_time_of_day_given():
    with pytest.raises(CertificateExpired):
        judged(CHAIN, wall=NOW + timedelta(days=40))


def test_no_certificate_is_nobody():
    with pytest.raises(CertificateUntrusted, match="no certificate"):
        judged([])


def test_what_cannot_be_read_is_nobody():
    with pytest.raises(CertificateUntrusted, match="cannot be read"):
        judged([b"rubbish", *CHAIN])


def test_a_lax_path_is_accepted_under_our_own_anchor_and_said():
    lax = Authority("lax", key_identifiers=False)
    chain = chain_of(lax.server(HOST), lax.certificate)
    verdict = judged(chain, gate=rules(lax.certificate))
    assert any("authority key identifier" in each for each in verdict.relaxations)
    with pytest.raises(CertificateUntrusted, match="departs from RFC 5280"):
        judged(chain, gate=rules())


def test_a_strict_path_is_accepted_under_a_system_anchor():
    assert judged(CHAIN, gate=rules()).kind == "chain"


def test_a_pin_takes_the_place_of_the_name_check_and_says_so():
    pinned = foreign().server("whatever.test")
    chain = chain_of(pinned)
    verdict = judged(chain, gate=rules(pins=frozenset(chain)))
    assert verdict.kind == "pin"
    assert "whatever.test" in verdict.relaxations[0]


def test_a_pin_whose_name_is_right_needs_no_reservation():
    chain = chain_of(foreign().server(HOST))
    assert judged(chain, gate=rules(pins=frozenset(chain))).relaxations == ()


def test_the_pin_of_one_certificate_says_nothing_of_another():
    pinned = chain_of(authority().server("whatever.test"))
    other = chain_of(authority().server("whatever.test"), authority().certificate)
    with pytest.raises(IdentityMismatch):
        judged(other, gate=rules(authority().certificate, pins=frozenset(pinned)))


def test_the_only_pin_refuses_everybody_else():
    only = fingerprint_of(server().certificate)
    assert judged(CHAIN, gate=rules(authority().certificate, only=only)).kind == "pin"
    other = chain_of(authority().server(HOST), authority().certificate)
    with pytest.raises(CertificateUntrusted, match="not the pinned one"):
        judged(other, gate=rules(authority().certificate, only=only))


def test_an_expired_pin_fails():
    chain = chain_of(foreign().server(HOST, validity=Validity.expired()))
    with pytest.raises(CertificateExpired):
        judged(chain, gate=rules(pins=frozenset(chain)))


def test_what_a_setting_lets_pass_is_named_in_the_verdict_and_to_the_flow():
    chain = chain_of(authority().server(HOST, key=SMALL_KEY), authority().certificate)
    with pytest.raises(CertificateUntrusted, match="RSA key of 1024 bits"):
        judged(chain)
    lax = rules(authority().certificate, allow=frozenset({Relaxation.RSA_1024}))
    verdict = judged(chain, gate=lax)
    assert "allowed by rsa-1024" in verdict.relaxations[0]
    assert verdict.identity(protocol="", cipher="").relaxations == verdict.relaxations


def test_a_verdict_stands_as_long_as_its_certificates():
    assert judged(CHAIN).until == server().certificate.not_valid_after_utc


def test_a_verdict_stands_as_long_as_the_answer_it_rests_on_and_not_on_silence():
    declared = Authority("declaring CA", crl_url="http://pki.example.test/crl")
    chain = chain_of(declared.server(HOST), declared.certificate)
    gate = GateRules(anchors=frozenset(chain[1:]))
    examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
    (wanted,) = examination.wanted
    answered = examination.conclude({wanted: declared.revocation_list()}, wall=NOW)
    assert answered.until - NOW < timedelta(hours=25)
    assert examination.conclude({}, wall=NOW).until is None
