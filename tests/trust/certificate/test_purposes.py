"""A client's certificate that is for servers: judged by its purpose and its name."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from softphone.errors import CertificateUntrusted
from softphone.lab import CertificateNames, Validity
from softphone.trust.certificate import check_client_purpose
from tests.support.certificates import authority

SBC = "sbc.example.test"
SERVERS, CLIENTS = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def leaf(*purposes, names=None):
    names = CertificateNames(dns=(SBC,)) if names is None else names
    issued = authority().issue("SBC", names, validity=Validity(), purposes=list(purposes))
    return issued.certificate


def with_extension(oid, der=b"\x30\x03\x02\x01\x01", **usage):
    """A certificate of its own whose extension is unreadable, or has that key usage."""
    key = ec.generate_private_key(ec.SECP256R1())
    value = x509.UnrecognizedExtension(oid, der)
    if usage:
        off = dict.fromkeys(
            [
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        value = x509.KeyUsage(**{**off, **usage})
    template = leaf(SERVERS)
    return (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(template.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(template.not_valid_before_utc)
        .not_valid_after(template.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SBC)]), critical=False)
        .add_extension(value, critical=False)
        .sign(key, hashes.SHA256())
    )


def test_a_certificate_for_clients_has_no_reservation_and_needs_no_name():
    assert check_client_purpose([leaf(CLIENTS, SERVERS)], frozenset()) == ()


def test_one_for_servers_has_a_reservation_where_its_name_is_listed():
    for names in (
        CertificateNames(dns=("SBC.example.test",)),
        CertificateNames(uri=(f"sip:{SBC}",)),
    ):
        (told,) = check_client_purpose([leaf(SERVERS, names=names)], frozenset({SBC}))
        assert "although" in told
        assert "for servers only" in told


@pytest.mark.parametrize(
    "names",
    [
        CertificateNames(dns=("other.example.test",)),
        CertificateNames(dns=("*.example.test",)),
        CertificateNames(uri=(f"sip:trunk@{SBC}",)),
        CertificateNames(ip=("192.0.2.1",)),
    ],
)
def test_one_for_servers_is_refused_under_any_other_name(names):
    with pytest.raises(CertificateUntrusted, match="accept_from names nobody in it"):
        check_client_purpose([leaf(SERVERS, names=names)], frozenset({SBC}))


def test_every_authority_of_the_path_has_to_allow_it_as_well():
    for_clients = with_extension(ExtensionOID.KEY_USAGE, digital_signature=True)
    assert check_client_purpose([for_clients, for_clients], frozenset()) == ()
    with pytest.raises(CertificateUntrusted, match="neither for clients nor for servers"):
        check_client_purpose([leaf(SERVERS), leaf(CLIENTS)], frozenset({SBC}))


@pytest.mark.parametrize(
    "certificate",
    [
        lambda: leaf(ExtendedKeyUsageOID.CODE_SIGNING),
        lambda: leaf(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
        lambda: with_extension(ExtensionOID.EXTENDED_KEY_USAGE),
        lambda: with_extension(ExtensionOID.KEY_USAGE),
        lambda: with_extension(ExtensionOID.KEY_USAGE, key_encipherment=True),
    ],
    ids=["code", "any", "unreadable purposes", "unreadable usage", "no signatures"],
)
def test_what_is_for_neither_is_refused(certificate):
    with pytest.raises(CertificateUntrusted, match="neither for clients nor for servers"):
        check_client_purpose([certificate()], frozenset({SBC}))
