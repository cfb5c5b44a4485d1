"""When a certificate is due, and whether stamps say that a configuration has changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from softphone.device import RenewalTimes
from softphone.device.certificate_expiry import certificate_expiry, is_configuration_stale

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def identity(begun, left):
    return SimpleNamespace(
        certificate=SimpleNamespace(
            not_valid_before_utc=NOW - begun, not_valid_after_utc=NOW + left
        )
    )


@pytest.mark.parametrize(
    ("begun", "left", "due"),
    [
        (100 * DAY, 31 * DAY, False),
        (100 * DAY, 29 * DAY, True),
        # A short-lived one in its last third.
        (timedelta(hours=2), timedelta(hours=2), False),
        (timedelta(hours=3), timedelta(hours=1), True),
        (100 * DAY, -DAY, True),
    ],
)
def test_a_certificate_is_due_ahead_of_its_end(begun, left, due):
    found = certificate_expiry(identity(begun, left), RenewalTimes(), wall=NOW)
    assert found.due is due
    assert found.ends == NOW + left


@pytest.mark.parametrize(
    ("begun", "left", "pause"),
    [
        (400 * DAY, 365 * DAY, DAY),
        (100 * DAY, 30 * DAY + timedelta(hours=1), timedelta(hours=1)),
        (100 * DAY, 29 * DAY, DAY),
        (timedelta(hours=3), timedelta(hours=1), timedelta(minutes=6)),
        (100 * DAY, -DAY, timedelta(minutes=1)),
    ],
)
def test_it_is_looked_at_in_time_and_more_often_close_to_the_end(begun, left, pause):
    assert certificate_expiry(identity(begun, left), RenewalTimes(), wall=NOW).pause == pause


@pytest.mark.parametrize(
    ("stamps", "known", "expected"),
    [
        ((), "abc", False),
        ((("dialplanversionstamp", "0"),), "abc", False),
        ((("configversionstamp", "abc"),), "abc", False),
        ((("configversionstamp", "abc"),), "{abc}", False),
        ((("configversionstamp", "abd"),), "abc", True),
        ((("configversionstamp", "00000000-0000"),), "00000000-0000", True),
        ((("configversionstamp", "abc"),), "", True),
    ],
)
def test_stamps_are_compared(stamps, known, expected):
    assert is_configuration_stale(stamps, known) is expected
