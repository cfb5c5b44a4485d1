"""What counts as a failure, and for how long."""

from __future__ import annotations

import pytest

from softphone.sip.registration.backoff import RegistrationBackoff
from softphone.sip.registration.config import BackoffConfig


def most(count):
    return b"\xff" * count


def patience():
    return RegistrationBackoff(BackoffConfig(), entropy=most)


def test_the_loss_of_a_flow_that_held_costs_a_second_and_counts_for_nothing():
    waiting = patience()
    waiting.flow_registered(now=0.0)
    assert waiting.delay_after_loss(now=120.0) == pytest.approx(1.0)
    assert waiting.delay_after_failure(None) == pytest.approx(1.5)


def test_a_refresh_does_not_make_a_flow_younger():
    waiting = patience()
    waiting.flow_registered(now=0.0)
    waiting.flow_registered(now=100.0)
    assert waiting.flow_ended(now=130.0)


def test_flows_that_do_not_hold_count():
    waiting = patience()
    waits = []
    for number in range(4):
        waiting.flow_registered(now=100.0 * number)
        waits.append(waiting.delay_after_loss(now=100.0 * number + 5.0))
    assert waits == pytest.approx([1.0, 1.5, 2.25, 3.375])


def test_answers_and_silence_are_counted_apart():
    waiting = patience()
    assert [waiting.delay_after_failure(None) for _ in range(3)] == pytest.approx(
        [1.5, 2.25, 3.375]
    )
    assert waiting.delay_after_failure(0.0) == pytest.approx(60.0)
    assert waiting.delay_after_failure(None) == pytest.approx(5.0625)
    assert waiting.delay_after_failure(500.0) == pytest.approx(500.0)


def test_starting_anew_forgets_all():
    waiting = patience()
    for retry_after in (None, 0.0, None):
        waiting.delay_after_failure(retry_after)
    waiting.reset()
    assert waiting.delay_after_failure(None) == pytest.approx(1.5)
    assert waiting.delay_after_failure(0.0) == pytest.approx(60.0)
