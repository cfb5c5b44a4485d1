"""Makes and checks CAPF's proofs that a device holds the private key of a certificate.

SIGNED_DATA (SHA-1) and SHA2_SIGNED_DATA (SHA-512) sign the device name and the certificate.
SUDI_DATA signs the session id and a certificate, so it alone cannot be replayed.  An RSA signature
covers the bare hash with PKCS#1 type 1 padding and no DigestInfo; the whole encoded message is
checked.  The format fixes SHA-1 for SIGNED_DATA; a check also requires the SHA-512 signature.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from softphone.trust.capf.message import CapfTag, MalformedCapf, certificate_element
from softphone.trust.keystore.identity import Identity

_SHA_1, _SHA_512 = 1, 3
_HASHES: dict[int, tuple[str, hashes.HashAlgorithm]] = {
    _SHA_1: ("sha1", hashes.SHA1()),
    _SHA_512: ("sha512", hashes.SHA512()),
}
_CODED = struct.Struct("!BH")


def _signed(identity: Identity, data: bytes, code: int) -> bytes:
    name, algorithm = _HASHES[code]
    if isinstance(identity.key, rsa.RSAPrivateKey):
        digest = hashlib.new(name, data).digest()
        return identity.key.sign(digest, padding.PKCS1v15(), NoDigestInfo())
    return identity.key.sign(data, ec.ECDSA(algorithm))


def _verified(certificate: x509.Certificate, signature: bytes, data: bytes, code: int) -> bool:
    name, algorithm = _HASHES[code]
    try:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            recovered = key.recover_data_from_signature(
                signature, padding.PKCS1v15(), NoDigestInfo()
            )
            return hmac.compare_digest(recovered, hashlib.new(name, data).digest())
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(algorithm))
            return True
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return False


def _statement(device: bytes, certificate: bytes) -> bytes:
    return device + b"\0" + certificate


def proof_elements(identity: Identity, device: bytes, *, version: int) -> dict[int, bytes]:
    """Make CERTIFICATE, SIGNED_DATA and, from version 3 on, SHA2_SIGNED_DATA."""
    der = identity.der
    statement = _statement(device, der)
    elements = {
        CapfTag.CERTIFICATE.value: certificate_element(der),
        CapfTag.SIGNED_DATA.value: _signed(identity, statement, _SHA_1),
    }
    if version >= 3:
        elements[CapfTag.SHA2_SIGNED_DATA.value] = _coded(
            _SHA_512, _signed(identity, statement, _SHA_512)
        )
    return elements


def _coded(code: int, value: bytes) -> bytes:
    return _CODED.pack(code, len(value)) + value


def check_proof(
    certificate: x509.Certificate, der: bytes, device: bytes, sha1: bytes, sha512: bytes
) -> bool:
    """Whether both signatures over device name and certificate verify with its key.

    `sha1` and `sha512` are the elements' values.  Raises MalformedCapf.
    """
    (code, signature), *more = _parts(sha512)
    if more or code != _SHA_512:
        raise MalformedCapf("SHA2_SIGNED_DATA is not one SHA-512 signature")
    statement = _statement(device, der)
    return _verified(certificate, sha1, statement, _SHA_1) and _verified(
        certificate, signature, statement, _SHA_512
    )


def _binding(session: int, der: bytes) -> bytes:
    # Little-endian, unlike the header: the servers hash it in their native byte order.
    return session.to_bytes(4, "little") + der


def sudi_element(identity: Identity, session: int) -> bytes:
    """Make SUDI_DATA, which binds the certificate to the session.

    Raises ValueError for a key that is not RSA.
    """
    if not isinstance(identity.key, rsa.RSAPrivateKey):
        raise ValueError("SUDI_DATA is made with RSA keys only")
    bound = _binding(session, identity.der)
    signatures = (_coded(code, _signed(identity, bound, code)) for code in (_SHA_1, _SHA_512))
    return _coded(0, identity.der) + b"".join(signatures)


def read_sudi(value: bytes) -> tuple[bytes, bytes, bytes]:
    """Parse SUDI_DATA into certificate (DER), SHA-1 signature and SHA-512 signature.

    Raises MalformedCapf.
    """
    parts = _parts(value)
    if [code for code, _ in parts] != [0, _SHA_1, _SHA_512]:
        raise MalformedCapf("SUDI_DATA is not a certificate and two signatures")
    return parts[0][1], parts[1][1], parts[2][1]


def check_sudi(certificate: x509.Certificate, value: bytes, session: int) -> bool:
    """Whether SUDI_DATA binds this session to this RSA certificate.  Raises MalformedCapf."""
    der, sha1, sha512 = read_sudi(value)
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        return False
    bound = _binding(session, der)
    return _verified(certificate, sha1, bound, _SHA_1) and _verified(
        certificate, sha512, bound, _SHA_512
    )


def _parts(value: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(value):
        if len(found) == 4 or len(value) - at < _CODED.size:
            raise MalformedCapf("a signature element is not what it should be")
        code, length = _CODED.unpack_from(value, at)
        at += _CODED.size
        if length > len(value) - at:
            raise MalformedCapf("a signature is longer than its element")
        found.append((code, value[at : at + length]))
        at += length
    if not found:
        raise MalformedCapf("a signature element is empty")
    return found
