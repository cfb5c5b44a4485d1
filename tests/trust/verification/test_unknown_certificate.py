from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.errors import CertificateExpired, CertificateUntrusted
from softphone.trust import Service, ServiceEndpoint, der_of, fingerprint_of, question_about
from tests.support.certificates import HOST, foreign

NOW = datetime.now(UTC)
PLACE = ServiceEndpoint(Service.SIP, "192.0.2.1", 5061, HOST)


def about(issued, wall=NOW):
    return question_about(der_of(issued.certificate), PLACE, reason="nobody knows it", wall=wall)


def test_it_says_all_that_an_answer_needs():
    issued = foreign().server(HOST)
    question = about(issued)
    assert (question.service, question.host, question.port) == (Service.SIP, "192.0.2.1", 5061)
    assert question.subject == f"CN={HOST},O=softphone lab"
    assert question.issuer == "CN=foreign CA,O=softphone lab"
    assert question.names == (f"dns:{HOST}", f"cn:{HOST}")
    assert question.not_before < NOW < question.not_after
    assert question.fingerprint == fingerprint_of(issued.certificate)
    assert question.reason == "nobody knows it"
    assert question.mismatch == ""


def test_a_yes_stores_this_very_certificate_for_this_place():
    issued = foreign().server(HOST)
    pin = about(issued).pin
    assert pin.certificate == der_of(issued.certificate)
    assert pin.place == (Service.SIP, "192.0.2.1", 5061)


def test_a_certificate_of_somebody_else_says_so():
    assert '"pbx.example.test"' in about(foreign().server("other.test")).mismatch


def test_what_no_answer_could_mend_is_not_asked():
    with pytest.raises(CertificateExpired):
        about(foreign().server(HOST), wall=NOW + timedelta(days=400))
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(CertificateUntrusted, match="RSA key of 1024 bits"):
        about(foreign().server(HOST, key=small))
    with pytest.raises(CertificateUntrusted, match="cannot be read"):
        question_about(b"rubbish", PLACE, reason="", wall=NOW)
