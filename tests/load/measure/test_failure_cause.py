"""Causes: short, bounded in number, and never in a far end's words."""

from __future__ import annotations

import pytest

from softphone.errors import (
    Busy,
    CallFailed,
    CertificateExpired,
    ConfigurationError,
    NoAnswer,
    NoConnection,
    NoPortFree,
    RegistrationRefused,
    SoftphoneError,
    TransportTimeout,
)
from softphone.events import CallEnded, EndedBy
from softphone.load.measure import end_cause, failure_cause
from softphone.security import SecurityShortfall, Shortfall, ShortfallCode


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Busy("x", status=486, reason="anything at all"), "486 Busy Here"),
        (CallFailed("x", status=599, reason="made up"), "599"),
        (NoConnection("x"), "no connection"),
        (NoAnswer("x", status=408), "no answer in time"),
        (
            NoAnswer("x", status=480, reason="Temporarily Unavailable"),
            "480 Temporarily Unavailable",
        ),
        (RegistrationRefused("x", status=403, reason="go away"), "403 Forbidden"),
        (TransportTimeout("x"), "transport timeout"),
        (CertificateExpired("x"), "certificate expired"),
        (NoPortFree("x"), "no media port"),
        (ConfigurationError("our certificate expired"), "own configuration"),
        (SoftphoneError("x"), "softphone error"),
        (
            SecurityShortfall((Shortfall(ShortfallCode.SRTP_REQUIRED, "no"),)),
            "refused by us: srtp_required",
        ),
        (ZeroDivisionError("x"), "scenario: ZeroDivisionError"),
    ],
)
def test_an_error_has_a_cause(error, cause):
    assert failure_cause(error) == cause


def test_a_certificate_of_ours_out_of_date_is_told_from_other_mistakes():
    error = ConfigurationError("our certificate a.crt expired")
    error.__cause__ = CertificateExpired("ours")
    assert failure_cause(error) == "own certificate out of date"


def test_an_end_says_who_and_with_what_status():
    assert end_cause(CallEnded(EndedBy.REMOTE)) == "remote"
    assert end_cause(CallEnded(EndedBy.TRANSPORT, 503, "The connection was closed")) == "transport"
    assert end_cause(CallEnded(EndedBy.TIMEOUT, 408, "whatever")) == "timeout 408 Request Timeout"
