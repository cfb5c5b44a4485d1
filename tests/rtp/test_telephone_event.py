"""Digits sent tick by tick and told once; the RFC's own rules are in tests/rfc/test_rfc4733.py."""

from __future__ import annotations

import random

import pytest

from softphone.rtp import (
    DIGITS,
    MalformedPacket,
    ReceivedDigit,
    TelephoneEventPacket,
    TelephoneEventPayload,
    TelephoneEventReceiver,
    TelephoneEventSender,
)

STEP = 160


def run(
    sender: TelephoneEventSender, ticks: int, start: int = 1000
) -> list[TelephoneEventPacket | None]:
    return [sender.poll((start + tick * STEP) % (1 << 32)) for tick in range(ticks)]


def hear(
    packets: list[TelephoneEventPacket | None], receiver: TelephoneEventReceiver | None = None
) -> list[ReceivedDigit]:
    """What a receiver tells that gets the packets, one a tick."""
    receiver = receiver or TelephoneEventReceiver()
    told: list[ReceivedDigit] = []
    for tick, packet in enumerate(packets):
        told += receiver.handle_timer(now=0.02 * tick)
        if packet is not None:
            told += receiver.receive_payload(
                packet.payload, timestamp=packet.timestamp, now=0.02 * tick
            )
    return told + receiver.handle_timer(now=0.02 * len(packets) + 1.0)


def test_every_digit_arrives_once_with_its_duration() -> None:
    sender = TelephoneEventSender()
    sender.queue_digits(DIGITS)
    told = hear(run(sender, len(DIGITS) * 8 + 5))
    assert [digit.digit for digit in told] == list(DIGITS)
    assert {digit.duration_ms for digit in told} == {100.0}
    assert sender.idle


def test_lower_case_letters_are_digits_too() -> None:
    sender = TelephoneEventSender()
    sender.queue_digits("ad")
    assert [digit.digit for digit in hear(run(sender, 20))] == ["A", "D"]


def test_audio_gives_way_only_while_an_event_is_under_way() -> None:
    sender = TelephoneEventSender()
    sender.queue_digits("1")
    packets = run(sender, 12)
    assert [packet is not None for packet in packets] == [True] * 7 + [False] * 5
    assert sender.idle


def test_a_comma_pauses_for_half_a_second() -> None:
    sender = TelephoneEventSender()
    sender.queue_digits("1,2")
    packets = run(sender, 60)
    starts = [packet.timestamp for packet in packets if packet is not None and packet.marker]
    assert starts[1] - starts[0] >= (100 + 50 + 500) * 8
    assert starts[1] - starts[0] <= (100 + 50 + 500 + 40) * 8


@pytest.mark.parametrize(
    ("digits", "duration_ms", "reason"),
    [("1x", 100, "'X'"), ("\u0661", 100, "is not a digit"), ("1", 39, "40 to 60000"),
     ("1", 60_001, "40 to 60000"), ("1" * 257, 100, "256")],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_whole(digits: str, duration_ms: int, reason: str) -> None:
    sender = TelephoneEventSender()
    with pytest.raises(ValueError, match=reason):
        sender.queue_digits(digits, duration_ms=duration_ms)
    assert sender.idle


@pytest.mark.parametrize("seed", range(8))
def test_no_digit_is_lost_or_doubled_under_loss_reordering_and_duplication(seed: int) -> None:
    generator = random.Random(seed)
    sender = TelephoneEventSender()
    sender.queue_digits("0123456789" * 4)
    packets = [packet for packet in run(sender, 400) if packet is not None]
    by_event: dict[int, list[TelephoneEventPacket]] = {}
    for packet in packets:
        by_event.setdefault(packet.timestamp, []).append(packet)
    arrived: list[TelephoneEventPacket | None] = []
    for group in by_event.values():
        kept = [packet for packet in group if generator.random() > 0.4] or [group[0]]
        kept += [packet for packet in kept if generator.random() < 0.2]
        at = generator.randrange(len(kept))
        kept.insert(0, kept.pop(at))
        arrived += [*kept, *[None] * generator.randrange(3)]
    assert "".join(digit.digit for digit in hear(arrived)) == "0123456789" * 4


def test_a_digit_whose_ends_are_all_lost_is_told_by_the_timer() -> None:
    sender = TelephoneEventSender()
    sender.queue_digits("7")
    packets = run(sender, 4)
    receiver = TelephoneEventReceiver(timeout=0.2)
    for tick, packet in enumerate(packets):
        assert packet is not None
        assert not receiver.receive_payload(
            packet.payload, timestamp=packet.timestamp, now=0.02 * tick
        )
    deadline = receiver.next_timer()
    assert deadline == pytest.approx(0.26)
    assert receiver.handle_timer(now=0.25) == []
    assert receiver.handle_timer(now=0.26) == [ReceivedDigit("7", 80.0)]
    assert receiver.next_timer() is None


def test_the_next_digit_ends_one_whose_ends_are_lost() -> None:
    receiver = TelephoneEventReceiver()
    first = bytes(TelephoneEventPayload(1, False, 10, 400))
    second = bytes(TelephoneEventPayload(2, False, 10, 160))
    assert receiver.receive_payload(first, timestamp=0, now=0.0) == []
    assert receiver.receive_payload(second, timestamp=1600, now=0.1) == [ReceivedDigit("1", 50.0)]


def test_a_late_end_of_a_digit_that_was_told_says_nothing() -> None:
    receiver = TelephoneEventReceiver(timeout=0.1)
    receiver.receive_payload(bytes(TelephoneEventPayload(5, False, 10, 160)), timestamp=0, now=0.0)
    assert receiver.handle_timer(now=0.2) == [ReceivedDigit("5", 20.0)]
    assert (
        receiver.receive_payload(
            bytes(TelephoneEventPayload(5, True, 10, 800)), timestamp=0, now=0.3
        )
        == []
    )
    assert receiver.next_timer() is None


def test_the_same_digit_twice_is_two_digits() -> None:
    sender = TelephoneEventSender()
    sender.queue_digits("11")
    assert [digit.digit for digit in hear(run(sender, 20))] == ["1", "1"]


def test_events_that_are_no_digits_say_nothing() -> None:
    receiver = TelephoneEventReceiver()
    for event in (17, 32, 66, 255):
        payload = bytes(TelephoneEventPayload(event, True, 0, 800))
        assert receiver.receive_payload(payload, timestamp=event, now=0.0) == []
    assert receiver.next_timer() is None


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x80\x00"])
def test_a_short_payload_is_counted_and_dropped(data: bytes) -> None:
    receiver = TelephoneEventReceiver()
    assert receiver.receive_payload(data, timestamp=0, now=0.0) == []
    assert receiver.malformed == 1
    with pytest.raises(MalformedPacket):
        TelephoneEventPayload.parse(data)


def test_random_payloads_never_raise_and_remember_little() -> None:
    generator = random.Random(4733)
    receiver = TelephoneEventReceiver()
    told = 0
    for tick in range(20_000):
        data = generator.randbytes(generator.randrange(6))
        digits = receiver.receive_payload(
            data, timestamp=generator.randrange(1 << 32), now=0.02 * tick
        )
        assert all(digit.digit in DIGITS for digit in digits)
        assert len(digits) <= 2
        told += len(digits)
    assert told > 0
    assert receiver.malformed > 0


@pytest.mark.parametrize(
    "payload",
    [
        TelephoneEventPayload(256, False, 0, 0),
        TelephoneEventPayload(0, False, 64, 0),
        TelephoneEventPayload(0, False, 0, 65536),
    ],
)
def test_a_field_that_does_not_fit_is_not_written(payload: TelephoneEventPayload) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bytes(payload)
