from __future__ import annotations

import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import KeyKind, Subject, SubjectAltNames, new_key, new_request, write_key
from tests.support.pki import needs_openssl

SUBJECT = Subject("im1.example.test", organization="Example", country="DE")
NAMES = SubjectAltNames(
    dns=("im1.example.test", "im2.example.test"),
    ip=("192.0.2.1",),
    uri=("sip:example.test",),
    xmpp=("example.test",),
    srv=("_xmpp-client.example.test",),
)


@pytest.mark.parametrize(
    ("kind", "size", "digest"),
    [
        (KeyKind.RSA_2048, 2048, "sha256"),
        (KeyKind.EC_P256, 256, "sha256"),
        (KeyKind.EC_P384, 384, "sha384"),
        (KeyKind.EC_P521, 521, "sha512"),
    ],
)
def test_a_request_is_signed_by_its_key_with_a_hash_as_strong(kind, size, digest):
    key = new_key(kind)
    assert key.key_size == size
    assert isinstance(
        key, rsa.RSAPrivateKey if kind.startswith("rsa") else ec.EllipticCurvePrivateKey
    )
    request = x509.load_pem_x509_csr(new_request(key, SUBJECT, NAMES))
    assert request.is_signature_valid
    assert request.signature_hash_algorithm.name == digest
    assert request.subject.rfc4514_string() == "CN=im1.example.test,O=Example,C=DE"
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == NAMES.general()


def test_every_kind_of_key_has_its_size():
    assert {kind: int(kind.value[-4:].strip("-p")) for kind in KeyKind} == {
        KeyKind.RSA_2048: 2048,
        KeyKind.RSA_3072: 3072,
        KeyKind.RSA_4096: 4096,
        KeyKind.EC_P256: 256,
        KeyKind.EC_P384: 384,
        KeyKind.EC_P521: 521,
    }
    assert new_key(KeyKind.RSA_3072).key_size == 3072


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (Subject(""), "common name is empty"),
        (Subject("x" * 65), "common name is longer than 64"),
        (Subject("a", organization="A & B"), "organization 'A & B' holds '&'"),
        (Subject("a", unit="me@home"), "unit 'me@home' holds '@'"),
        (Subject("a", locality="München"), "locality 'München' holds 'ü'"),
        (Subject("a", state="x" * 129), "state is longer than 128"),
        (Subject("a", country="de"), "country 'de' is not two capital letters"),
        (Subject("other.example.test"), "'other.example.test' is not among"),
    ],
)
def test_what_an_authority_would_refuse_in_a_subject_is_said(subject, words):
    with pytest.raises(ConfigurationError, match="would be refused") as caught:
        new_request(new_key(), subject, SubjectAltNames(dns=("im1.example.test",)))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (SubjectAltNames(), "no subject alternative name"),
        (SubjectAltNames(dns=("short",)), "'short' is no full domain name"),
        (SubjectAltNames(dns=("a b.test",)), "'a b.test' is no full domain name"),
        (SubjectAltNames(dns=("a.*.test",)), "'a.*.test' is no full domain name"),
        (SubjectAltNames(dns=("a" * 64 + ".test",)), "is no full domain name"),
        (SubjectAltNames(ip=("300.1.1.1",)), "'300.1.1.1' is no IP address"),
        (SubjectAltNames(uri=("http://x",)), "'http://x' is no SIP URI"),
        (SubjectAltNames(srv=("xmpp.example.test",)), "is not _service.domain"),
        (SubjectAltNames(xmpp=("",)), "'' is no JID"),
    ],
)
def test_names_that_cannot_be_asked_for_are_said(names, words):
    with pytest.raises(ConfigurationError) as caught:
        new_request(new_key(), Subject("someone"), names)
    assert words in str(caught.value)


def test_all_violations_are_said_at_once():
    with pytest.raises(ConfigurationError) as caught:
        new_request(new_key(), Subject("", country="x"), SubjectAltNames())
    assert str(caught.value).count(";") == 2


def test_a_wildcard_is_the_whole_leftmost_label():
    assert SubjectAltNames(dns=("*.example.test",)).violations() == []


def test_a_key_is_written_for_its_owner_only_and_never_over_another(tmp_path):
    key, path = new_key(), tmp_path / "own.key"
    write_key(key, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_pem_private_key(path.read_bytes(), None).private_numbers() == key.private_numbers()
    with pytest.raises(ConfigurationError, match="never overwritten"):
        write_key(new_key(), path)


def test_a_key_is_encrypted_when_there_is_a_password(tmp_path):
    key, path = new_key(), tmp_path / "own.key"
    write_key(key, path, password=KeyMaterial(b"open sesame"))
    assert b"ENCRYPTED" in path.read_bytes()
    opened = load_pem_private_key(path.read_bytes(), b"open sesame")
    assert opened.private_numbers() == key.private_numbers()


@needs_openssl
def test_openssl_reads_what_we_write():
    pem = new_request(new_key(KeyKind.RSA_2048), SUBJECT, NAMES)
    arguments = ["openssl", "req", "-verify", "-noout", "-text"]
    shown = subprocess.run(arguments, input=pem, capture_output=True, check=True).stdout.decode()
    for words in ("DNS:im2.example.test", "IP Address:192.0.2.1", "URI:sip:example.test"):
        assert words in shown
    assert "XmppAddr" in shown
    assert "_xmpp-client.example.test" in shown
