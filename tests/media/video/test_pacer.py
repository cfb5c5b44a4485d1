"""A big frame is spread over time; a small one leaves at once."""

from __future__ import annotations

from softphone.media.video.pacer import BURST, MOST_OCTETS, Pacer


def test_a_small_frame_leaves_at_once() -> None:
    pacer = Pacer(1_000_000)
    packets = [bytes((n,)) * 1000 for n in range(BURST)]
    assert all(map(pacer.queue_packet, packets))
    assert pacer.due(now=5.0) == packets
    assert pacer.next_timer() is None


def test_a_key_frame_leaves_at_its_pace_and_in_order() -> None:
    pacer = Pacer(1_000_000)
    packets = [bytes((n,)) * 1250 for n in range(100)]
    for packet in packets:
        pacer.queue_packet(packet)
    now, left = 5.0, pacer.due(now=5.0)
    assert len(left) <= BURST + 1
    while (timer := pacer.next_timer()) is not None:
        assert timer >= now
        now = max(now, timer) + 1e-6
        left += pacer.due(now=now)
    assert left == packets
    # A million bits at two and a half times a million bits a second.
    assert 0.35 < now - 5.0 < 0.41


def test_the_queue_is_bounded() -> None:
    pacer = Pacer(1_000_000)
    packet = bytes(1 << 20)
    assert [pacer.queue_packet(packet) for _ in range(9)] == [True] * (MOST_OCTETS >> 20) + [False]
    assert pacer.dropped == 1
    pacer.clear()
    assert pacer.due(now=1.0) == []
