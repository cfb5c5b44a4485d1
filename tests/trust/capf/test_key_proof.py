"""Proofs of possession: padded as CAPF pads, and checked as a whole."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from softphone.trust.capf.key_proof import (
    check_proof,
    check_sudi,
    proof_elements,
    read_sudi,
    sudi_element,
)
from softphone.trust.capf.message import CapfTag, MalformedCapf
from softphone.trust.certificate import der_of
from softphone.trust.csr import KeyKind
from tests.support.capf import DEVICE, WALL, device_identity, lsc_of

NAME = DEVICE.encode()
KINDS = (KeyKind.RSA_2048, KeyKind.RSA_3072, KeyKind.EC_P256, KeyKind.EC_P521)


def proved(identity, elements, *, name=NAME) -> bool:
    signatures = elements[CapfTag.SIGNED_DATA], elements[CapfTag.SHA2_SIGNED_DATA]
    return check_proof(identity.certificate, identity.der, name, *signatures)


@pytest.mark.parametrize("kind", KINDS)
def test_a_proof_holds_for_its_device_and_for_no_other(kind):
    identity = lsc_of(kind)
    elements = proof_elements(identity, NAME, version=3)
    assert proved(identity, elements)
    assert not proved(identity, elements, name=b"CSFBOB")
    assert not proved(lsc_of(KeyKind.EC_P384), elements)


@pytest.mark.parametrize("tag", [CapfTag.SIGNED_DATA, CapfTag.SHA2_SIGNED_DATA])
def test_both_signatures_must_be_right(tag):
    identity = lsc_of()
    elements = proof_elements(identity, NAME, version=3)
    value = bytearray(elements[tag])
    value[-1] ^= 1
    assert not proved(identity, elements | {tag: bytes(value)})


def test_the_padding_is_type_1_around_the_bare_hash():
    identity = device_identity("lsc-csf")
    elements = proof_elements(identity, NAME, version=3)
    numbers = identity.key.public_key().public_numbers()
    size = identity.key.key_size // 8
    digest = hashlib.sha1(NAME + b"\0" + identity.der).digest()
    padded = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
    signature = int.from_bytes(elements[CapfTag.SIGNED_DATA], "big")
    assert pow(signature, numbers.e, numbers.n).to_bytes(size, "big") == padded


def test_a_hash_after_rubbish_is_no_padding():
    """What a checker of the last bytes only would let pass."""
    identity = lsc_of()
    private = identity.key.private_numbers()
    modulus = private.public_numbers.n
    size = identity.key.key_size // 8
    digest = hashlib.sha1(NAME + b"\0" + identity.der).digest()
    forged = b"\0\1" + b"\xff" * 8 + b"\0" + bytes(size - 11 - len(digest)) + digest
    signature = pow(int.from_bytes(forged, "big"), private.d, modulus).to_bytes(size, "big")
    elements = proof_elements(identity, NAME, version=3)
    assert not proved(identity, elements | {CapfTag.SIGNED_DATA: signature})


def test_version_2_has_no_sha_512():
    assert CapfTag.SHA2_SIGNED_DATA not in proof_elements(lsc_of(), NAME, version=2)


def test_sudi_binds_one_session():
    identity = lsc_of()
    value = sudi_element(identity, 0x01020304)
    assert read_sudi(value)[0] == identity.der
    assert check_sudi(identity.certificate, value, 0x01020304)
    assert not check_sudi(identity.certificate, value, 0x04030201)


@pytest.mark.parametrize("part", [1, 2])
def test_both_signatures_of_sudi_must_be_right(part):
    identity = lsc_of()
    value = sudi_element(identity, 7)
    signature = read_sudi(value)[part]
    broken = value.replace(signature, signature[:-1] + bytes((signature[-1] ^ 1,)))
    assert broken != value
    assert not check_sudi(identity.certificate, broken, 7)


def test_sudi_is_made_and_checked_with_rsa_only():
    identity = lsc_of(KeyKind.EC_P256)
    with pytest.raises(ValueError, match="RSA"):
        sudi_element(identity, 1)
    assert not check_sudi(identity.certificate, sudi_element(lsc_of(), 1), 1)


def test_a_key_of_another_kind_proves_nothing():
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(WALL)
    certificate = builder.not_valid_after(WALL + timedelta(days=1)).sign(key, None)
    der = der_of(certificate)
    signature = key.sign(NAME + b"\0" + der)
    coded = b"\3" + len(signature).to_bytes(2, "big") + signature
    assert not check_proof(certificate, der, NAME, signature, coded)


@pytest.mark.parametrize("kind", [KeyKind.RSA_2048, KeyKind.EC_P256])
def test_an_empty_signature_proves_nothing(kind):
    identity = lsc_of(kind)
    good = proof_elements(identity, NAME, version=3)
    sha1 = good[CapfTag.SIGNED_DATA]
    assert not check_proof(identity.certificate, identity.der, NAME, sha1, b"\3\0\0")
    assert not check_proof(
        identity.certificate, identity.der, NAME, b"", good[CapfTag.SHA2_SIGNED_DATA]
    )


@pytest.mark.parametrize(
    "value", [b"", b"\3", b"\3\0\1a\3", b"\3\0\1a\3\0", b"\3\0\5abc", b"\1\0\1a", b"\3\0\0" * 5]
)
def test_elements_that_are_no_signatures_are_malformed(value):
    identity = lsc_of()
    with pytest.raises(MalformedCapf):
        check_proof(identity.certificate, identity.der, NAME, b"", value)
    with pytest.raises(MalformedCapf):
        read_sudi(value)
