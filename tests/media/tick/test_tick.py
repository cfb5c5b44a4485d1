"""A whole call through two banks, on virtual time, without a socket."""

from __future__ import annotations

import itertools
import struct
from dataclasses import fields, replace

import numpy as np
import pytest

from softphone.events import Direction
from softphone.media import (
    DigitDetected,
    LatchCause,
    PlaybackEnded,
    RemoteLatched,
    SsrcChanged,
    StreamSpec,
    StreamTimedOut,
)
from softphone.media.bank import FRAME
from softphone.media.quality import stream_statistics
from softphone.media.tick import RemoteAddresses, count_due_packets, skip_frames
from softphone.media.tick.stream_commands import (
    send_digits,
    set_direction,
    set_keys,
    set_muted,
    set_remote,
    set_sink,
    set_source,
)
from softphone.security import CryptoSuite
from softphone_codecs.g711 import G711, PCMU
from tests.support.wire import (
    Datagram,
    Dribble,
    Tape,
    Tone,
    Wire,
    loudest_hertz,
    raw_address,
    srtp_key,
)

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def header(data: bytes) -> tuple[int, int, int, int]:
    """Marker and payload type, sequence number, timestamp and SSRC."""
    return struct.unpack_from("!xBHII", data)


def nothing(frame: int, datagram: Datagram) -> list[Datagram]:
    return []


@pytest.mark.parametrize("suite", [None, *CryptoSuite])
def test_a_tone_that_goes_in_at_one_end_comes_out_at_the_other(suite):
    wire = Wire(suite=suite)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone(1000.0))
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(60)
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0
    assert np.abs(tape.pcm[-4000:]).max() > 7000
    seen = stream_statistics(wire.b.bank, wire.b.handle)
    assert seen.packets_received == 60
    assert seen.cumulative_lost == seen.authentication_failures == seen.malformed == 0
    assert seen.mos > 4.3


@pytest.mark.parametrize("law", [("PCMA", 8), ("L16", 96), ("L16/16000", 97)])
def test_other_codecs_carry_it_too(law):
    name, payload_type = law
    wire = Wire(suite=CM, codec=name, payload_type=payload_type)
    tape, tone = Tape(), Tone(1000.0)
    tone.clock_rate_hz = 16000 if name.endswith("16000") else 8000
    set_source(wire.a.bank, wire.a.handle, tone)
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(60)
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0
    assert tape.blocks[-1].clock_rate_hz == tone.clock_rate_hz


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_every_ptime_keeps_media_time(ptime_ms):
    wire = Wire(ptime_ms=ptime_ms)
    sent: list[bytes] = []
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    set_sink(wire.b.bank, wire.b.handle, tape)

    def note(frame, datagram):
        if datagram.is_rtp:
            sent.append(datagram.data)
        return [datagram]

    wire.run(60, to_b=note)
    assert len(sent) == 60 * 20 // ptime_ms
    stamps = [header(data)[2] for data in sent]
    steps = {(after - before) & 0xFFFFFFFF for before, after in itertools.pairwise(stamps)}
    assert steps == {8 * ptime_ms}
    assert {len(data) for data in sent} == {12 + 8 * ptime_ms}
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0


def test_the_first_sequence_number_is_in_the_lower_half_and_only_a_talkspurt_is_marked():
    wire = Wire()
    sent: list[bytes] = []

    def note(frame, datagram):
        if datagram.is_rtp:
            sent.append(datagram.data)
        return [datagram]

    wire.run(5, to_b=note)
    set_direction(wire.a.bank, wire.a.handle, Direction.INACTIVE, now=0.1)
    wire.run(5, to_b=note)
    set_direction(wire.a.bank, wire.a.handle, Direction.SENDRECV, now=0.2)
    wire.run(5, to_b=note)
    heads = [header(data) for data in sent]
    assert heads[0][1] < 1 << 15
    assert [head[0] >> 7 for head in heads] == [1, 0, 0, 0, 0] * 2
    # The sequence does not jump over the hold; the timestamp does.
    assert (heads[5][1] - heads[4][1]) & 0xFFFF == 1
    assert (heads[5][2] - heads[4][2]) & 0xFFFFFFFF == 6 * 160


# Sequence numbers, sources and keys --------------------------------------------------------------


def test_the_rollover_counter_goes_on_over_the_wrap():
    wire = Wire(suite=CM)
    wire.a.bank.sender.sequence[wire.a.row] = 0x7FFF
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    wire.run(2)
    # Half way round, lest the receiver take the jump for a step back (RFC 3711 3.3.1).
    wire.a.bank.sender.sequence[wire.a.row] = 0xFFF0
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(60)
    assert int(wire.a.bank.sender.sequence[wire.a.row]) == 0xFFF0 + 60 & 0xFFFF
    seen = stream_statistics(wire.b.bank, wire.b.handle)
    assert seen.authentication_failures == 0
    assert seen.packets_received == 62
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0


@pytest.mark.parametrize("suite", [None, CM])
def test_another_ssrc_of_the_far_end_is_followed(suite):
    wire = Wire(suite=suite)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(20)
    before = int(wire.a.bank.sender.ssrc[wire.a.row])
    wire.a.bank.change_ssrc(wire.a.row)
    wire.run(60)
    after = int(wire.a.bank.sender.ssrc[wire.a.row])
    assert SsrcChanged(wire.b.handle, before, after) in wire.b.events
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0


def test_in_clear_a_single_packet_of_another_source_does_not_take_the_stream_over():
    wire = Wire()

    def intrude(frame, datagram):
        if frame != 10 or not datagram.is_rtp:
            return [datagram]
        return [replace(datagram, data=datagram.data[:8] + b"evil" + datagram.data[12:]), datagram]

    wire.run(20, to_b=intrude)
    assert not any(isinstance(event, SsrcChanged) for event in wire.b.events)
    assert stream_statistics(wire.b.bank, wire.b.handle).packets_received == 20


@pytest.mark.parametrize("suite", [None, CM])
def test_our_own_ssrc_coming_back_is_a_collision_once_and_then_an_echo_in_clear_only(suite):
    wire = Wire(suite=suite) if suite else Wire()
    before = int(wire.b.bank.sender.ssrc[wire.b.row])

    def collide(frame, datagram):
        ssrc = struct.pack("!I", int(wire.b.bank.sender.ssrc[wire.b.row]))
        return [replace(datagram, data=datagram.data[:8] + ssrc + datagram.data[12:])]

    wire.run(1, to_b=collide)
    wire.b.tick(1)
    after = int(wire.b.bank.sender.ssrc[wire.b.row])
    # Under SRTP a changed header is forged: it is not even a collision.
    assert (after != before) is (suite is None)
    wire.frame = 2
    wire.run(20, to_b=collide)
    assert int(wire.b.bank.sender.ssrc[wire.b.row]) == after
    received = stream_statistics(wire.b.bank, wire.b.handle).packets_received
    assert received == (20 if suite is None else 0)


def test_new_keys_are_taken_in_mid_call_and_the_old_ones_are_dead():
    wire = Wire(suite=CM)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(20)
    one, two = srtp_key(CryptoSuite.AEAD_AES_256_GCM, 8), srtp_key(CM, 9)
    set_keys(wire.a.bank, wire.a.handle, one, two, 1)
    wire.run(5)
    assert stream_statistics(wire.b.bank, wire.b.handle).authentication_failures >= 4
    set_keys(wire.b.bank, wire.b.handle, two, one, 1)
    wire.run(60)
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0
    assert tape.blocks[-1].security_generation == 1
    assert tape.blocks[0].security_generation == 0
    # What the old context had counted is still told.
    assert stream_statistics(wire.b.bank, wire.b.handle).authentication_failures >= 4


def test_a_secure_stream_never_sends_a_clear_packet():
    wire = Wire(suite=CM)
    set_source(wire.a.bank, wire.a.handle, Tone())
    lengths = set()

    def note(frame, datagram):
        if datagram.is_rtp:
            lengths.add(len(datagram.data))
        return [datagram]

    wire.run(20, to_b=note)
    assert lengths == {12 + 160 + 10}
    context = wire.a.bank.find_stream(wire.a.handle).send_context
    context.close()
    sent = []
    wire.run(5, to_b=lambda f, d: sent.append(d) or [d])
    assert sent == []


# Hold, sources, sinks, digits --------------------------------------------------------------------


@pytest.mark.parametrize("direction", [Direction.RECVONLY, Direction.INACTIVE])
def test_a_held_stream_sends_no_rtp_and_goes_on_with_rtcp(direction):
    wire = Wire(suite=CM)
    wire.run(5)
    set_direction(wire.a.bank, wire.a.handle, direction, now=0.1)
    sent: list[Datagram] = []
    wire.run(500, to_b=lambda f, d: sent.append(d) or [d])
    assert not any(datagram.is_rtp for datagram in sent)
    assert len(sent) >= 1
    assert stream_statistics(wire.b.bank, wire.b.handle).authentication_failures == 0


def test_a_stream_that_only_sends_hears_nothing():
    wire = Wire()
    tape = Tape()
    set_sink(wire.b.bank, wire.b.handle, tape)
    set_direction(wire.b.bank, wire.b.handle, Direction.SENDONLY, now=0.0)
    wire.run(20)
    assert tape.blocks == []
    assert wire.b.bank.playout.played[wire.b.row] == 0


def test_reports_bring_loss_jitter_and_round_trip_time():
    wire = Wire(suite=CM)
    wire.run(1000, to_b=lambda f, d: [] if d.is_rtp and f % 10 == 0 else [d])
    seen = stream_statistics(wire.a.bank, wire.a.handle)
    assert seen.remote_fraction_lost == pytest.approx(0.1, abs=0.02)
    assert seen.round_trip_time_ms is not None
    assert 0.0 <= seen.round_trip_time_ms < 50.0
    lossy = stream_statistics(wire.b.bank, wire.b.handle)
    assert lossy.fraction_lost == pytest.approx(0.1, abs=0.01)
    assert lossy.mos < seen.mos


def test_a_source_that_ends_is_told_after_its_last_sample():
    wire = Wire()
    tone = Tone(samples=160 * 10 + 80)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, tone)
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(10)
    assert not any(isinstance(event, PlaybackEnded) for event in wire.a.events)
    wire.run(30)
    assert wire.a.events.count(PlaybackEnded(wire.a.handle)) == 1
    assert len(wire.a.bank.feeds) == 1
    assert stream_statistics(wire.a.bank, wire.a.handle).packets_sent == 40


def test_a_starved_source_is_silence_or_a_gap_with_a_mark_after_it():
    for suppress in (False, True):
        wire = Wire(silence_suppression=suppress)
        source, sent = Dribble(), []
        set_source(wire.a.bank, wire.a.handle, source)

        def note(frame, datagram, sent=sent):
            if datagram.is_rtp:
                sent.append(header(datagram.data))
            return [datagram]

        source.samples = np.ones(320, dtype=np.int16)
        wire.run(6, to_b=note)
        source.samples = np.ones(160, dtype=np.int16)
        wire.run(1, to_b=note)
        assert len(sent) == (3 if suppress else 7)
        assert (sent[-1][2] - sent[0][2]) & 0xFFFFFFFF == 6 * 160
        assert sent[-1][0] >> 7 == suppress
        assert stream_statistics(wire.a.bank, wire.a.handle).source_starved_frames == 4


def test_a_muted_stream_sends_silence_and_reads_on():
    wire = Wire()
    tone, tape = Tone(), Tape()
    set_source(wire.a.bank, wire.a.handle, tone)
    set_sink(wire.b.bank, wire.b.handle, tape)
    set_muted(wire.a.bank, wire.a.handle, True)
    wire.run(50)
    assert np.abs(tape.pcm[-1600:]).max() == 0
    assert tone.reads == 50
    set_muted(wire.a.bank, wire.a.handle, False)
    wire.run(50)
    assert np.abs(tape.pcm[-1600:]).max() > 7000


def test_nobody_decodes_for_a_stream_without_a_sink():
    decoded = []

    class Counted(G711):
        def decode(self, data, length):
            decoded.append(len(data))
            return super().decode(data, length)

    wire = Wire()
    stream = wire.b.bank.find_stream(wire.b.handle)
    law = {field.name: getattr(PCMU, field.name) for field in fields(PCMU)}
    stream.receive_codec = Counted(**law)
    wire.run(20)
    assert not decoded
    assert wire.b.bank.playout.played[wire.b.row] > 10
    set_sink(wire.b.bank, wire.b.handle, Tape())
    wire.run(20)
    assert len(decoded) == 20


@pytest.mark.parametrize("suite", [None, CM])
def test_digits_go_across_once_each_and_in_order(suite):
    wire = Wire(suite=suite, telephone_event=101)
    set_source(wire.a.bank, wire.a.handle, Tone())
    send_digits(wire.a.bank, wire.a.handle, "19*#D", duration_ms=100)
    wire.run(80)
    digits = [event for event in wire.b.events if isinstance(event, DigitDetected)]
    assert "".join(event.digit for event in digits) == "19*#D"
    assert all(90 <= event.duration_ms <= 120 for event in digits)
    assert not wire.a.bank.sending_digits
    assert stream_statistics(wire.b.bank, wire.b.handle).cumulative_lost == 0


def test_digits_survive_loss():
    wire = Wire(suite=CM, telephone_event=101)
    send_digits(wire.a.bank, wire.a.handle, "123", duration_ms=100)
    wire.run(80, to_b=lambda f, d: [] if f % 3 == 0 else [d])
    digits = [event.digit for event in wire.b.events if isinstance(event, DigitDetected)]
    assert digits == ["1", "2", "3"]


def test_silence_on_the_wire_is_told_once_until_media_flows_again():
    wire = Wire(suite=CM)
    wire.run(10)
    wire.run(250, to_b=nothing)
    timeouts = [event for event in wire.b.events if isinstance(event, StreamTimedOut)]
    assert len(timeouts) == 1
    assert timeouts[0].seconds > 2.0
    wire.run(10)
    wire.run(250, to_b=nothing)
    assert sum(isinstance(event, StreamTimedOut) for event in wire.b.events) == 2


def test_after_a_jump_of_media_time_the_timestamp_has_jumped_and_the_sequence_has_not():
    wire = Wire()
    sent = []

    def note(frame, datagram):
        if datagram.is_rtp:
            sent.append(header(datagram.data))
        return [datagram]

    wire.run(5, to_b=note)
    skip_frames(wire.a.bank, 0, 20, now=25 * FRAME)
    wire.frame = 25
    wire.run(2, to_b=note)
    assert (sent[5][1] - sent[4][1]) & 0xFFFF == 1
    assert (sent[5][2] - sent[4][2]) & 0xFFFFFFFF == 21 * 160
    assert sent[5][0] >> 7 == 1


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_the_packets_that_a_jump_misses_are_those_that_the_ticks_would_have_sent(ptime_ms):
    wire = Wire(ptime_ms=ptime_ms)
    sent = []
    due = count_due_packets(wire.a.bank, 0, 0, 13).tolist()
    for _ in range(13):
        before = int(wire.a.bank.sender.packets_sent[wire.a.row])
        wire.run(1)
        sent.append(int(wire.a.bank.sender.packets_sent[wire.a.row]) - before)
    assert due == sent
    assert count_due_packets(wire.a.bank, 0, 7, 3).tolist() == sent[7:10]


def test_a_packet_that_was_buffered_before_a_hold_is_not_heard_as_of_a_newer_generation():
    wire = Wire(suite=CM)
    tape = Tape()
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(10)
    set_keys(wire.b.bank, wire.b.handle, None, None, 5)
    set_keys(wire.a.bank, wire.a.handle, None, None, 5)
    wire.run(10)
    generations = [block.security_generation for block in tape.blocks]
    assert generations == [0] * 10 + [5] * 10


def test_the_whole_call_is_deterministic():
    def run():
        wire = Wire(suite=CM, telephone_event=101)
        set_source(wire.a.bank, wire.a.handle, Tone())
        send_digits(wire.a.bank, wire.a.handle, "5", duration_ms=100)
        sent = []
        wire.run(300, to_b=lambda f, d: sent.append(d) or [d])
        return sent

    assert run() == run()


def test_a_retargeted_stream_goes_elsewhere_and_may_latch_again():
    wire = Wire()
    wire.run(3, to_b=lambda f, d: [replace(d, source=("10.0.0.1", 6000))])
    there = RemoteAddresses(raw_address("10.0.0.3", 5000), raw_address("10.0.0.3", 5001))
    set_remote(wire.b.bank, wire.b.handle, there)
    assert wire.b.bank.addresses.remote[wire.b.row].tobytes() == there.rtp
    wire.run(3, to_b=lambda f, d: [replace(d, source=("10.0.0.3", 7000))])
    assert RemoteLatched(wire.b.handle, ("10.0.0.3", 7000), LatchCause.PORT) in wire.b.events


def test_renegotiation_with_the_same_keys_keeps_the_contexts():
    wire = Wire(suite=CM)
    wire.run(5)
    stream = wire.b.bank.find_stream(wire.b.handle)
    contexts = stream.send_context, stream.receive_keys.context
    one, two = wire.keys
    wire.b.open(StreamSpec(("10.0.0.1", 5000), send_key=two, receive_key=one, payload_type=0))
    assert (stream.send_context, stream.receive_keys.context) == contexts
    wire.run(5)
    assert stream_statistics(wire.b.bank, wire.b.handle).authentication_failures == 0
