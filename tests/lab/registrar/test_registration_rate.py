"""A registration storm at the lab is let in at its rate, and comes back spread out."""

from __future__ import annotations

from softphone.lab.registrar.authentication import REMEMBERED, RegistrationRateLimit
from softphone.sans_io import Flow, Transport


def flow(number):
    return Flow(number, Transport.TLS, ("127.0.0.1", 5061), ("127.0.0.1", 40000 + number))


def test_a_burst_is_let_in_at_once_and_then_the_rate():
    gate = RegistrationRateLimit(rate=10.0, burst=5)
    assert [gate.retry_after(flow(n), now=0.0) for n in range(5)] == [0] * 5
    assert gate.retry_after(flow(5), now=0.0) > 0
    assert [bool(gate.retry_after(flow(n), now=0.3)) for n in range(6, 10)] == [False] * 3 + [True]


def test_who_was_let_in_is_not_asked_again():
    gate = RegistrationRateLimit(rate=1.0, burst=1)
    assert gate.retry_after(flow(1), now=0.0) == 0
    assert all(gate.retry_after(flow(1), now=0.0) == 0 for _ in range(50))
    assert gate.retry_after(flow(2), now=0.0) > 0


def test_the_crowd_comes_back_spread_out():
    gate = RegistrationRateLimit(rate=10.0, burst=1)
    waits = [gate.retry_after(flow(n), now=0.0) for n in range(101)]
    assert waits == sorted(waits)
    assert waits[-1] == 10
    assert waits.count(5) == 10


def test_nobody_waits_longer_than_a_minute_and_nothing_grows():
    gate = RegistrationRateLimit(rate=1.0, burst=1)
    assert max(gate.retry_after(flow(n), now=0.0) for n in range(200)) == 60
    gate = RegistrationRateLimit(rate=1.0, burst=2 * REMEMBERED)
    for number in range(REMEMBERED + 10):
        gate.retry_after(flow(number), now=0.0)
    assert len(gate._admitted) == REMEMBERED
