"""Crypto suites by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from softphone.security import CryptoSuite, SecurityPolicy
from softphone.srtp import libsrtp_backend


@pytest.mark.parametrize(
    ("suite", "material", "rtp_tag", "rtcp_tag", "aead"),
    [
        (CryptoSuite.AEAD_AES_256_GCM, 44, 16, 16, True),
        (CryptoSuite.AEAD_AES_128_GCM, 28, 16, 16, True),
        (CryptoSuite.AES_CM_128_HMAC_SHA1_80, 30, 10, 10, False),
        (CryptoSuite.AES_CM_128_HMAC_SHA1_32, 30, 4, 10, False),
        (CryptoSuite.AES_256_CM_HMAC_SHA1_80, 46, 10, 10, False),
        (CryptoSuite.AES_256_CM_HMAC_SHA1_32, 46, 4, 10, False),
        (CryptoSuite.AES_192_CM_HMAC_SHA1_80, 38, 10, 10, False),
        (CryptoSuite.AES_192_CM_HMAC_SHA1_32, 38, 4, 10, False),
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


@pytest.mark.parametrize("bits", [256, 192])
@pytest.mark.parametrize("tag", [80, 32])
def test_the_spelling_of_the_drafts_is_the_same_suite(bits, tag):
    suite = CryptoSuite(f"AES_{bits}_CM_HMAC_SHA1_{tag}")
    assert CryptoSuite.named(f"AES_CM_{bits}_HMAC_SHA1_{tag}") is suite
    assert CryptoSuite.named(f"aes_cm_{bits}_hmac_sha1_{tag}") is suite


def test_suites_of_rfc_6188_are_used_where_they_are_named_only():
    assert [suite.value for suite in SecurityPolicy().suites] == [
        "AEAD_AES_256_GCM",
        "AEAD_AES_128_GCM",
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_32",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "F8_128_HMAC_SHA1_80",
        "AES_128_CM_HMAC_SHA1_80",
        "AES_CM_512_HMAC_SHA1_80",
        "AES_CM_256_HMAC_SHA1",
        "AEAD_AES_128_GCM_8",
        "NULL_HMAC_SHA1_80",
        "AES_CM_128_NULL_AUTH",
    ],
)
def test_a_name_that_is_not_ours_is_nobodys_alias(name):
    assert CryptoSuite.named(name) is None


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_the_page_of_the_account_file_has_a_row_for_each(suite):
    page = Path(__file__).parents[2] / "docs" / "reference" / "account-file.md"
    (row,) = re.findall(rf"^\| `{suite}` \| (.*) \|$", page.read_text(), re.M)
    keys, tags, _, libsrtp, fips = row.split(" | ")
    assert keys.removesuffix(" octets") == f"{suite.key_length} + {suite.salt_length}"
    assert tags == f"{suite.rtp_tag_length}, {suite.rtcp_tag_length}"
    assert libsrtp == ("yes" if libsrtp_backend.supports_suite(suite) else "no")
    assert fips == "yes"
