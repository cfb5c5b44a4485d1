"""What a CAPF server makes of the certificate that a device shows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from softphone.trust.capf.device_certificate import DeviceCertificateRules, device_certificate_flaw
from softphone.trust.capf.key_proof import proof_elements, sudi_element
from softphone.trust.capf.message import (
    CapfCommand,
    CapfMessage,
    CapfTag,
    MalformedCapf,
    certificate_element,
)
from softphone.trust.csr import KeyKind
from tests.support.capf import (
    DEVICE,
    WALL,
    anchor,
    device_identity,
    key_identity,
    lab_authority,
    lsc_of,
)

RULES = DeviceCertificateRules((lab_authority().certificate, anchor("capf"), anchor("mfgca")), WALL)


def shown(identity, *, device=DEVICE, sudi=None, session=1, bound=1, **changes):
    elements = proof_elements(identity, device.encode(), version=3)
    if sudi is not None:
        elements[CapfTag.SUDI_DATA] = sudi_element(sudi, bound)
    return CapfMessage(CapfCommand.AUTH_RESPONSE, session, elements | changes)


def flaw(message, *, device=DEVICE, rules=RULES):
    return device_certificate_flaw(message, device, rules)


def test_an_lsc_of_ours_does():
    lsc = lsc_of()
    assert flaw(shown(lsc, sudi=lsc)) is None


def test_a_mic_does_for_the_device_in_its_name():
    mic = device_identity("mic")
    device = "SEP001122334455"
    assert flaw(shown(mic, device=device, sudi=mic), device=device) is None
    other = "SEP00112233445"
    assert "names" in flaw(shown(mic, device=other, sudi=mic), device=other)


def test_an_elliptic_lsc_does_without_sudi_which_it_cannot_make():
    assert flaw(shown(lsc_of(KeyKind.EC_P256))) is None
    assert flaw(shown(lsc_of(KeyKind.EC_P256), sudi=lsc_of())) is None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: CapfMessage(2, 1, {}), "not all there"),
        (lambda: shown(lsc_of()), "nothing binds it"),
        (lambda: shown(lsc_of(), sudi=lsc_of(), bound=2), "another session"),
        (lambda: shown(lsc_of(), device="CSFBOB", sudi=lsc_of()), "signature"),
        (lambda: shown(lsc_of(device="CSFBOB"), sudi=lsc_of()), "names 'CSFBOB'"),
        (lambda: shown(lsc_of(), sudi=lsc_of(device="CSFBOB")), "binds the session: it names"),
        (lambda: shown(lsc_of(), sudi=key_identity("rogue")), "binds the session: it names"),
    ],
)
def test_everything_else_is_told_in_words(make, why):
    assert why in flaw(make())


def test_dates_and_issuers_count():
    lsc = lsc_of()
    late = DeviceCertificateRules(RULES.issuers, WALL + timedelta(days=400))
    assert flaw(shown(lsc, sudi=lsc), rules=late) == "it is out of date"
    nobody = DeviceCertificateRules((), WALL)
    assert flaw(shown(lsc, sudi=lsc), rules=nobody) == "its issuer is unknown"


def test_certificates_that_cannot_be_read_are_no_certificates():
    lsc = lsc_of()
    message = shown(lsc, sudi=lsc)
    elements = dict(message.elements)
    broken = elements | {CapfTag.CERTIFICATE: certificate_element(b"no DER")}
    assert flaw(CapfMessage(2, 1, broken)) == "it cannot be read"
    der = lsc.der
    rubbish = elements[CapfTag.SUDI_DATA].replace(der, bytes(len(der)))
    assert "cannot be read" in flaw(CapfMessage(2, 1, elements | {CapfTag.SUDI_DATA: rubbish}))
    with pytest.raises(MalformedCapf):
        flaw(CapfMessage(2, 1, elements | {CapfTag.SUDI_DATA: b"\0\0\5"}))


@pytest.mark.parametrize(
    "tag", [CapfTag.CERTIFICATE, CapfTag.SIGNED_DATA, CapfTag.SHA2_SIGNED_DATA]
)
def test_each_signature_and_the_certificate_must_be_there(tag):
    lsc = lsc_of()
    elements = dict(shown(lsc, sudi=lsc).elements)
    del elements[tag]
    said = flaw(CapfMessage(CapfCommand.AUTH_RESPONSE, 1, elements))
    assert said == "certificate and signatures are not all there"


@pytest.mark.parametrize(("beside", "good"), [(0, True), (1, False)])
def test_the_first_and_the_last_second_of_a_certificate_count(beside, good):
    lsc = lsc_of()
    moment = timedelta(seconds=beside)
    for wall in (
        lsc.certificate.not_valid_before_utc - moment,
        lsc.certificate.not_valid_after_utc + moment,
    ):
        rules = DeviceCertificateRules(RULES.issuers, wall)
        said = flaw(shown(lsc, sudi=lsc), rules=rules)
        assert said == (None if good else "it is out of date")
