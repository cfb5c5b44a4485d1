"""Packets that were not made with the key: wrong key, foreign source, moved numbers, plain RTP.

None is taken, each is counted, and the true stream goes on as if they had never come.
"""

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


def test_another_key_is_not_ours(backend, suite):
    receive = ReceiveContext(suite, key(suite), backend=backend)
    for changed in range(suite.material_length):
        other = bytearray(key(suite).reveal())
        other[changed] ^= 1
        send = SendContext(suite, type(key(suite))(other))
        assert receive.unprotect(send.protect(rtp(1)) or b"") is None
        assert receive.unprotect_rtcp(send.protect_rtcp(rtcp()) or b"") is None
    assert receive.failures == FailureCounts(authentication=2 * changed + 2)


def test_plain_rtp_is_not_srtp(backend, suite):
    receive = ReceiveContext(suite, key(suite), backend=backend)
    assert receive.unprotect(rtp(1)) is None
    assert receive.unprotect_rtcp(rtcp(body=bytes(40))) is None
    assert receive.failures.authentication == 2


@pytest.mark.parametrize("field", [slice(1, 2), slice(2, 4), slice(4, 8), slice(8, 12)])
def test_a_changed_header_is_noticed(backend, suite, field):
    send = SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite), backend=backend)
    packet = bytearray(send.protect(rtp(500)))
    packet[field] = bytes(byte ^ 1 for byte in packet[field])
    assert receive.unprotect(bytes(packet)) is None
    assert receive.failures == FailureCounts(authentication=1)


def test_forged_sequence_numbers_do_not_move_the_rollover_counter(backend, suite):
    send = SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite), backend=backend)
    for number in range(65_000, 65_600, 50):
        assert receive.unprotect(send.protect(rtp(number))) == rtp(number)
        for forged in (number + 20_000, number + 40_000, 0, 32_768, 65_535):
            assert receive.unprotect(rtp(forged) + bytes(16)) is None
    assert receive.rollover_counters() == {SSRC: 1}


def test_forged_sources_neither_grow_the_context_nor_close_it_to_true_ones(backend, suite):
    send = SendContext(suite, key(suite))
    receive = ReceiveContext(suite, key(suite), backend=backend)
    for ssrc in range(500):
        assert receive.unprotect(rtp(1, ssrc=ssrc) + bytes(16)) is None
    assert receive.unprotect(send.protect(rtp(2, ssrc=77))) == rtp(2, ssrc=77)
    assert receive.rollover_counters().keys() == {77}
    assert receive.failures == FailureCounts(authentication=500)


def test_a_client_hello_of_dtls_is_one_more_forgery(backend, suite):
    receive = ReceiveContext(suite, key(suite), backend=backend)
    hello = bytes.fromhex("16feff0000000000000000003f0100003300000000000000") + bytes(60)
    assert receive.unprotect(hello) is None
    assert receive.unprotect_rtcp(hello) is None
    assert receive.failures == FailureCounts(authentication=2)
