"""A version field that X.509 does not have is a refusal by name, not an exception that escapes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import CertificateUntrusted, ConfigurationError
from softphone.lab import Authority
from softphone.trust import GateRules, Service, examine, load_certificates
from softphone.trust.capf.issued_certificate import parse_certificate

# [0] EXPLICIT INTEGER 2 is version 3 (RFC 5280 section 4.1.2.1); 9 is none.
VERSION = bytes.fromhex("a003020102")


@pytest.fixture(scope="module")
def impossible():
    der = Authority().certificate.public_bytes(Encoding.DER)
    assert VERSION in der
    return der.replace(VERSION, VERSION[:-1] + b"\x09", 1)


def test_a_file_with_it_is_a_configuration_error(impossible):
    with pytest.raises(ConfigurationError, match="no certificate"):
        load_certificates(impossible)


def test_a_peer_that_shows_it_is_not_trusted(impossible):
    with pytest.raises(CertificateUntrusted, match="cannot be read"):
        examine(
            [impossible],
            Service.SIP,
            "pbx.example.test",
            wall=datetime(2026, 11, 24, tzinfo=UTC),
            rules=GateRules(),
        )


def test_an_issued_one_is_none(impossible):
    assert parse_certificate(impossible) is None
