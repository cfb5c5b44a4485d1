"""When a device enrolls: the table that phones go by, row by row."""

from __future__ import annotations

import hashlib

import pytest

from softphone.provisioning import DeviceConfig, certificate_hash
from softphone.provisioning.enrollment_decision import (
    EnrollmentAction,
    EnrollmentSituation,
    decide_enrollment,
)

OURS = "ab" * 16
OTHER = "cd" * 16
USE, SEALED, ENROLL, ASK = (
    EnrollmentAction.USE,
    EnrollmentAction.FETCH_SEALED,
    EnrollmentAction.ENROLL,
    EnrollmentAction.ASK,
)


def config(mode: int, *, full: bool, encrypted: bool, named: str = OURS, secure: bool = True):
    return DeviceConfig(
        full=full,
        security_mode=3 if secure else 1,
        transport=3 if secure else 2,
        capf_auth_mode=mode,
        encrypted=encrypted,
        certificate_hash=named,
    )


@pytest.mark.parametrize(
    ("mode", "full", "encrypted", "local", "action"),
    [
        (0, True, False, OURS, USE),
        (0, True, False, OTHER, USE),
        (0, True, False, "", USE),
        (0, True, True, OTHER, ENROLL),
        (0, True, True, OURS, USE),
        (0, False, True, OTHER, ENROLL),
        (0, False, True, "", ENROLL),
        (0, False, True, OURS, SEALED),
        (0, False, False, OTHER, ENROLL),
        (2, True, False, OURS, ENROLL),
        (2, False, True, OURS, ENROLL),
        (3, True, False, OURS, ENROLL),
        (4, False, True, "", ENROLL),
    ],
)
def test_without_a_string(mode, full, encrypted, local, action):
    decision = decide_enrollment(
        config(mode, full=full, encrypted=encrypted), EnrollmentSituation(local_hash=local)
    )
    assert decision.action is action
    assert decision.why


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("local", ["", OURS, OTHER])
def test_with_a_string_the_device_enrolls_by_it(full, local):
    situation = EnrollmentSituation(local_hash=local, string=True)
    assert decide_enrollment(config(1, full=full, encrypted=not full), situation).action is ENROLL


@pytest.mark.parametrize(
    ("full", "local", "secure", "action"),
    [
        (True, "", True, ASK),
        (False, "", True, ASK),
        (False, OTHER, True, ASK),
        (True, OURS, True, USE),
        (False, OURS, True, SEALED),
        (True, "", False, USE),
    ],
)
def test_a_string_that_is_missing_is_asked_for_where_nothing_goes_without(
    full, local, secure, action
):
    asked = config(1, full=full, encrypted=not full, secure=secure)
    assert decide_enrollment(asked, EnrollmentSituation(local_hash=local)).action is action


def test_an_empty_hash_is_nobodys():
    stub = config(0, full=False, encrypted=True, named="")
    assert decide_enrollment(stub, EnrollmentSituation(local_hash="")).action is ENROLL


def test_a_file_that_did_not_open_has_the_device_enroll():
    stub = config(0, full=False, encrypted=True)
    situation = EnrollmentSituation(local_hash=OURS, sealed_failed=True)
    assert decide_enrollment(stub, situation).action is ENROLL


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("local", ["", OURS, OTHER])
@pytest.mark.parametrize("full", [True, False])
def test_nobody_enrolls_twice_in_one_boot(mode, local, full):
    asked = config(mode, full=full, encrypted=not full)
    situation = EnrollmentSituation(local_hash=local, string=True, enrolled=True)
    assert decide_enrollment(asked, situation).action is (USE if full else SEALED)


def test_where_there_is_no_md5_the_encrypted_file_itself_tells():
    stub = config(0, full=False, encrypted=True)
    assert decide_enrollment(stub, EnrollmentSituation(local_hash=None)).action is SEALED
    failed = EnrollmentSituation(local_hash=None, sealed_failed=True)
    assert decide_enrollment(stub, failed).action is ENROLL


def test_the_hash_of_a_certificate_is_its_md5_in_hex(monkeypatch):
    assert certificate_hash(b"abc") == "900150983cd24fb0d6963f7d28e17f72"

    def refuse(*_args, **_options):
        raise ValueError("not available")

    monkeypatch.setattr(hashlib, "md5", refuse)
    assert certificate_hash(b"abc") is None
