from __future__ import annotations

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import ConfigurationError
from softphone.trust.csr import KeyKind, Subject, SubjectAltNames, TlsPurpose, new_key, new_request
from softphone.trust.csr.check import batch_violations, read_certificate_request, request_violations
from softphone.trust.csr.profile import PROFILES
from tests.support.pki import needs_openssl

PUBLIC, MULTI, PRIVATE = PROFILES
HOST = "im1.example.com"
NAMES = SubjectAltNames(dns=(HOST,))
SUBJECT = Subject(HOST, organization="Example", locality="Bonn", country="DE")


def read(
    subject=SUBJECT, names=NAMES, *, kind=KeyKind.RSA_2048, purposes=TlsPurpose.SERVER, **more
):
    key = new_key(kind)
    pem = new_request(key, subject, names, purposes=purposes, forbidden=None)
    return read_certificate_request(pem, **more)


def foreign(key, *extensions, subject=SUBJECT, algorithm=None):
    """A request as others make it: nothing is checked before it is signed."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject.name())
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, algorithm)


def test_what_we_write_is_read_back():
    names = SubjectAltNames(
        dns=(HOST,),
        ip=("192.0.2.1",),
        uri=("sip:example.com",),
        xmpp=("example.com",),
        srv=("_xmpp-client.example.com",),
    )
    request = read(names=names, purposes=TlsPurpose.SERVER | TlsPurpose.CLIENT, source="im1.csr")
    assert request.source == "im1.csr"
    assert (request.subject, request.names) == (SUBJECT, names)
    assert (request.key, request.digest) == ("rsa-2048", "sha256")
    assert request.purposes == TlsPurpose.SERVER | TlsPurpose.CLIENT
    assert request.armored
    assert request.problems == ()
    assert request_violations(request, PRIVATE) == ()


def test_a_request_that_a_public_authority_takes_has_no_violation():
    assert request_violations(read(), PUBLIC) == ()
    several = read(names=SubjectAltNames(dns=(HOST, "im2.example.com")))
    assert request_violations(several, MULTI) == ()


def test_every_violation_is_named():
    request = read(
        Subject(HOST, organization="A & B", unit="me@home", country="DE"),
        SubjectAltNames(
            dns=(HOST, "pbx.local"),
            ip=("192.0.2.1",),
            uri=("sip:example.com",),
            xmpp=("example.com",),
            srv=("_xmpp-client.example.com",),
        ),
        kind=KeyKind.EC_P521,
        purposes=TlsPurpose.CLIENT,
    )
    found = request_violations(request, PUBLIC)
    for words in (
        "its key is ec-p521; taken are rsa-2048",
        "organizational unit, 'me@home'",
        "purpose of a TLS client",
        "organization 'A & B' holds '&'",
        "unit 'me@home' holds '@'",
        "2 domain names: one certificate is for one name",
        "'pbx.local' is no public domain name",
        "the address '192.0.2.1' is issued by private authorities only",
        "the URI 'sip:example.com' is issued",
        "the xmppAddr 'example.com' is issued",
        "the SRVName '_xmpp-client.example.com' is issued",
    ):
        assert any(words in each for each in found), words
    assert len(found) == 11


@pytest.mark.parametrize(
    ("key", "algorithm", "words"),
    [
        (rsa.generate_private_key(65537, 1024), hashes.SHA256(), "its key is rsa-1024"),
        (ec.generate_private_key(ec.SECP256K1()), hashes.SHA256(), "its key is ec-secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), None, "its key is ed25519"),
        (rsa.generate_private_key(65537, 2048), hashes.SHA3_256(), "signed with sha3-256"),
        (ed25519.Ed25519PrivateKey.generate(), None, "signed with no hash"),
    ],
)
@pytest.mark.parametrize("profile", PROFILES)
def test_others_keys_and_hashes_are_judged(key, algorithm, words, profile):
    made = foreign(key, algorithm=algorithm).public_bytes(Encoding.PEM)
    found = request_violations(read_certificate_request(made), profile)
    assert any(words in each for each in found)


def test_others_requests_without_names_are_judged():
    key = new_key()
    made = foreign(key, subject=Subject("short"), algorithm=hashes.SHA256())
    found = request_violations(read_certificate_request(made.public_bytes(Encoding.PEM)), PRIVATE)
    assert found == ("no subject alternative name is asked for",)
    odd = x509.SubjectAlternativeName([x509.DNSName("a.*.com"), x509.DNSName("other.example.com")])
    made = foreign(key, odd, algorithm=hashes.SHA256())
    found = request_violations(read_certificate_request(made.public_bytes(Encoding.PEM)), PRIVATE)
    assert any("'a.*.com' is no full domain name" in each for each in found)
    assert any(f"'{HOST}' is not among the alternative names" in each for each in found)


def test_binary_form_is_read_and_named():
    made = foreign(
        new_key(), x509.SubjectAlternativeName([x509.DNSName(HOST)]), algorithm=hashes.SHA256()
    )
    request = read_certificate_request(made.public_bytes(Encoding.DER))
    assert not request.armored
    assert request_violations(request, PRIVATE) == (
        "it is in binary form (DER): authorities take Base64 (PEM)",
    )


def test_a_signature_of_another_key_is_named():
    made = bytearray(foreign(new_key(), algorithm=hashes.SHA256()).public_bytes(Encoding.DER))
    made[-1] ^= 1
    assert "its signature is not that of its key" in read_certificate_request(bytes(made)).problems


def test_an_extension_that_cannot_be_read_is_named():
    odd = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x02\x01")
    made = foreign(new_key(), odd, algorithm=hashes.SHA256())
    request = read_certificate_request(made.public_bytes(Encoding.PEM))
    assert any("extensions cannot be read" in each for each in request.problems)
    assert request.names == SubjectAltNames()


@pytest.mark.parametrize("data", [b"", b"rubbish", b"-----BEGIN CERTIFICATE REQUEST-----\n"])
def test_what_is_no_request_is_named(data):
    with pytest.raises(ConfigurationError, match=r"im1\.csr is no certificate request"):
        read_certificate_request(data, source="im1.csr")


def test_the_requests_of_one_deployment_say_the_same():
    one = read(source="one.csr")
    two = read(
        Subject(HOST, organization="Example", locality="Köln", country="DE"), source="two.csr"
    )
    assert batch_violations((one, one)) == ()
    assert batch_violations((one, two)) == (
        "the locality differs: 'Bonn' in one.csr, 'Köln' in two.csr",
    )


@needs_openssl
def test_what_openssl_writes_is_read(tmp_path):
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null"]
    command += ["-subj", f"/C=DE/O=Example/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    request = read_certificate_request(made)
    assert (request.subject.common_name, request.names.dns) == (HOST, (HOST,))
    assert request_violations(request, PUBLIC) == ()
