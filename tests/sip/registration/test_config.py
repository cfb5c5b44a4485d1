"""The arithmetic of waiting."""

from __future__ import annotations

import pytest

from softphone.sip.registration.config import BackoffConfig, refresh_after


def least(count):
    return bytes(count)


def most(count):
    return b"\xff" * count


@pytest.mark.parametrize(
    ("failures", "upper"), [(1, 60.0), (2, 120.0), (3, 240.0), (5, 960.0), (6, 1800.0)]
)
def test_the_waits_after_answers_are_those_of_rfc_5626_appendix_a(failures, upper):
    backoff = BackoffConfig()
    assert backoff.retry_delay(failures, entropy=least, answered=True) == upper / 2
    assert backoff.retry_delay(failures, entropy=most, answered=True) == pytest.approx(upper)


@pytest.mark.parametrize(
    ("failures", "upper"), [(1, 1.5), (2, 2.25), (3, 3.375), (5, 7.59375), (19, 1800.0)]
)
def test_a_server_that_cannot_be_reached_is_asked_again_soon(failures, upper):
    backoff = BackoffConfig()
    assert backoff.retry_delay(failures, entropy=least) == upper / 2
    assert backoff.retry_delay(failures, entropy=most) == pytest.approx(upper)


def test_any_number_of_failures_stays_below_the_ceiling():
    assert BackoffConfig().retry_delay(10**9, entropy=most) == pytest.approx(1800.0)


def test_the_first_attempt_after_a_working_flow_comes_within_the_spread():
    assert BackoffConfig().retry_delay(0, entropy=least) == 0.0
    assert 0.9 < BackoffConfig(spread=1.0).retry_delay(0, entropy=most) < 1.0


@pytest.mark.parametrize(
    ("retry_after", "expected"), [(10.0, 30.0), (500.0, 500.0), (1e12, 3600.0)]
)
def test_a_retry_after_lengthens_a_wait_up_to_a_bound(retry_after, expected):
    backoff = BackoffConfig()
    assert backoff.retry_delay(1, entropy=least, answered=True, retry_after=retry_after) == expected


@pytest.mark.parametrize(
    ("expires", "earliest", "latest"),
    [(3600, 2880, 3240), (600, 480, 540), (60, 30, 30), (100, 68, 68), (10, 5, 5), (1, 1, 1)],
)
def test_a_refresh_leaves_time_for_retransmissions_where_there_is_time(expires, earliest, latest):
    assert refresh_after(expires, entropy=least) == pytest.approx(earliest)
    assert refresh_after(expires, entropy=most) == pytest.approx(latest)


def test_a_server_that_wants_to_be_asked_early_is(entropy):
    assert refresh_after(120.0, entropy=entropy, early=5.0) == 115.0
    # A grant so short that this would be an attack on ourselves is refreshed the usual way.
    assert refresh_after(60.0, entropy=entropy, early=5.0) < 55.0
