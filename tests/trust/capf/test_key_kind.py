"""Which key CAPF asks for."""

from __future__ import annotations

import pytest

from softphone.trust.capf.key_kind import key_elements, key_kind_of, wanted_key
from softphone.trust.capf.message import CapfCommand, CapfMessage, CapfTag, MalformedCapf
from softphone.trust.csr import KeyKind, new_key
from softphone.trust.keystore import public_key_of


def asked(elements):
    return wanted_key(CapfMessage(CapfCommand.KEY_GENERATE_REQUEST, 1, elements))


@pytest.mark.parametrize("kind", list(KeyKind))
def test_every_kind_is_asked_for_and_understood(kind):
    assert asked(key_elements(kind)) is kind


def test_without_a_type_it_is_rsa():
    assert asked({CapfTag.KEY_SIZE: b"\x08\x00"}) is KeyKind.RSA_2048


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({CapfTag.KEY_SIZE: b"\x02\x00"}, "512 bits"),
        ({CapfTag.KEY_SIZE: b"\x04\x00", CapfTag.KEY_TYPE: b"\0"}, "1024 bits"),
        ({}, "RSA key without its size"),
        ({CapfTag.KEY_TYPE: b"\1", CapfTag.CURVE: b"\3"}, "curve 3"),
        ({CapfTag.KEY_TYPE: b"\1"}, "EC key without its curve"),
        ({CapfTag.KEY_TYPE: b"\2", CapfTag.CURVE: b"\1"}, "type 2"),
    ],
)
def test_weak_and_unknown_keys_are_refused_in_words(elements, why):
    found = asked(elements)
    assert not isinstance(found, KeyKind)
    assert why in found


def test_a_size_that_is_no_number_is_malformed():
    with pytest.raises(MalformedCapf, match="KEY_SIZE"):
        asked({CapfTag.KEY_SIZE: b"\0\0\0"})


@pytest.mark.parametrize("kind", [KeyKind.RSA_2048, KeyKind.EC_P256, KeyKind.EC_P521])
def test_the_kind_of_a_public_key_is_seen(kind):
    assert key_kind_of(public_key_of(new_key(kind))) is kind


def test_what_is_no_such_key_has_no_kind():
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    assert key_kind_of(b"no key") is None
    assert key_kind_of(public_key_of(ed25519.Ed25519PrivateKey.generate())) is None
    assert key_kind_of(public_key_of(ec.generate_private_key(ec.SECP256K1()))) is None
