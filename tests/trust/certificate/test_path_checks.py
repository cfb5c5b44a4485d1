from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from softphone.errors import CertificateExpired, CertificateUntrusted
from softphone.lab import Authority, Validity
from softphone.security import Relaxation
from softphone.trust.certificate import check_dates, check_strength, strict_violations
from tests.support.certificates import alice, authority, server

WALL = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)

# Made with `openssl req -x509 -sha1`: the library here signs with SHA-1 no more.
SHA_1_CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBijCCATKgAwIBAgIUWmEEyEj3vLEmGooqawjNoAy7ZsowCQYHKoZIzj0EATAc
MRowGAYDVQQDDBFzaGExLmV4YW1wbGUudGVzdDAeFw0yNjExMjQxNTQyNDBaFw0z
NjExMjExNTQyNDBaMBwxGjAYBgNVBAMMEXNoYTEuZXhhbXBsZS50ZXN0MFkwEwYH
KoZIzj0CAQYIKoZIzj0DAQcDQgAEq1u96H1DUjJRDt3f/1EQFE9iq5devKVM4a1k
sAH9AGPMh8XEOyvqsSvc6mmo8IrMD6cmsMkl2uDhmzv8Pio9NaNTMFEwHQYDVR0O
BBYEFGFZErRmNcM5hv2BWSlNP8GwYroKMB8GA1UdIwQYMBaAFGFZErRmNcM5hv2B
WSlNP8GwYroKMA8GA1UdEwEB/wQFMAMBAf8wCQYHKoZIzj0EAQNHADBEAiB7wQDe
Gtcldmz9Y0uz7IkO0+zERUKIzVgbVrKDqjBH4wIgfTYsSHhsMVmy7tq/KOr5kdxV
7lswV1euA1u0WwML/Xk=
-----END CERTIFICATE-----
"""

# Made with `openssl req -x509 -newkey rsa:512`, which the library here does not make any more.
RSA_512_CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBkTCCATugAwIBAgIUMKH/YAJ1UGekpMe3vJCPHlvYieIwDQYJKoZIhvcNAQEL
BQAwHTEbMBkGA1UEAwwSc21hbGwuZXhhbXBsZS50ZXN0MB4XDTI2MTEyNDE4MTkx
MVoXDTM2MTEyMTE4MTkxMVowHTEbMBkGA1UEAwwSc21hbGwuZXhhbXBsZS50ZXN0
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAN14XPCxfjHdQj8WH4hvkY+Lwkfkd+uS
sdGmDP+ol+tMAv//y7Z/WPLq12WMlH2quoZmoUr/8kbfAhuacAdtGCsCAwEAAaNT
MFEwHQYDVR0OBBYEFGUsGJ2rNpn7hzTD7UL6HNpwKs2zMB8GA1UdIwQYMBaAFGUs
GJ2rNpn7hzTD7UL6HNpwKs2zMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQEL
BQADQQCr36gAv2PtK0LLSh8W88EhkXFuL3sC/tXK/seFkLKnLAWDjgCZBO51JewE
MZh0Da+QV1BpFF/wrQ5zpqAYrjKg
-----END CERTIFICATE-----
"""

# Made with `openssl req -x509 -newkey rsa:2048 -md5`.
MD5_CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIDFzCCAf+gAwIBAgIUbIUF5ebi/YmUBAeXUqVZ4S2pM4swDQYJKoZIhvcNAQEE
BQAwGzEZMBcGA1UEAwwQbWQ1LmV4YW1wbGUudGVzdDAeFw0yNjExMjQxODE5MTFa
Fw0zNjExMjExODE5MTFaMBsxGTAXBgNVBAMMEG1kNS5leGFtcGxlLnRlc3QwggEi
MA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDQgCR+sMEbuf4uYT+Sx1bsCgQA
O2Vk7yHTVqkKTpZ+g09zPl4Qa4684B/nPPikmjqbWIQfsUbihV9QrjfkTEdh9THm
3sGNkdS+KEGo2/cDo3yJN4nju546E8vk0plm56BesaemmZW6ZAXgQH0PmNgQX2cA
ZDSbRnm/Y1zZUFh4tV3PbUgTiUS1+f5qNnZ0BYDq0E3ecI5MOZSzVMgJ0V6cqehV
vWdlBXRqKu/fUyuzrPEj2IvLitzsx+fBrAAwA+6xkackzSjYOijeF6T5ml6zNB7Y
3mxCxWR0hwPdm6Qyi8eaXBAUkip5f4+Dw6i/PxMUHCpC+0RL5civ3ip+9q1dAgMB
AAGjUzBRMB0GA1UdDgQWBBQuDVyQWPZnbjnRi+6WloX3vBo4eDAfBgNVHSMEGDAW
gBQuDVyQWPZnbjnRi+6WloX3vBo4eDAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3
DQEBBAUAA4IBAQAJjc+e7NGMbCxHeTpjde4CGiUH+1E6ox9f78OUtmUllZP1Riv5
nDJbDezWfBL6QGJrI95ydAA/2wGEPN3xHwr5k3V1HRquJ2DsCq2pMka5JFwX1WXW
PP+hjWssQnQuzFJtXFVasomHamTOQyrxF/YSOrnALqRzqKYKjG2xp8le4J/GyHJQ
TWYSw1zq8zkYWdBMl5mM+8VlndWw59N0+GrRtibPCtYg2MejiXlAY/xqyYRL28Pa
7WihHdba1WgmJjUW1zCjl1gus8kD3NvxyqofIAV6u4nwM+BgYTRG1h/QfMo7lk4V
GlIuqtNvswwVvW4RZlqQutCtNit0Mf5xo+qO
-----END CERTIFICATE-----
"""


def self_signed(key, *extensions, algorithm=None, critical=False):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(WALL - DAY)
        .not_valid_after(WALL + DAY)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, algorithm)


def rsa_key(bits):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def test_the_path_of_our_authority_meets_every_rule():
    path = (server().certificate, authority().certificate)
    check_strength(path)
    assert strict_violations(path) == ()


def test_a_path_through_an_intermediate_meets_every_rule():
    middle = authority().intermediate("middle")
    path = (middle.server("a.test").certificate, middle.certificate, authority().certificate)
    check_strength(path)
    assert strict_violations(path) == ()


@pytest.mark.parametrize(
    ("offset", "words"), [(-2 * DAY, "not valid before"), (2 * DAY, "expired on")]
)
def test_a_path_outside_its_dates_is_refused(offset, words):
    path = (self_signed(ed25519.Ed25519PrivateKey.generate()),)
    check_dates(path, wall=WALL)
    with pytest.raises(CertificateExpired, match=words):
        check_dates(path, wall=WALL + offset)


def test_every_element_must_be_in_date():
    old = Authority("old", wall=WALL - 400 * DAY)
    fresh = old.server("a.test", validity=Validity(ends=500 * DAY))
    with pytest.raises(CertificateExpired, match="CN=old"):
        check_dates((fresh.certificate, old.certificate), wall=WALL)


def dsa_key():
    """A key of a kind that the library warns of since 51, where it still makes one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dsa.generate_private_key(2048)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa_key(1024), "RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP192R1()), "key on secp192r1"),
        (dsa_key(), "kind that is not used"),
    ],
    ids=["rsa-1024", "p-192", "dsa"],
)
def test_weak_keys_are_refused_wherever_they_are(key, words):
    weak = self_signed(key, algorithm=hashes.SHA256())
    for path in ((weak, authority().certificate), (server().certificate, weak)):
        with pytest.raises(CertificateUntrusted, match=words):
            check_strength(path)


def test_a_sha_1_signature_is_refused_except_on_the_anchor():
    weak = x509.load_pem_x509_certificate(SHA_1_CERTIFICATE)
    (noted,) = check_strength((server().certificate, weak))
    assert "a SHA1 signature on a certificate trusted for itself" in noted
    assert check_strength((server().certificate, authority().certificate)) == ()
    with pytest.raises(CertificateUntrusted, match="SHA1 signature"):
        check_strength((weak, authority().certificate))


def test_ed25519_and_rsa_2048_are_strong_enough():
    check_strength(
        (
            self_signed(ed25519.Ed25519PrivateKey.generate()),
            self_signed(rsa_key(2048), algorithm=hashes.SHA256()),
        )
    )


def test_departures_from_rfc_5280_are_named():
    lax = Authority("lax", key_identifiers=False)
    violations = strict_violations((lax.server("a.test").certificate, lax.certificate))
    assert [each.partition(": ")[2] for each in violations] == [
        "it has no authority key identifier",
        "it is an authority without subject key identifier",
    ]


CA = x509.BasicConstraints(ca=True, path_length=None)
NOT_CA = x509.BasicConstraints(ca=False, path_length=None)


def usage(*, signs):
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize(
    ("extensions", "critical", "departure"),
    [
        ([CA, usage(signs=True)], False, "its basic constraints are not critical"),
        ([CA], True, "it is an authority without key usage"),
        ([NOT_CA, usage(signs=True)], True, "it may sign certificates and is no authority"),
        (
            [x509.SubjectKeyIdentifier(b"1")],
            True,
            "its subject key identifier is critical",
        ),
        (
            [x509.AuthorityKeyIdentifier(b"1", None, None)],
            True,
            "its authority key identifier is critical",
        ),
        ([], False, "it has no authority key identifier"),
    ],
)
def test_each_departure_is_found(extensions, critical, departure):
    key = ed25519.Ed25519PrivateKey.generate()
    odd = self_signed(key, *extensions, critical=critical)
    found = strict_violations((odd, authority().certificate))
    assert f"CN=self: {departure}" in found


def test_a_pinned_certificate_alone_departs_from_nothing():
    assert strict_violations((self_signed(ed25519.Ed25519PrivateKey.generate()),)) == ()


def test_a_client_certificate_meets_the_rules_too():
    assert strict_violations((alice().certificate, authority().certificate)) == ()


def test_a_key_that_cannot_be_read_is_weak():
    der = server().certificate.public_bytes(Encoding.DER)
    spki = server().key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    broken = x509.load_der_x509_certificate(der.replace(spki, b"\x04" + b"\xff" * 64))
    with pytest.raises(CertificateUntrusted, match="key that cannot be read"):
        check_strength((broken, authority().certificate))


def test_extensions_that_cannot_be_read_are_a_departure():
    odd = self_signed(
        ed25519.Ed25519PrivateKey.generate(),
        x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"\x04\x01x"),
    )
    assert "CN=self: its extensions cannot be read" in strict_violations(
        (odd, authority().certificate)
    )


def test_weak_signatures_and_keys_pass_where_settings_say_so_and_are_named():
    leaf = x509.load_pem_x509_certificate(SHA_1_CERTIFICATE)
    path = (leaf, authority().certificate)
    with pytest.raises(CertificateUntrusted, match=r"SHA1 signature.*sha1"):
        check_strength(path, {Relaxation.RSA_1024})
    assert check_strength(path, {Relaxation.SHA1}) == (
        "CN=sha1.example.test: a SHA1 signature, allowed by sha1",
    )
    small = (self_signed(rsa_key(1024), algorithm=hashes.SHA256()),)
    with pytest.raises(CertificateUntrusted, match="rsa-1024"):
        check_strength(small, {Relaxation.SHA1})
    (named,) = check_strength(small, {Relaxation.RSA_1024})
    assert "RSA key of 1024 bits" in named
    assert "allowed by rsa-1024" in named


def test_no_setting_lets_pass_what_is_weaker_still():
    small = x509.load_pem_x509_certificate(RSA_512_CERTIFICATE)
    with pytest.raises(CertificateUntrusted, match="RSA key of 512 bits"):
        check_strength((small,), set(Relaxation))
    with pytest.raises(CertificateUntrusted, match="MD5 signature"):
        check_strength((x509.load_pem_x509_certificate(MD5_CERTIFICATE), small), set(Relaxation))


@pytest.mark.parametrize(("beside", "good"), [(0, True), (1, False)])
def test_the_first_and_the_last_second_of_a_path_count(beside, good):
    path = (self_signed(ed25519.Ed25519PrivateKey.generate()),)
    for wall in (WALL - DAY - timedelta(seconds=beside), WALL + DAY + timedelta(seconds=beside)):
        if good:
            check_dates(path, wall=wall)
        else:
            with pytest.raises(CertificateExpired, match="CN=self"):
                check_dates(path, wall=wall)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_curves_of_256_bits_are_strong_enough(curve):
    key = ec.generate_private_key(curve)
    assert check_strength((self_signed(key, algorithm=hashes.SHA256()),)) == ()


def test_ed448_is_strong_enough():
    assert check_strength((self_signed(ed448.Ed448PrivateKey.generate()),)) == ()


def test_no_setting_lets_a_short_curve_pass():
    key = ec.generate_private_key(ec.SECP224R1())
    weak = self_signed(key, algorithm=hashes.SHA256())
    with pytest.raises(CertificateUntrusted, match="secp224r1"):
        check_strength((weak,), set(Relaxation))


def test_no_path_has_no_weakness():
    assert check_strength(()) == ()


def test_every_weakness_that_passes_is_named_in_the_order_of_the_path():
    leaf = x509.load_pem_x509_certificate(SHA_1_CERTIFICATE)
    small = self_signed(rsa_key(1024), algorithm=hashes.SHA256())
    named = check_strength((leaf, small, leaf), {Relaxation.SHA1, Relaxation.RSA_1024})
    assert [each.partition(",")[0] for each in named] == [
        "CN=sha1.example.test: a SHA1 signature",
        "CN=self: an RSA key of 1024 bits",
        "CN=sha1.example.test: a SHA1 signature on a certificate trusted for itself",
    ]


def test_an_authority_key_identifier_without_a_key_is_none():
    key = ed25519.Ed25519PrivateKey.generate()
    issuer = [x509.DirectoryName(x509.Name([]))]
    odd = self_signed(key, x509.AuthorityKeyIdentifier(None, issuer, 1))
    found = strict_violations((odd, authority().certificate))
    assert found == ("CN=self: it has no authority key identifier",)


def test_only_the_last_of_a_path_is_an_anchor():
    key = ed25519.Ed25519PrivateKey.generate()
    odd = self_signed(key)
    found = strict_violations((odd, odd, odd))
    assert found == ("CN=self: it has no authority key identifier",) * 2


@pytest.mark.parametrize(
    "extensions", [[NOT_CA], [usage(signs=False)], [NOT_CA, usage(signs=False)]]
)
def test_what_signs_nothing_need_be_no_authority(extensions):
    key = ed25519.Ed25519PrivateKey.generate()
    identifier = x509.AuthorityKeyIdentifier(b"1", None, None)
    plain = self_signed(key, identifier, *extensions)
    assert strict_violations((plain, authority().certificate)) == ()
