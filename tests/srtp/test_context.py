"""Contexts: counters, sources, and the rollover counter over a re-key."""

from __future__ import annotations

import sys

import pytest

from softphone import openssl_provider
from softphone.errors import ConfigurationError, FipsForbidden
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import (
    FIRST_SEQUENCE_LIMIT,
    REPLAY_WINDOW,
    FailureCounts,
    ReceiveContext,
    SendContext,
    SrtpBackend,
    SrtpStatus,
    first_sequence,
    libsrtp_backend,
    next_ssrc,
)
from softphone.srtp.context import MAXIMUM_SOURCES, default_backend
from tests.support.srtp import SSRC, key, rtcp, rtp

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80


@pytest.fixture(params=["libsrtp", "cryptography", "public"])
def backend(request, monkeypatch) -> SrtpBackend:
    """Each backend, and libsrtp without its private binding."""
    if request.param == "public":
        monkeypatch.setattr(libsrtp_backend, "binding", None)
        return SrtpBackend.LIBSRTP
    return SrtpBackend(request.param)


def pair(backend: SrtpBackend, suite: CryptoSuite = SUITE) -> tuple[SendContext, ReceiveContext]:
    return (
        SendContext(suite, key(suite), backend=backend),
        ReceiveContext(suite, key(suite), backend=backend),
    )


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_there_and_back(suite, backend):
    send, receive = pair(backend, suite)
    assert receive.unprotect(send.protect(rtp(1))) == rtp(1)
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp())) == rtcp()
    assert send.failures == receive.failures == FailureCounts()


@pytest.mark.parametrize("length", [0, 29, 31, 44])
def test_a_key_of_the_wrong_length_is_refused(length, backend):
    for kind in (SendContext, ReceiveContext):
        with pytest.raises(ConfigurationError, match="30 bytes"):
            kind(SUITE, KeyMaterial(bytes(length)), backend=backend)


def test_every_cause_has_its_counter():
    counts = FailureCounts()
    for status in SrtpStatus:
        counts.count_status(status)
    assert counts == FailureCounts(
        authentication=1, replayed=2, malformed=2, sources=1, expired=1, other=2
    )


def test_what_two_contexts_counted_is_added_cause_by_cause():
    counts = FailureCounts(1, 2, 3, 4, 5, 6)
    counts.add(FailureCounts(10, 20, 30, 40, 50, 60))
    assert counts == FailureCounts(11, 22, 33, 44, 55, 66)


def test_failures_are_counted_by_cause(backend):
    send, receive = pair(backend)
    good, other = send.protect(rtp(1)), send.protect(rtp(2))
    assert receive.unprotect(good) == rtp(1)
    assert receive.unprotect(good) is None
    assert receive.unprotect(other[:-1] + b"?") is None
    assert receive.unprotect(b"short") is None
    assert receive.failures == FailureCounts(authentication=1, replayed=1, malformed=1)
    assert receive.unprotect(other) == rtp(2)


def test_failures_of_rtcp_are_counted_too(backend):
    send, receive = pair(backend)
    good = send.protect_rtcp(rtcp())
    assert receive.unprotect_rtcp(good) == rtcp()
    assert receive.unprotect_rtcp(good) is None
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp())[:-1] + b"?") is None
    assert receive.unprotect_rtcp(bytes(21)) is None
    assert receive.failures == FailureCounts(authentication=1, replayed=1, malformed=1)


def test_reordering_within_the_window_is_no_loss(backend):
    send, receive = pair(backend)
    packets = [send.protect(rtp(sequence)) for sequence in range(REPLAY_WINDOW + 1)]
    assert receive.unprotect(packets[-1]) is not None
    assert receive.unprotect(packets[1]) == rtp(1)
    assert receive.unprotect(packets[0]) is None
    assert receive.failures == FailureCounts(replayed=1)


def test_a_sender_never_uses_an_index_twice(backend):
    send, _ = pair(backend)
    assert send.protect(rtp(1)) is not None
    assert send.protect(rtp(1)) is None
    assert send.failures == FailureCounts(replayed=1)
    assert send.protect(b"short") is None
    assert send.protect_rtcp(b"short") is None
    assert send.failures.malformed == 2


def test_a_closed_context_does_nothing(backend):
    send, receive = pair(backend)
    sealed, report = send.protect(rtp(1)), send.protect_rtcp(rtcp())
    send.close()
    receive.close()
    assert send.protect(rtp(2)) is None
    assert send.protect_rtcp(rtcp()) is None
    assert receive.unprotect(sealed) is None
    assert receive.unprotect_rtcp(report) is None
    assert (send.failures.other, receive.failures.other) == (2, 2)
    assert send.handle is receive.handle is None


def test_a_roll_over_is_followed_through_loss_and_reordering(backend):
    send, receive = pair(backend)
    packets = {sequence: send.protect(rtp(sequence)) for sequence in range(65500, 65600)}
    for sequence in (65500, 65530, 65537, 65534, 65535, 65540, 65539, 65599):
        assert receive.unprotect(packets[sequence]) == rtp(sequence)
    if send.roc(SSRC) is not None:
        assert send.roc(SSRC) == 1
        assert receive.rollover_counters() == {SSRC: 1}


def test_the_source_may_change_and_change_back(backend):
    send, receive = pair(backend)
    for sequence, ssrc in ((1, 1), (500, 2), (2, 1), (9, 3), (501, 2)):
        packet = rtp(sequence, ssrc=ssrc)
        assert receive.unprotect(send.protect(packet)) == packet
    assert receive.failures == FailureCounts()


def test_no_key_is_heard_from_more_sources_than_we_can_remember(backend):
    send, receive = pair(backend)
    for ssrc in range(MAXIMUM_SOURCES):
        assert receive.unprotect(send.protect(rtp(1, ssrc=ssrc))) is not None
    one_more = send.protect(rtp(1, ssrc=999))
    assert receive.process_packet(one_more) == (SrtpStatus.TOO_MANY_SOURCES, b"")
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp(ssrc=998))) is None
    assert receive.failures == FailureCounts(sources=2)
    assert receive.unprotect(send.protect(rtp(2, ssrc=5))) is not None
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp(ssrc=5))) is not None


def test_sources_of_rtcp_alone_are_bounded_too_and_forged_ones_are_none(backend):
    send, receive = pair(backend)
    for ssrc in range(1000, 1000 + 2 * MAXIMUM_SOURCES):
        assert receive.unprotect_rtcp(rtcp(ssrc=ssrc, body=b"z" * 60)) is None
    for ssrc in range(MAXIMUM_SOURCES):
        assert receive.unprotect_rtcp(send.protect_rtcp(rtcp(ssrc=ssrc))) is not None
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp(ssrc=999))) is None
    assert receive.failures == FailureCounts(authentication=2 * MAXIMUM_SOURCES, sources=1)


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_the_shortest_packets_are_headers_alone(suite, backend):
    send, receive = pair(backend, suite)
    header, report = rtp(1, payload=b""), rtcp(body=b"")
    assert receive.unprotect(send.protect(header)) == header
    assert receive.unprotect_rtcp(send.protect_rtcp(report)) == report
    tags = suite
    assert receive.unprotect(send.protect(rtp(2))[: 11 + tags.rtp_tag_length]) is None
    assert receive.unprotect_rtcp(send.protect_rtcp(report)[: 11 + tags.rtcp_tag_length]) is None
    assert receive.failures == FailureCounts(malformed=2)


def test_a_refused_packet_gives_no_octets(backend):
    _, receive = pair(backend)
    expecting = ReceiveContext(SUITE, key(SUITE), backend=backend, rollover={SSRC: 3})
    for context in (receive, expecting):
        status, result = context.process_packet(rtp(1))
        assert (status, result) == (SrtpStatus.AUTHENTICATION_FAILED, b"")


def test_a_forged_source_is_never_remembered(backend):
    _, receive = pair(backend)
    for ssrc in range(1000):
        assert receive.unprotect(rtp(1, ssrc=ssrc)) is None
    assert receive.failures == FailureCounts(authentication=1000)
    assert receive.rollover_counters() == {}


def sender_at(index: int, suite: CryptoSuite = SUITE) -> SendContext:
    """A sender of the second backend whose next packet has this index."""
    send = SendContext(suite, key(suite, 99), backend=SrtpBackend.CRYPTOGRAPHY)
    send._transform.set_roc(SSRC, index >> 16)
    return send


@pytest.mark.parametrize("suite", list(CryptoSuite))
@pytest.mark.parametrize(
    ("kept", "index"),
    [
        (3, 3 << 16 | 700),  # RFC 3711: the counter goes on
        (3, 700),  # RFC 4568: it starts anew
        (3, 4 << 16 | 5),  # it went on, and has wrapped meanwhile
        (0, 5),
        (0, 1 << 16 | 5),
        (0xFFFF_FFFF, 5),
    ],
)
def test_after_a_new_key_the_kept_and_the_reset_counter_are_tried(backend, suite, kept, index):
    send = sender_at(index, suite)
    receive = ReceiveContext(suite, key(suite, 99), backend=backend, rollover={SSRC: kept})
    for step in range(3):
        packet = rtp((index + step) & 0xFFFF)
        assert receive.unprotect(send.protect(packet)) == packet
    assert receive.failures == FailureCounts()
    assert receive.rollover_counters() == {SSRC: index >> 16}


def test_the_counter_is_not_pinned_by_a_forgery(backend):
    receive = ReceiveContext(SUITE, key(SUITE, 99), backend=backend, rollover={SSRC: 3})
    for _ in range(50):
        assert receive.unprotect(rtp(9)) is None
    assert receive.failures == FailureCounts(authentication=50)
    assert receive.rollover_counters() == {SSRC: 3}
    assert receive.unprotect(sender_at(3 << 16 | 10).protect(rtp(10))) == rtp(10)


def test_other_sources_start_at_zero_beside_a_kept_one(backend):
    receive = ReceiveContext(SUITE, key(SUITE, 99), backend=backend, rollover={7: 3})
    assert receive.unprotect(sender_at(10).protect(rtp(10))) == rtp(10)
    assert set(receive.rollover_counters()) == {7, SSRC}


def test_where_the_counter_cannot_be_set_the_second_backend_takes_the_stream(monkeypatch):
    monkeypatch.setattr(libsrtp_backend, "binding", None)
    assert ReceiveContext(SUITE, key(SUITE), rollover={}).handle is None
    receive = ReceiveContext(SUITE, key(SUITE, 99), rollover={SSRC: 2})
    assert type(receive._transform).__name__ == "CryptographyTransform"
    assert receive.unprotect(sender_at(2 << 16).protect(rtp(0))) == rtp(0)


@pytest.mark.parametrize("backend", list(SrtpBackend))
@pytest.mark.parametrize(
    ("own", "other", "counters"),
    [(None, 5, (5, 0, 6)), (2, 5, (2, 3, 5, 6)), (5, 5, (5,)), (9, 5, (9, 10))],
)
def test_a_key_that_is_back_follows_either_counter_onwards(backend, own, other, counters):
    """A source that was heard under another key meanwhile, up to the counter `other`."""
    for roc in range(12):
        receive = ReceiveContext(
            SUITE, key(SUITE, 99), backend=backend, rollover={} if own is None else {SSRC: own}
        )
        if own is not None:
            assert receive.unprotect(sender_at(own << 16 | 30_000).protect(rtp(30_000)))
        receive.resume({SSRC: other})
        assert receive.last_ssrc_word == -1
        packet = sender_at(roc << 16 | 30_001).protect(rtp(30_001))
        assert (receive.unprotect(packet) is not None) is (roc in counters), roc


def test_the_counters_of_one_context_go_into_the_next(backend):
    send, receive = pair(backend)
    for sequence in range(65530, 65545):
        receive.unprotect(send.protect(rtp(sequence)))
    after = ReceiveContext(
        SUITE, key(SUITE, 99), backend=backend, rollover=receive.rollover_counters()
    )
    sequence = 65545 if receive.rollover_counters() else 10
    fresh = sender_at(sequence)
    assert after.unprotect(fresh.protect(rtp(sequence))) == rtp(sequence)


def test_the_rule_for_first_sequence_numbers_keeps_early_loss_harmless(backend):
    """RFC 3711 section 3.3.1: from below 2^15, 2^15 packets may be lost and the index is right."""
    send, receive = pair(backend)
    first = FIRST_SEQUENCE_LIMIT - 1
    send.protect(rtp(first))
    packet = rtp(first + FIRST_SEQUENCE_LIMIT)
    assert receive.unprotect(send.protect(packet)) == packet


def test_the_newest_packet_of_each_source_is_told_and_its_first_is_not():
    _, receive = pair(SrtpBackend.LIBSRTP)
    told = [receive.note_rtp(7, number) for number in (65534, 65535, 2, 1, 65533, 2, 3)]
    assert told == [False, True, True, False, False, False, True]
    assert receive.note_rtp(8, 3) is False
    assert receive.newest == {7: 3, 8: 3}
    assert receive.note_rtp(8, 3 + 0x8000) is False
    assert receive.note_rtp(8, 3 + 0x7FFF) is True


@pytest.mark.parametrize("suite", list(CryptoSuite))
def test_the_newest_srtcp_packet_is_told_by_its_own_index(suite, backend):
    send, receive = pair(backend, suite)
    sealed = [send.protect_rtcp(rtcp()) for _ in range(5)]
    other = send.protect_rtcp(rtcp(ssrc=99))
    order = (1, 0, 3, 2, 4)
    assert [receive.note_rtcp(sealed[at]) for at in order] == [False, False, True, False, True]
    assert receive.note_rtcp(sealed[4]) is False
    assert receive.note_rtcp(other) is False
    assert receive.note_rtcp(send.protect_rtcp(rtcp(ssrc=99))) is True


def drawn(octets: bytes):
    """Entropy that begins with these octets."""
    return lambda size: (octets + bytes(size))[:size]


@pytest.mark.parametrize(
    ("octets", "sequence"), [("8123", 0x123), ("7fff45", 0x7FFF), ("ffff", 0x7FFF), ("0000", 0)]
)
def test_a_first_sequence_number_is_any_below_the_limit(octets, sequence):
    assert first_sequence(drawn(bytes.fromhex(octets))) == sequence


@pytest.mark.parametrize(
    ("ssrc", "octets", "expected"),
    [
        (5, "0000", 6),
        (5, "812345", 5 + 1 + 0x8123),
        (5, "ffff", 5 + 65536),
        (0xFFFF_FFFE, "0000", 0xFFFF_FFFF),
        (0xFFFF_FFFF, "0000", 1),
        (0xFFFF_FFFF, "0001", 1),
        (0xFFFF_FFFF, "0010", 16),
    ],
)
def test_the_next_ssrc_lies_ahead_and_is_never_zero(ssrc, octets, expected):
    assert next_ssrc(ssrc, drawn(bytes.fromhex(octets))) == expected


@pytest.mark.parametrize("backend", list(SrtpBackend))
def test_a_batch_is_told_the_session_and_the_source_that_was_heard_last(backend):
    """See `SrtpBatchContext`: what is told wrongly goes the slow way, or past the checks."""
    send, receive = pair(backend)
    assert send.suite is receive.suite is SUITE
    for context in (send, receive):
        assert (context.handle is not None) is (backend is SrtpBackend.LIBSRTP)
        assert context.last_ssrc_word == -1
    assert receive.unprotect(send.protect(rtp(1, ssrc=0x01020384))) is not None
    assert receive.last_ssrc_word == int.from_bytes(bytes.fromhex("01020384"), sys.byteorder)
    assert receive.unprotect(rtp(2, ssrc=0x05060708)) is None
    assert receive.last_ssrc_word == int.from_bytes(bytes.fromhex("01020384"), sys.byteorder)


def test_in_fips_mode_libsrtp_is_neither_chosen_nor_taken(monkeypatch):
    assert default_backend() is SrtpBackend.LIBSRTP
    monkeypatch.setattr(openssl_provider, "fips_in_force", lambda: True)
    assert default_backend() is SrtpBackend.CRYPTOGRAPHY
    assert SendContext(SUITE, key(SUITE)).handle is None
    for kind in (SendContext, ReceiveContext):
        with pytest.raises(FipsForbidden):
            kind(SUITE, key(SUITE), backend=SrtpBackend.LIBSRTP)
