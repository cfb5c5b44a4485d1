"""Crypto suites by their RFC names: key, salt and tag lengths (RFC 4568 6.2, RFC 7714 14.2)."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.security import CryptoSuite

__all__ = ["SuiteParameters", "suite_named", "suite_parameters"]


@dataclass(frozen=True, slots=True)
class SuiteParameters:
    """The lengths of a suite, in bytes; `aead` is whether encryption and tag are one (RFC 7714)."""

    suite: CryptoSuite
    key_length: int
    salt_length: int
    rtp_tag_length: int
    rtcp_tag_length: int
    aead: bool

    @property
    def material_length(self) -> int:
        """The master key and the master salt together: what `inline:` carries."""
        return self.key_length + self.salt_length


_PARAMETERS = {
    row.suite: row
    for row in (
        SuiteParameters(CryptoSuite.AEAD_AES_256_GCM, 32, 12, 16, 16, True),
        SuiteParameters(CryptoSuite.AEAD_AES_128_GCM, 16, 12, 16, 16, True),
        SuiteParameters(CryptoSuite.AES_CM_128_HMAC_SHA1_80, 16, 14, 10, 10, False),
        # RFC 4568 section 6.2.2: the short tag is RTP's alone, SRTCP keeps 80 bits.
        SuiteParameters(CryptoSuite.AES_CM_128_HMAC_SHA1_32, 16, 14, 4, 10, False),
    )
}

_NAMES = {suite.value: suite for suite in CryptoSuite}


def suite_parameters(suite: CryptoSuite) -> SuiteParameters:
    """The lengths of `suite`."""
    return _PARAMETERS[suite]


def suite_named(name: str) -> CryptoSuite | None:
    """The suite of an SDP name, compared without case; None for one that we do not have.

    No other spelling is an alias: AES_CM_256_HMAC_SHA1_80 and AES_256_CM_HMAC_SHA1_80 name the
    suites of RFC 6188, which are not ours, and a guess would be a wrong key length.
    """
    return _NAMES.get(name.upper())
