"""RFC 4733: the payload of section 2.3, the sender's rules of 2.5.1, long events of 2.5.1.3."""

from __future__ import annotations

from itertools import pairwise

from softphone.rtp import (
    TelephoneEventPacket,
    TelephoneEventPayload,
    TelephoneEventReceiver,
    TelephoneEventSender,
)


def test_2_3_lays_the_payload_out() -> None:
    # Event 9, end, volume 7, duration 1760: the last packet of table 5's second digit "1"... "9".
    assert bytes(TelephoneEventPayload(9, True, 7, 1760)) == bytes.fromhex("09 87 06e0")
    assert TelephoneEventPayload.parse(bytes.fromhex("09 87 06e0")) == TelephoneEventPayload(
        9, True, 7, 1760
    )


def test_2_3_ignores_the_reserved_bit() -> None:
    assert TelephoneEventPayload.parse(bytes.fromhex("01 4a 00a0")) == TelephoneEventPayload(
        1, False, 10, 160
    )


def sent(
    digits: str, ticks: int, *, duration_ms: int = 100, step: int = 160
) -> list[TelephoneEventPacket]:
    sender = TelephoneEventSender()
    sender.queue_digits(digits, duration_ms=duration_ms)
    polled = (sender.poll(5000 + tick * step) for tick in range(ticks))
    return [packet for packet in polled if packet is not None]


def test_2_5_1_marks_the_first_packet_of_an_event_only() -> None:
    markers = [packet.marker for packet in sent("12", 30)]
    assert markers == [True, *[False] * 6, True, *[False] * 6]


def test_2_5_1_keeps_the_timestamp_of_the_beginning() -> None:
    packets = sent("1", 30)
    assert {packet.timestamp for packet in packets} == {5000}


def test_2_5_1_grows_the_duration_from_packet_to_packet() -> None:
    durations = [TelephoneEventPayload.parse(packet.payload).duration for packet in sent("1", 30)]
    assert durations == [160, 320, 480, 640, 800, 800, 800]


def test_2_5_1_4_sends_the_end_three_times() -> None:
    ends = [TelephoneEventPayload.parse(packet.payload).end for packet in sent("1", 30)]
    assert ends == [False] * 4 + [True] * 3


def test_2_5_1_2_leaves_a_gap_between_two_events() -> None:
    packets = sent("123", 60)
    starts = sorted({packet.timestamp for packet in packets})
    assert len(starts) == 3
    for before, after in pairwise(starts):
        assert after - (before + 800) >= 50 * 8


def test_2_5_1_3_cuts_a_long_event_into_segments_that_follow_on() -> None:
    packets = sent("5", 520, duration_ms=10_000)
    starts = sorted({packet.timestamp for packet in packets})
    assert len(starts) == 2
    first = [packet for packet in packets if packet.timestamp == starts[0]]
    second = [packet for packet in packets if packet.timestamp == starts[1]]
    last = TelephoneEventPayload.parse(first[-1].payload)
    assert not last.end
    assert starts[0] + last.duration == starts[1]
    assert not second[0].marker
    final = TelephoneEventPayload.parse(second[-1].payload)
    assert final.end
    assert last.duration + final.duration == 80_000


def test_2_5_1_3_is_one_digit_to_the_receiver() -> None:
    receiver = TelephoneEventReceiver()
    told = []
    for tick, packet in enumerate(sent("5", 1600, duration_ms=30_000)):
        told += receiver.receive_payload(
            packet.payload, timestamp=packet.timestamp, now=0.02 * tick
        )
    assert [(digit.digit, digit.duration_ms) for digit in told] == [("5", 30_000.0)]
