"""Recorded packets are sent again: at once, later, after a roll-over, after a new key."""

from __future__ import annotations

import pytest

from softphone.security import CryptoSuite
from softphone.srtp import FailureCounts, ReceiveContext, SendContext, SrtpBackend
from tests.support.srtp import SSRC, key, rtcp, rtp


@pytest.fixture(params=list(SrtpBackend))
def backend(request) -> SrtpBackend:
    return request.param


@pytest.fixture(params=list(CryptoSuite))
def suite(request) -> CryptoSuite:
    return request.param


def test_a_replayed_packet_is_counted_and_changes_nothing(backend, suite):
    send = SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite), backend=backend)
    sent = [send.protect(rtp(number)) for number in range(100)]
    assert all(receive.unprotect(packet) is not None for packet in sent)
    for packet in sent * 3:
        assert receive.unprotect(packet) is None
    assert receive.failures == FailureCounts(replayed=300)
    assert receive.unprotect(send.protect(rtp(100))) == rtp(100)


def test_packets_from_before_a_roll_over_are_not_taken_after_it(backend, suite):
    send = SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite), backend=backend)
    recorded = [send.protect(rtp(number)) for number in range(5)]
    for number in range(20_000, 70_000, 9_000):
        assert receive.unprotect(send.protect(rtp(number))) == rtp(number)
    assert receive.unprotect(send.protect(rtp(65_536))) is not None
    for packet in recorded:
        assert receive.unprotect(packet) is None
    assert receive.unprotect(send.protect(rtp(70_000))) == rtp(70_000)


def test_packets_under_the_old_key_are_not_taken_under_the_new_one(backend, suite):
    send = SendContext(suite, key(suite))
    old = ReceiveContext(suite, key(suite), backend=backend)
    recorded = [send.protect(rtp(number)) for number in range(65_530, 65_545)]
    assert all(old.unprotect(packet) is not None for packet in recorded)
    new = ReceiveContext(suite, key(suite, 99), backend=backend, rollover=old.rollover_counters())
    assert all(new.unprotect(packet) is None for packet in recorded)
    assert new.failures == FailureCounts(authentication=len(recorded))


def test_trying_rollover_counters_opens_no_second_chance_for_a_replay(backend, suite):
    send = SendContext(suite, key(suite, 99), backend=SrtpBackend.CRYPTOGRAPHY)
    receive = ReceiveContext(suite, key(suite, 99), backend=backend, rollover={SSRC: 5})
    first = send.protect(rtp(10))
    assert receive.unprotect(first) == rtp(10)
    assert receive.unprotect(first) is None
    assert receive.failures == FailureCounts(replayed=1)


def test_replayed_reports_are_counted_and_dropped(backend, suite):
    send = SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite), backend=backend)
    report = send.protect_rtcp(rtcp())
    assert receive.unprotect_rtcp(report) == rtcp()
    for _ in range(10):
        assert receive.unprotect_rtcp(report) is None
    assert receive.failures == FailureCounts(replayed=10)
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp())) == rtcp()
