"""The text in a certificate is its maker's: it breaks no line, steers no terminal, and is shown."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from softphone.errors import CertificateError, IdentityMismatch
from softphone.trust import GateRules, Service, check_identity, examine, identifies, subject_of

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTILE = [
    "alice\nerror: everything is fine",
    "alice\r\x1b[2K\x1b[31mCN=bob",
    "\N{RIGHT-TO-LEFT OVERRIDE}ecila",
    "alice\x9b2J",
    "alice\N{LINE SEPARATOR}next",
    "alice\x00.example.test",
]


def certificate_of(common_name, *names):
    """A self-signed certificate with whatever names it is told."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7)
    builder = builder.not_valid_before(NOW - timedelta(days=1))
    builder = builder.not_valid_after(NOW + timedelta(days=1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_subject_is_one_printable_line(text):
    subject = subject_of(certificate_of(text))
    assert subject.isprintable()
    assert subject.startswith("CN=")


def test_what_was_escaped_can_still_be_told():
    assert subject_of(certificate_of("a\nb")) == "CN=a\\0Ab"
    assert subject_of(certificate_of("Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")) == "CN=Zo\xeb"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_refusal_and_the_log_are_single_lines(text, caplog):
    caplog.set_level(logging.DEBUG)
    shown = [certificate_of(text).public_bytes(Encoding.DER)]
    with pytest.raises(CertificateError) as refused:
        examine(shown, Service.SIP, "pbx.example.test", wall=NOW, rules=GateRules())
    for line in [str(refused.value), *(record.getMessage() for record in caplog.records)]:
        assert line.isprintable()


def test_names_in_a_mismatch_are_single_lines():
    hostile = x509.UniformResourceIdentifier("sip:a@b\n\x1b[31merror: fine")
    with pytest.raises(IdentityMismatch) as refused:
        check_identity(certificate_of("x", hostile), Service.SIP, "pbx.example.test")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("service", list(Service))
@pytest.mark.parametrize("reference", ["pbx.example.test", "alice", "pbx.example.test."])
def test_a_nul_ends_no_name(service, reference):
    cut = certificate_of("pbx.example.test\x00.evil.test")
    assert not identifies(cut, service, reference)
    cut = certificate_of("x", x509.DNSName("pbx.example.test\x00.evil.test"))
    assert not identifies(cut, service, reference)


def test_a_thousand_names_are_all_read_and_none_is_a_wildcard_for_sip():
    names = [x509.DNSName(f"h{number}.example.test") for number in range(1000)]
    many = certificate_of("x", *names, x509.DNSName("*.example.test"), x509.DNSName("*"))
    assert identifies(many, Service.SIP, "h999.example.test")
    assert not identifies(many, Service.SIP, "pbx.example.test")
    assert not identifies(many, Service.HTTPS, "pbx")
