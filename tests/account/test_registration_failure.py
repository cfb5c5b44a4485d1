"""Why a registration did not come about, by cause."""

from __future__ import annotations

import pytest

from softphone.account.registration import registration_failure, trunk_failure
from softphone.errors import (
    AuthenticationFailed,
    CertificateUntrusted,
    ConnectionLost,
    RegistrationRefused,
    RegistrationTimeout,
    TransportError,
    TransportTimeout,
)
from softphone.events import RegistrationChanged, RegistrationState
from softphone.sans_io import Target, Transport

TARGET = Target(Transport.TLS, "pbx.example.test", 5061)


def changed(status, reason="", *, unanswered=False):
    state = RegistrationState.FAILED
    return RegistrationChanged(state, status, reason, unanswered=unanswered)


def test_when_to_come_back_is_told():
    change = RegistrationChanged(RegistrationState.RECOVERING, 503, "Busy", retry_after=35.0)
    error = registration_failure(change, None, TARGET)
    assert isinstance(error, RegistrationRefused)
    assert error.retry_after == 35.0
    assert registration_failure(changed(503), None, TARGET).retry_after == 0.0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (changed(401, "Unauthorized"), AuthenticationFailed),
        (changed(407), AuthenticationFailed),
        (changed(408, "Request Timeout"), RegistrationTimeout),
        (changed(0), RegistrationTimeout),
        (None, RegistrationTimeout),
        (changed(403, "Forbidden"), RegistrationRefused),
        (changed(503, "Service Unavailable"), RegistrationRefused),
    ],
)
def test_the_status_decides(change, kind):
    error = registration_failure(change, None, TARGET)
    assert type(error) is kind
    assert "pbx.example.test" in str(error)
    if change is not None:
        assert error.status == change.status


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (changed(503, "Overloaded"), TransportError, "takes no calls: 503 Overloaded"),
        (changed(504), TransportError, "takes no calls: 504"),
        (changed(408, unanswered=True), TransportTimeout, "did not answer our OPTIONS"),
        (None, TransportTimeout, "did not answer our OPTIONS"),
    ],
)
def test_a_trunk_that_serves_nobody_is_named(change, kind, words):
    error = trunk_failure(change, None, TARGET)
    assert type(error) is kind
    assert f"tls:pbx.example.test:5061 {words}" in str(error)


def test_a_trunk_that_was_not_reached_has_the_connections_cause():
    cause = CertificateUntrusted("unknown")
    assert trunk_failure(changed(503, unanswered=True), cause, TARGET) is cause


def test_a_user_that_is_unknown_comes_with_advice():
    assert "check the address" in str(registration_failure(changed(404), None, TARGET))


@pytest.mark.parametrize("change", [None, changed(0), changed(503, unanswered=True)])
def test_a_connection_that_was_not_made_is_the_cause(change):
    cause = CertificateUntrusted("nobody vouches for it")
    assert registration_failure(change, cause, TARGET) is cause


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("The connection was closed", "the connection was closed"),
        ("", "the connection was closed, or could not be made"),
        ("TLS alert", "TLS alert"),
    ],
)
def test_a_503_of_our_own_refuses_nothing(reason, said):
    error = registration_failure(changed(503, reason, unanswered=True), None, TARGET)
    assert type(error) is ConnectionLost
    assert str(error) == f"tls:pbx.example.test:5061: no answer to our REGISTER: {said}"


def test_a_503_of_the_registrars_stays_its_own():
    error = registration_failure(changed(503, "Service Unavailable"), TransportError("old"), TARGET)
    assert str(error).endswith("refused our registration: 503 Service Unavailable")
    assert error.status == 503


def test_an_answer_of_the_registrar_is_worth_more_than_an_old_connection_error():
    cause = CertificateUntrusted("an earlier address")
    assert isinstance(registration_failure(changed(403), cause, TARGET), RegistrationRefused)


def test_the_words_of_a_registrar_that_are_known_come_with_advice():
    words = "Forbidden (Device security mismatch: expected TLS, received TCP/UDP)"
    error = registration_failure(changed(403, words), None, TARGET)
    assert "security profile" in str(error)
    assert error.reason == words


@pytest.mark.parametrize("transport", list(Transport))
def test_silence_comes_with_advice_and_a_408_of_the_server_does_not(transport):
    place = Target(transport, "pbx.example.test", 5060)
    silent = str(
        registration_failure(changed(408, "Request Timeout", unanswered=True), None, place)
    )
    assert f"firewalls let {transport.upper()} through" in silent
    assert "Request Timeout" not in silent
    told = str(registration_failure(changed(408, "Too slow"), None, place))
    assert told.endswith("did not answer our REGISTER: Too slow")
