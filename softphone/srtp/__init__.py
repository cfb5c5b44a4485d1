"""Secure RTP: suites, keys in SDP (RFC 4568), contexts (RFC 3711, RFC 7714)."""

from softphone.srtp.backend import REPLAY_WINDOW, SrtpBackend, SrtpStatus
from softphone.srtp.context import FIRST_SEQUENCE_LIMIT, FailureCounts, ReceiveContext, SendContext
from softphone.srtp.crypto_suite import SuiteParameters, suite_named, suite_parameters
from softphone.srtp.libsrtp_backend import SrtpBatch
from softphone.srtp.rekeying import SdesAgreement, SdesNegotiation
from softphone.srtp.sdes import (
    CryptoChoice,
    CryptoPreference,
    CryptoRefusal,
    CryptoRefusalCode,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
    make_crypto_offer,
    same_key,
)

__all__ = [
    "FIRST_SEQUENCE_LIMIT",
    "REPLAY_WINDOW",
    "CryptoChoice",
    "CryptoPreference",
    "CryptoRefusal",
    "CryptoRefusalCode",
    "FailureCounts",
    "ReceiveContext",
    "SdesAgreement",
    "SdesNegotiation",
    "SendContext",
    "SrtpBackend",
    "SrtpBatch",
    "SrtpStatus",
    "SuiteParameters",
    "check_crypto_answer",
    "choose_crypto",
    "make_crypto_answer",
    "make_crypto_offer",
    "same_key",
    "suite_named",
    "suite_parameters",
]
