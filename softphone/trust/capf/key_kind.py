"""Maps the elements of a KEY_GENERATE_REQUEST to a kind of key, and back.

Without KEY_TYPE the key is RSA.  RSA below 2,048 bits is refused as too weak.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from softphone.trust.capf.message import CapfMessage, CapfTag, number_element
from softphone.trust.csr import KeyKind

_RSA, _EC = 0, 1
_SIZES: Mapping[int, KeyKind] = MappingProxyType(
    {2048: KeyKind.RSA_2048, 3072: KeyKind.RSA_3072, 4096: KeyKind.RSA_4096}
)
_CURVES: Mapping[int, KeyKind] = MappingProxyType(
    {0: KeyKind.EC_P256, 1: KeyKind.EC_P384, 2: KeyKind.EC_P521}
)
_NAMES: Mapping[str, KeyKind] = MappingProxyType(
    {
        "secp256r1": KeyKind.EC_P256,
        "secp384r1": KeyKind.EC_P384,
        "secp521r1": KeyKind.EC_P521,
    }
)


def wanted_key(message: CapfMessage) -> KeyKind | str:
    """The requested kind of key, or a sentence that says why no such key is made.

    Raises MalformedCapf.
    """
    kind = message.number(CapfTag.KEY_TYPE)
    size = message.number(CapfTag.KEY_SIZE)
    curve = message.number(CapfTag.CURVE)
    if kind in (None, _RSA):
        found = None if size is None else _SIZES.get(size)
        asked = "RSA key without its size" if size is None else f"RSA key of {size} bits"
        return found or (
            f"CAPF asks for an {asked}: 2048, 3072 and 4096 are made here; ask the administrator"
            " to choose one of them"
        )
    if kind != _EC:
        return f"CAPF asks for a key of type {kind}, which is neither RSA nor EC"
    found = None if curve is None else _CURVES.get(curve)
    asked = "without its curve" if curve is None else f"on curve {curve}"
    return found or f"CAPF asks for an EC key {asked}: P-256, P-384 and P-521 are made here"


def key_elements(kind: KeyKind) -> dict[int, bytes]:
    """The elements of a KEY_GENERATE_REQUEST for that kind of key."""
    for size, each in _SIZES.items():
        if each is kind:
            return {
                CapfTag.KEY_SIZE: number_element(size, 2),
                CapfTag.KEY_TYPE: number_element(_RSA),
            }
    curve = next(number for number, each in _CURVES.items() if each is kind)
    return {CapfTag.KEY_TYPE: number_element(_EC), CapfTag.CURVE: number_element(curve)}


def key_kind_of(public_key: bytes) -> KeyKind | None:
    """The kind of a public key (DER SubjectPublicKeyInfo); None for one that is not made here."""
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return _SIZES.get(key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _NAMES.get(key.curve.name)
    return None
