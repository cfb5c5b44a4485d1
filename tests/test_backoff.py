"""Exponential back-off."""

from __future__ import annotations

import pytest

from softphone.backoff import ExponentialBackoff
from softphone.sans_io import random_share

BACKOFF = ExponentialBackoff(1.0, 8.0)


def least(size):
    return bytes(size)


def most(size):
    return b"\xff" * size


def test_waiting_doubles_up_to_a_bound():
    assert [BACKOFF.delay(failures) for failures in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert BACKOFF.delay(10**9) == 8.0


def test_jitter_takes_away_half_at_most():
    waits = [BACKOFF.jittered_delay(failures, entropy=least) for failures in range(5)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 4.0]
    waits = [BACKOFF.jittered_delay(failures, entropy=most) for failures in range(5)]
    assert waits == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0])


def test_growth_is_given():
    assert ExponentialBackoff(2.0, 100.0, 1.5).delay(2) == 4.5


def test_a_share_is_below_one():
    assert random_share(least) == 0.0
    assert random_share(most) < 1.0
