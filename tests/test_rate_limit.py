"""The token bucket."""

from __future__ import annotations

from softphone.rate_limit import SlidingTotal, TokenBucket


def admitted(bucket, count, now):
    return sum(bucket.admit(now=now) for _ in range(count))


def test_a_burst_is_admitted_at_once_and_the_rate_in_the_long_run():
    bucket = TokenBucket(rate=10, burst=5)
    assert admitted(bucket, 100, 0.0) == 5
    assert admitted(bucket, 100, 0.25) == 2
    assert admitted(bucket, 100, 100.0) == 5


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(rate=10, burst=1)
    assert admitted(bucket, 2, 50.0) == 1
    assert admitted(bucket, 2, 10.0) == 0
    assert admitted(bucket, 2, 10.125) == 1


def test_the_time_to_the_next_token_is_told_and_held():
    bucket = TokenBucket(rate=8, burst=1)
    assert admitted(bucket, 1, 4.0) == 1
    assert bucket.seconds_to_token(now=4.0) == 0.125
    assert admitted(bucket, 1, 4.0625) == 0
    assert admitted(bucket, 1, 4.125) == 1
    assert TokenBucket(rate=0, burst=0).seconds_to_token(now=4.0) == 0.0


def test_a_rate_of_zero_admits_everything():
    assert admitted(TokenBucket(rate=0, burst=0), 1000, 0.0) == 1000


def test_a_sliding_total_keeps_each_amount_for_its_time_and_a_part_more():
    total = SlidingTotal(seconds=60, parts=6)
    total.add(2, now=9)
    total.add(3, now=15)
    assert total.total(now=69) == 5
    assert total.total(now=79) == 3
    assert total.total(now=80) == 0


def test_a_sliding_total_has_a_place_for_each_part():
    total = SlidingTotal(seconds=60, parts=6)
    for second in range(600):
        total.add(1, now=second)
        assert total.total(now=second) <= 70
    assert len(total._added) == 7
    total.add(1, now=100)  # an earlier time counts with the latest
    assert total.total(now=599) == 71
