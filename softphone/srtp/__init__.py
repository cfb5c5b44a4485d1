"""Secure RTP: suites, keys in SDP (RFC 4568), contexts (RFC 3711, RFC 7714)."""

from softphone.srtp.backend import REPLAY_WINDOW, Backend, Status
from softphone.srtp.context import FIRST_SEQUENCE_LIMIT, FailureCounts, ReceiveContext, SendContext
from softphone.srtp.crypto_suite import SuiteParameters, parameters, suite_named
from softphone.srtp.libsrtp_backend import Batch
from softphone.srtp.rekeying import Agreement, KeyPlan
from softphone.srtp.sdes import (
    Choice,
    Preference,
    Refusal,
    RefusalCode,
    check_answer,
    choose,
    make_answer,
    make_offer,
    same_key,
)

__all__ = [
    "FIRST_SEQUENCE_LIMIT",
    "REPLAY_WINDOW",
    "Agreement",
    "Backend",
    "Batch",
    "Choice",
    "FailureCounts",
    "KeyPlan",
    "Preference",
    "ReceiveContext",
    "Refusal",
    "RefusalCode",
    "SendContext",
    "Status",
    "SuiteParameters",
    "check_answer",
    "choose",
    "make_answer",
    "make_offer",
    "parameters",
    "same_key",
    "suite_named",
]
