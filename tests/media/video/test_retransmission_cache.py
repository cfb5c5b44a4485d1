"""What a NACK gets, and how much of it."""

from __future__ import annotations

from softphone.media.video.retransmission_cache import LONGEST, MOST_PACKETS, RetransmissionCache


def test_what_is_asked_for_is_sent_again_as_it_was() -> None:
    cache = RetransmissionCache(1_000_000)
    for number in range(10):
        cache.store_packet(number, bytes((number,)) * 100, now=0.0)
    assert cache.packets_for_nack((3, 3, 5, 77), now=0.1) == [b"\3" * 100, b"\5" * 100]
    assert cache.packets_for_nack((3,), now=0.11) == []
    assert cache.packets_for_nack((3,), now=0.2) == [b"\3" * 100]
    assert cache.packets_for_nack((3,), now=0.2 + LONGEST + 1) == []
    assert cache.resent == 3


def test_a_flood_of_requests_gets_half_the_bit_rate() -> None:
    cache = RetransmissionCache(80_000)
    for number in range(100):
        cache.store_packet(number, bytes(1000), now=0.0)
    sent = 0
    for turn in range(1, 10):
        sent += len(cache.packets_for_nack(tuple(range(100)), now=turn / 10))
    assert sent <= 10
    assert cache.refused > 0


def test_what_is_kept_is_bounded() -> None:
    cache = RetransmissionCache(1_000_000)
    for number in range(MOST_PACKETS + 5):
        cache.store_packet(number, b"x", now=0.0)
    assert cache.packets_for_nack((4,), now=0.1) == []
    assert cache.packets_for_nack((5,), now=0.1) == [b"x"]
