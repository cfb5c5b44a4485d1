"""The receiving half, one rule at a time; whole streams are in test_pipeline."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from softphone.media import DigitDetected, FirstPacketReceived, PayloadTypeChanged
from softphone.media.tick.receive import expire_digits, receive_rtp, split_rtp_and_rtcp
from softphone.rtp import RtpPacket, TelephoneEventPayload
from tests.support.wire import Wire, raw_address

FAR = ("10.0.0.1", 5000)


def arrive(wire, *packets, port=5000, source=FAR):
    """Put packets for B's socket `port` into its batch; gives the split of the batch."""
    station = wire.b
    station.incoming.count = 0
    for at, packet in enumerate(packets):
        raw = np.frombuffer(raw_address(*source), dtype=np.uint8)
        station.incoming.append_packet(-1, port, raw, bytes(packet))
        station.incoming.arrival[at] = 0.5
    return split_rtp_and_rtcp(station.bank, station.incoming)


def voice(sequence, **fields):
    values = {"payload_type": 0, "timestamp": 160 * sequence, "ssrc": 7, "payload": b"\x80" * 160}
    return RtpPacket(sequence_number=sequence, **(values | fields))


def hear(wire, *packets, now=0.5, **place):
    media, _ = arrive(wire, *packets, **place)
    receive_rtp(wire.b.bank, wire.b.incoming, media, now=now)
    return wire.b.bank, wire.b.row


def test_packets_for_nobody_and_for_streams_that_are_not_open_are_unclaimed():
    wire = Wire()
    wire.b.add(6000)
    for port in (6000, 7000):
        media, control = arrive(wire, voice(1), port=port)
        assert len(media) == len(control) == 0
    assert wire.b.bank.unclaimed == 2


@pytest.mark.parametrize("mux", [False, True])
def test_rtcp_is_told_from_rtp_by_its_socket_or_under_mux_by_its_type(mux):
    wire = Wire(rtcp_mux=mux)
    report = bytes.fromhex("80c90001deadbeef")
    media, control = arrive(wire, report)
    assert (len(media), len(control)) == ((0, 1) if mux else (1, 0))
    media, control = arrive(wire, report, port=5001)
    assert (len(media), len(control)) == (0, 1)


def test_what_is_received_is_counted_without_header_and_padding():
    bank, row = hear(Wire(), voice(1), voice(2, padding=4), voice(3, csrc=(1, 2)))
    assert bank.receiver.packets_received[row] == 3
    assert bank.receiver.octets_received[row] == 480
    assert bank.receiver.last_received[row] == 0.5
    assert bank.reception.received[row] == 3


def test_the_first_packet_is_told_once_with_its_source():
    wire = Wire()
    hear(wire, voice(1), voice(2))
    bank, _ = hear(wire, voice(3))
    assert bank.take_events() == [FirstPacketReceived(wire.b.handle, FAR, False)]


def test_a_source_that_has_lost_its_place_in_a_batch_has_lost_it_for_all_of_the_batch():
    wire = Wire()
    bank, row = hear(wire, voice(1))
    hear(wire, voice(10, ssrc=8), voice(11, ssrc=8), voice(2))
    assert bank.receiver.remote_ssrc[row] == 8
    assert bank.receiver.packets_received[row] == 2


def test_an_unknown_payload_type_counts_as_received_and_is_not_played():
    wire = Wire()
    bank, row = hear(wire, voice(1), voice(2, payload_type=50))
    assert bank.receiver.packets_received[row] == 2
    assert bank.receiver.unknown_type[row] == 1
    assert bank.receiver.malformed[row] == 0


def test_padding_that_does_not_fit_is_malformed_and_never_a_first_packet():
    wire = Wire()
    data = bytearray(bytes(voice(1)))
    data[0] |= 0x20
    data[-1] = 200
    bank, row = hear(wire, data)
    assert bank.receiver.malformed[row] == 1
    assert bank.receiver.packets_received[row] == 0
    assert bank.take_events() == []


def test_packets_of_events_do_not_disturb_the_jitter():
    wire = Wire(telephone_event=101)
    station = wire.b
    for at in range(40):
        event = TelephoneEventPayload(5, False, 10, 160 * (at + 1))
        packet = voice(at, payload_type=101, timestamp=0, payload=bytes(event))
        media, _ = arrive(wire, packet)
        station.incoming.arrival[0] = 1.0 + 0.02 * at
        receive_rtp(station.bank, station.incoming, media, now=1.0 + 0.02 * at)
    assert station.bank.reception.jitter[station.row] == pytest.approx(0.0, abs=0.01)


def test_a_digit_whose_end_is_lost_is_told_when_its_time_has_come():
    wire = Wire(telephone_event=101)
    event = TelephoneEventPayload(5, False, 10, 800)
    bank, _ = hear(wire, voice(1, payload_type=101, payload=bytes(event)))
    bank.take_events()
    expire_digits(bank, now=0.51)
    assert bank.take_events() == []
    expire_digits(bank, now=2.0)
    assert bank.take_events() == [DigitDetected(wire.b.handle, "5", 100.0)]
    assert bank.digit_timers.next_deadline() is None


def test_another_codec_that_was_agreed_is_told_once_and_an_unknown_one_never():
    wire = Wire(other_payload_types=(8,), other_codecs=("PCMA",))
    hear(wire, voice(1), voice(2, payload_type=96), voice(3, payload_type=8))
    bank, row = hear(wire, voice(4, payload_type=8), voice(5, payload_type=8))
    told = [event for event in bank.take_events() if isinstance(event, PayloadTypeChanged)]
    assert told == [PayloadTypeChanged(wire.b.handle, 8)]
    assert bank.receiver.unknown_type[row] == 1
    spec = bank.streams[row].spec
    changed = replace(spec, codec="PCMA", payload_type=8, receive_payload_type=8)
    wire.b.open(replace(changed, other_payload_types=(0,), other_codecs=("PCMU",)))
    bank, row = hear(wire, voice(6, payload_type=8))
    assert bank.receiver.unknown_type[row] == 1
    hear(wire, voice(7, payload_type=0))
    assert PayloadTypeChanged(wire.b.handle, 0) in bank.take_events()


def calls_of(work):
    """How many functions, Python's and others', `work` calls."""
    counted = 0

    def count(frame, event, argument):
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("order", ["in order", "backwards", "every other first"])
def test_a_backlog_of_many_packets_of_a_stream_costs_little_more_than_one(order):
    """A far end that is loaded beyond what it holds serves its calls by turns: each then has all
    that it owes come at once.  The work on arrays must not be done once a packet."""

    def cost(depth):
        wire = Wire()
        hear(wire, voice(1), voice(2))
        backlog = [voice(sequence) for sequence in range(3, 3 + depth)]
        if order == "backwards":
            backlog.reverse()
        elif order != "in order":
            backlog = backlog[::2] + backlog[1::2]
        media, _ = arrive(wire, *backlog)
        bank = wire.b.bank
        counted = calls_of(lambda: receive_rtp(bank, wire.b.incoming, media, now=0.5))
        assert bank.receiver.packets_received[wire.b.row] == 2 + depth
        assert bank.reception.cumulative_lost(slice(0, 1))[0] == 0
        return counted

    cost(1)  # what is made once
    # Done once a packet it would be 60 times as much.
    assert cost(60) <= 5 * cost(1)
    assert cost(60) <= 1.5 * cost(10)
