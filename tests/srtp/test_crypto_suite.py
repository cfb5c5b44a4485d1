"""Crypto suites by name."""

from __future__ import annotations

import pytest

from softphone.security import CryptoSuite


@pytest.mark.parametrize(
    ("suite", "material", "rtp_tag", "rtcp_tag", "aead"),
    [
        (CryptoSuite.AEAD_AES_256_GCM, 44, 16, 16, True),
        (CryptoSuite.AEAD_AES_128_GCM, 28, 16, 16, True),
        (CryptoSuite.AES_CM_128_HMAC_SHA1_80, 30, 10, 10, False),
        (CryptoSuite.AES_CM_128_HMAC_SHA1_32, 30, 4, 10, False),
    ],
)
def test_lengths(suite, material, rtp_tag, rtcp_tag, aead):
    row = suite
    assert row.material_length == material
    assert (row.rtp_tag_length, row.rtcp_tag_length, row.aead) == (rtp_tag, rtcp_tag, aead)


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_names_are_compared_without_case(suite):
    assert CryptoSuite.named(suite.value) is suite
    assert CryptoSuite.named(suite.value.lower()) is suite


@pytest.mark.parametrize(
    "name",
    [
        "",
        "F8_128_HMAC_SHA1_80",
        "AES_CM_256_HMAC_SHA1_80",
        "AES_256_CM_HMAC_SHA1_80",
        "AES_192_CM_HMAC_SHA1_80",
        "AEAD_AES_128_GCM_8",
        "NULL_HMAC_SHA1_80",
        "AES_CM_128_NULL_AUTH",
    ],
)
def test_a_name_that_is_not_ours_is_nobodys_alias(name):
    assert CryptoSuite.named(name) is None
