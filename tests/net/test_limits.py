from __future__ import annotations

from ipaddress import ip_network

from softphone.net import TokenBucket, TransportLimits


def test_a_burst_is_admitted_at_once_and_no_more():
    bucket = TokenBucket(10.0, 3)
    assert [bucket.take_token(now=0.0) for _ in range(4)] == [True, True, True, False]


def test_tokens_come_back_at_the_rate():
    bucket = TokenBucket(8.0, 1)
    assert bucket.take_token(now=4.0)
    assert bucket.seconds_to_token(now=4.0) == 0.125
    assert not bucket.take_token(now=4.0625)
    assert bucket.take_token(now=4.125)


def test_no_more_than_the_burst_is_saved_up():
    bucket = TokenBucket(10.0, 2)
    assert [bucket.take_token(now=1000.0) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing():
    bucket = TokenBucket(10.0, 1, now=100.0)
    assert bucket.take_token(now=100.0)
    assert not bucket.take_token(now=50.0)
    assert bucket.take_token(now=50.1)


def test_a_source_is_trusted_by_its_network_also_within_ipv6():
    limits = TransportLimits(trusted_sources=(ip_network("192.0.2.0/24"), ip_network("fe80::/10")))
    hosts = ("192.0.2.7", "::ffff:192.0.2.7", "fe80::1%eth0", "192.0.3.1", "2001:db8::1")
    assert [limits.trusts(host) for host in hosts] == [True, True, True, False, False]
    assert not TransportLimits().trusts("127.0.0.1")
