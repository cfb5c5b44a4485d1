"""What is checked of an issued certificate before it is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from softphone.lab import Authority, CertificateNames, Validity
from softphone.trust.capf import CapfCertificateRejected
from softphone.trust.capf.issued_certificate import (
    check_issued,
    common_name_of,
    issued_by,
    parse_certificate,
)
from softphone.trust.certificate import der_of
from softphone.trust.csr import new_key
from softphone.trust.keystore import public_key_of
from tests.support.capf import DEVICE, WALL, anchor, device_identity, lab_authority, some_key

KEY = some_key()


def issued(name=DEVICE, *, validity=None, key=KEY, authority=None) -> bytes:
    maker = authority or lab_authority()
    names = CertificateNames(uri=(name,))
    return der_of(maker.issue(name, names, validity=validity or Validity(), key=key).certificate)


def check(der, **changes):
    facts = {
        "device": DEVICE,
        "public_key": public_key_of(KEY),
        "wall": WALL,
        "issuers": (lab_authority().certificate,),
    }
    return check_issued(der, **facts | changes)


def test_our_own_certificate_is_accepted():
    assert check(issued()) == ()


def test_every_certificate_that_was_recorded_is_accepted():
    for name, device in [
        ("lsc-rsa-old", "SEP001122334455"),
        ("lsc-ec-new", "SEP0011223344EC"),
        ("lsc-csf-new", "CSFALICE"),
    ]:
        identity = device_identity(name)
        facts = {"device": device, "public_key": public_key_of(identity.key)}
        assert check(identity.der, issuers=(anchor("capf"),), strict=True, **facts) == ()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: b"", "cannot|can be read"),
        (lambda: issued() + b"\0", "can be read"),
        (lambda: issued()[:-1], "can be read"),
        (lambda: issued(key=new_key()), "another key"),
        (lambda: issued("CSFBOB"), "names 'CSFBOB'"),
        (lambda: issued(""), "names None"),
        (lambda: issued(validity=Validity.expired()), "expired"),
        (lambda: issued(validity=Validity.future()), "is our clock right"),
        (lambda: device_identity("mic").der, "another key"),
    ],
)
def test_what_is_not_ours_is_rejected_with_advice(make, why):
    with pytest.raises(CapfCertificateRejected, match=why) as caught:
        check(make())
    assert "ask the administrator" in str(caught.value)


def test_an_authority_is_no_device():
    other = Authority(DEVICE, wall=WALL)
    public_key = public_key_of(other._key)
    with pytest.raises(CapfCertificateRejected, match="authority"):
        check(der_of(other.certificate), public_key=public_key)


def test_a_clock_that_is_a_little_behind_does_no_harm():
    ahead = Validity(starts=timedelta(minutes=4))
    assert check(issued(validity=ahead)) == ()


def test_another_issuer_is_a_warning_or_where_it_is_demanded_an_error():
    stranger = Authority("another CA", wall=WALL)
    (warning,) = check(issued(authority=stranger))
    assert "another CA" in warning
    with pytest.raises(CapfCertificateRejected, match="another CA"):
        check(issued(authority=stranger), strict=True)


def test_nobody_expected_is_no_warning():
    assert check(issued(), issuers=()) == ()


def test_the_name_of_an_issuer_is_not_its_signature():
    impostor = Authority("CAPF-lab", wall=WALL)
    certificate = parse_certificate(issued(authority=impostor))
    assert not issued_by(certificate, (lab_authority().certificate,))
    assert issued_by(certificate, (anchor("rogue"), impostor.certificate))
    assert common_name_of(certificate) == DEVICE


@pytest.mark.parametrize(("beside", "accepted"), [(0, True), (1, False)])
def test_the_first_and_the_last_second_count_and_five_minutes_before_the_first(beside, accepted):
    der = issued()
    certificate = parse_certificate(der)
    earliest = certificate.not_valid_before_utc - timedelta(minutes=5)
    for wall in (
        certificate.not_valid_after_utc + timedelta(seconds=beside),
        earliest - timedelta(seconds=beside),
    ):
        if accepted:
            assert check(der, wall=wall) == ()
        else:
            with pytest.raises(CapfCertificateRejected):
                check(der, wall=wall)
