"""The last object: every name, in every ending."""

from __future__ import annotations

import pytest

from softphone.cli.call.summary import (
    BLANK,
    CallOutcome,
    audio_fields,
    security_fields,
    summary_text,
)
from softphone.cli.console.runner import DONE, FAILED, INTERRUPTED, REFUSED, USAGE
from softphone.errors import (
    Busy,
    CallFailed,
    CertificateUntrusted,
    ConfigurationError,
    NoConnection,
    TransportError,
)
from softphone.events import CallEnded, EndedBy, StreamStatistics
from softphone.security import (
    CryptoSuite,
    KeyExchange,
    MediaSecurity,
    SecurityLevel,
    SecurityShortfall,
    SecurityState,
    Shortfall,
    ShortfallCode,
    SignalingSecurity,
)

SHORT = (Shortfall(ShortfallCode.SRTP_REQUIRED, "SRTP is required"),)
TLS = SignalingSecurity("TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=lab", "chain", "good")
AUDIO = MediaSecurity("audio", "RTP/SAVP", CryptoSuite.AEAD_AES_128_GCM, KeyExchange.SDES)


@pytest.mark.parametrize(
    ("by", "code", "result", "status"),
    [
        (EndedBy.LOCAL, DONE, "completed", 200),
        (EndedBy.REMOTE, DONE, "completed", 200),
        (EndedBy.TIMEOUT, FAILED, "failed", 408),
        (EndedBy.TRANSPORT, FAILED, "failed", 503),
    ],
)
def test_a_call_that_was_up_ends_by_somebody(by, code, result, status):
    ending = CallOutcome.of_call(CallEnded(by, 0, ""), (), "")
    assert (ending.code, ending.result, ending.status) == (code, result, status)
    assert ending.reason


def test_a_bye_that_refuses_is_a_failure_with_its_status():
    for told, said in (("no SRTP", "488 no SRTP"), ("", "488 Not Acceptable Here")):
        ending = CallOutcome.of_call(CallEnded(EndedBy.REMOTE, 488, told), (), "")
        assert (ending.code, ending.result, ending.status) == (FAILED, "failed", 488)
        assert ending.reason == f"hung up by the far end: {said}"
    elsewhere = CallOutcome.of_call(CallEnded(EndedBy.REMOTE, 200, "elsewhere"), (), "")
    assert (elsewhere.code, elsewhere.reason) == (DONE, "elsewhere")


def test_a_status_of_our_own_is_not_shown_as_the_far_ends():
    ending = CallOutcome.of_call(CallEnded(EndedBy.TRANSPORT, 0, ""), (), "")
    assert summary_text(ending, "", BLANK["audio"]) == "failed: the connection was lost"
    refused = CallOutcome.of_error(CallFailed("the server is full", status=503))
    said, hint = summary_text(refused, "", BLANK["audio"]).splitlines()
    assert said == "failed (503): the server is full"
    assert hint == f"hint: {CallFailed('').hint}"
    lost = CallOutcome.of_error(NoConnection("no answer to our INVITE: the connection was closed"))
    assert lost.status == 0


def test_a_call_that_fell_below_its_policy_was_refused():
    ending = CallOutcome.of_call(CallEnded(EndedBy.POLICY, 488, "x"), SHORT, "why")
    assert (ending.code, ending.result, ending.reason) == (REFUSED, "refused", "why")


@pytest.mark.parametrize(
    ("error", "code", "result", "status"),
    [
        (Busy("486 Busy Here", status=486), FAILED, "failed", 486),
        (TransportError("no"), FAILED, "failed", 0),
        (CertificateUntrusted("no"), REFUSED, "refused", 0),
        (SecurityShortfall(SHORT), REFUSED, "refused", 488),
        (ConfigurationError("no"), USAGE, "failed", 0),
    ],
)
def test_an_error_is_a_result_by_its_cause(error, code, result, status):
    ending = CallOutcome.of_error(error)
    assert (ending.code, ending.result, ending.status) == (code, result, status)


@pytest.mark.parametrize(("up", "result"), [(True, "completed"), (False, "failed")])
def test_an_interruption_completes_a_call_that_was_up(up, result):
    ending = CallOutcome.of_interruption(up=up)
    assert (ending.code, ending.result) == (INTERRUPTED, result)


def test_a_refused_call_is_not_secure_and_says_why():
    state = SecurityState(TLS, (AUDIO,), SecurityLevel.ENCRYPTED)
    fields = security_fields(state, SHORT)
    assert fields["level"] == "not_secure"
    assert fields["shortfalls"] == ["srtp_required"]
    assert security_fields(state, ())["level"] == "encrypted"
    assert list(fields) == list(BLANK["security"])


def test_the_names_are_those_that_scripts_depend_on():
    assert list(BLANK) == ["security", "audio", "video", "tls_key_log"]
    assert list(BLANK["security"]) == ["level", "scope", "shortfalls"]
    # Others may come; these stay.
    promised = {"codec", "suite", "packets_sent", "packets_received", "packets_lost"}
    assert promised | {"jitter_ms", "mos"} <= set(BLANK["audio"])
    assert BLANK["video"] is None


def test_audio_without_a_call_is_as_blank_as_promised():
    assert audio_fields(None, None, StreamStatistics()) == BLANK["audio"]
    state = SecurityState(TLS, (AUDIO,), None)
    assert audio_fields("PCMU", state, StreamStatistics())["suite"] == "AEAD_AES_128_GCM"


def test_the_status_is_said_once():
    audio = {**BLANK["audio"]}
    assert summary_text(CallOutcome(1, 486, "486 Busy Here"), "", audio) == "failed: 486 Busy Here"
    assert summary_text(CallOutcome(1, 408, "nobody"), "", audio) == "failed (408): nobody"
