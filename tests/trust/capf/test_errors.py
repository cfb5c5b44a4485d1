"""Why an enrollment failed: each reason of the server is an exception with advice."""

from __future__ import annotations

import pickle

import pytest

from softphone.errors import CertificateError, SoftphoneError
from softphone.trust.capf import (
    CapfBusy,
    CapfCertificateRejected,
    CapfError,
    CapfRefused,
    CapfUnfinished,
    CapfUnknownDevice,
    errors,
)
from softphone.trust.capf.errors import refusal


@pytest.mark.parametrize(
    ("reason", "begun", "kind", "advice"),
    [
        (7, False, CapfRefused, "ask the administrator to set one"),
        (9, False, CapfUnknownDevice, "check its name"),
        (42, False, CapfRefused, "reason 42"),
        (None, False, CapfRefused, "no reason"),
        (7, True, CapfUnfinished, "with 7 after the key was made"),
        (0, True, CapfUnfinished, "without a certificate"),
    ],
)
def test_every_reason_is_an_exception_with_advice(reason, begun, kind, advice):
    error = refusal("CSFALICE", reason, begun=begun)
    assert type(error) is kind
    assert error.reason == reason
    assert advice in str(error)
    assert "administrator" in str(error)


def test_each_of_them_is_drawn_and_ours():
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type):
            assert issubclass(kind, CapfError)
            assert issubclass(kind, SoftphoneError)
            assert f"{name} " in errors.__doc__


def test_a_rejected_certificate_is_a_matter_of_certificates():
    assert issubclass(CapfCertificateRejected, CertificateError)


def test_they_travel_to_another_process():
    again = pickle.loads(pickle.dumps(CapfBusy("later", delay=5.0)))
    assert (str(again), again.delay, again.reason) == ("later", 5.0, None)
