"""RFC 7714 sections 16 and 17: whole SRTP and SRTCP packets under AES-GCM.

The RFC gives session keys, not master keys, so libsrtp cannot be given them: that it does the
same as the backend tested here is `tests/properties/test_srtp_backends_agree.py`.
"""

from __future__ import annotations

import pytest

from softphone.security import CryptoSuite
from softphone.srtp import SrtpStatus
from softphone.srtp.cryptography_backend import CryptographyTransform, SessionKeys
from tests.support.srtp import vector

CASES = [
    ("rfc7714_aead_aes_128_gcm", CryptoSuite.AEAD_AES_128_GCM),
    ("rfc7714_aead_aes_256_gcm", CryptoSuite.AEAD_AES_256_GCM),
]


def given_transform(given: dict[str, bytes], suite: CryptoSuite) -> CryptographyTransform:
    keys = SessionKeys(given["session_key"], b"", given["session_salt"])
    return CryptographyTransform.from_session_keys(suite, keys, keys)


@pytest.mark.parametrize(("name", "suite"), CASES)
def test_srtp(name, suite):
    given = vector(name)
    assert given_transform(given, suite).protect(given["rtp_plain"]) == (
        SrtpStatus.OK,
        given["srtp"],
    )
    receive = given_transform(given, suite)
    assert receive.unprotect(given["srtp"]) == (SrtpStatus.OK, given["rtp_plain"])


@pytest.mark.parametrize(("name", "suite"), CASES)
def test_srtcp(name, suite):
    given = vector(name)
    index = int.from_bytes(given["srtcp_index"], "big")
    sealed = given_transform(given, suite).seal_rtcp(given["rtcp_plain"], index)
    assert sealed == given["srtcp"]
    receive = given_transform(given, suite)
    assert receive.unprotect_rtcp(given["srtcp"]) == (SrtpStatus.OK, given["rtcp_plain"])


@pytest.mark.parametrize(("name", "suite"), CASES)
def test_every_bit_is_authenticated(name, suite):
    given = vector(name)
    receive = given_transform(given, suite)
    for position in range(len(given["srtp"])):
        changed = bytearray(given["srtp"])
        changed[position] ^= 1
        assert receive.unprotect(bytes(changed))[0] is not SrtpStatus.OK
    for position in range(len(given["srtcp"])):
        changed = bytearray(given["srtcp"])
        changed[position] ^= 1
        assert receive.unprotect_rtcp(bytes(changed))[0] is not SrtpStatus.OK
