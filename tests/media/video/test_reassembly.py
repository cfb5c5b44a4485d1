"""Packets to frames: order, loss, and what is asked for."""

from __future__ import annotations

import random

from softphone.media.video.reassembly import KEY_INTERVAL, MOST_WAITING, FrameReassembly
from softphone.rtp import RtpPacket, Vp8Depacketizer, Vp8Packetizer

KEY, DELTA = b"\x10" + b"k" * 3000, b"\x11" + b"d" * 3000


def film(count: int, first: int = 65530) -> list[RtpPacket]:
    """A key frame and delta frames, of three packets each."""
    packetizer = Vp8Packetizer()
    packets: list[RtpPacket] = []
    for number in range(count):
        payloads = packetizer.packetize((DELTA if number else KEY) + bytes((number % 256,)))
        for payload in payloads:
            sequence = (first + len(packets)) & 0xFFFF
            last = payload is payloads[-1]
            packets.append(RtpPacket(96, sequence, number * 3000, 7, payload, marker=last))
    return packets


def test_frames_come_in_order_over_the_wrap_though_packets_do_not() -> None:
    chance = random.Random(1)
    packets = film(50)
    for at in range(1, len(packets) - 4, 4):
        middle = packets[at : at + 4]
        chance.shuffle(middle)
        packets[at : at + 4] = middle
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    for number, packet in enumerate(packets):
        reassembly.insert_packet(packet, now=number * 0.001)
        reassembly.insert_packet(packet, now=number * 0.001)
    told = reassembly.take_frames()
    assert [frame.timestamp for frame in told] == [number * 3000 for number in range(50)]
    assert reassembly.packets_late == len(packets)
    assert not reassembly.take_key_request(now=9.0)


def test_a_lost_packet_is_asked_for_and_its_frame_waits_for_it() -> None:
    packets = film(4)
    lost = packets.pop(4)
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    for packet in packets:
        reassembly.insert_packet(packet, now=0.0)
    assert len(reassembly.take_frames()) == 1
    assert reassembly.take_lost(now=0.005) == ()
    assert reassembly.take_lost(now=0.02) == (lost.sequence_number,)
    assert reassembly.take_lost(now=0.03) == ()
    assert reassembly.take_lost(now=0.1) == (lost.sequence_number,)
    reassembly.insert_packet(lost, now=0.11)
    assert len(reassembly.take_frames()) == 3
    assert not reassembly.incomplete


def test_what_never_comes_costs_frames_until_the_next_key_frame() -> None:
    packets = film(4)
    del packets[4]
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=False)
    for packet in packets:
        reassembly.insert_packet(packet, now=0.0)
    assert len(reassembly.take_frames()) == 1
    assert reassembly.take_lost(now=0.04) == ()
    reassembly.handle_timer(now=0.06)
    assert reassembly.take_frames() == []
    assert reassembly.packets_lost == 1
    assert reassembly.frames_dropped == 3
    assert reassembly.take_key_request(now=KEY_INTERVAL)
    assert not reassembly.take_key_request(now=KEY_INTERVAL + 0.1)
    assert reassembly.take_key_request(now=2 * KEY_INTERVAL)
    for packet in film(2, first=packets[-1].sequence_number + 1):
        reassembly.insert_packet(packet, now=2.0)
    assert [told.frame.key for told in reassembly.take_frames()] == [True, False]


def test_a_film_that_begins_without_a_key_frame_has_one_asked_for() -> None:
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    for packet in film(3)[3:]:
        reassembly.insert_packet(packet, now=0.0)
    assert reassembly.take_frames() == []
    assert reassembly.take_key_request(now=KEY_INTERVAL)


def test_a_source_that_starts_anew_is_followed() -> None:
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    for packet in film(3) + film(3, first=20_000):
        reassembly.insert_packet(packet, now=0.0)
    assert len(reassembly.take_frames()) == 6
    other = [
        RtpPacket(96, p.sequence_number, p.timestamp, 8, p.payload, marker=p.marker)
        for p in film(3, first=1)
    ]
    for packet in other:
        reassembly.insert_packet(packet, now=0.0)
    assert len(reassembly.take_frames()) == 3


def test_what_waits_is_bounded() -> None:
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    packets = film(1000, first=0)
    del packets[1]
    for packet in packets:
        reassembly.insert_packet(packet, now=0.0)
        assert len(reassembly._waiting) <= MOST_WAITING
        assert len(reassembly._missing) <= MOST_WAITING
    assert reassembly.packets_lost == 1


def test_holes_everywhere_cost_no_quadratic_time() -> None:
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    for number in range(0, 60_000, 6):
        packet = RtpPacket(96, number & 0xFFFF, number, 7, b"\x10\x01", marker=True)
        reassembly.insert_packet(packet, now=number / 1000)
        reassembly.handle_timer(now=number / 1000)
        assert len(reassembly._missing) <= 6 * MOST_WAITING
    assert reassembly.packets_lost > 40_000


def test_padding_between_frames_is_no_frame() -> None:
    reassembly = FrameReassembly(Vp8Depacketizer(), nack=True)
    packets = film(2)
    packets.insert(3, RtpPacket(96, 0, 9, 7, b""))
    numbered = [
        RtpPacket(96, at, p.timestamp, 7, p.payload, marker=p.marker)
        for at, p in enumerate(packets)
    ]
    for packet in numbered:
        reassembly.insert_packet(packet, now=0.0)
    assert len(reassembly.take_frames()) == 2
    assert reassembly.malformed == 0
