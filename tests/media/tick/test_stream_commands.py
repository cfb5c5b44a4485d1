"""Commands on a bank: what stays, what is renewed, and that a refused one changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import Direction
from softphone.media import SrtpKey, SsrcChanged, StaleHandle, StreamSpec
from softphone.media.audio import PcmOutput
from softphone.media.quality import stream_statistics
from softphone.media.tick.stream_commands import (
    send_digits,
    set_direction,
    set_keys,
    set_muted,
    set_paused,
    set_sink,
    set_source,
)
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import MAXIMUM_KEYS
from tests.support.wire import Station, Tape, Tone, Wire, srtp_key

GCM = CryptoSuite.AEAD_AES_128_GCM
FAR = ("10.0.0.1", 5000)


def test_one_direction_may_get_a_new_key_while_the_other_stays():
    wire = Wire(suite=GCM)
    stream = wire.a.bank.find_stream(wire.a.handle)
    sending, receiving = stream.send_context, stream.receive_keys.context
    set_keys(wire.a.bank, wire.a.handle, srtp_key(GCM, 9), wire.keys[1], 0)
    assert stream.send_context is not sending
    assert stream.receive_keys.context is receiving


def test_a_new_send_key_has_another_ssrc_and_what_was_counted_goes_on():
    wire = Wire(suite=GCM)
    wire.run(5)
    bank, handle, row = wire.a.bank, wire.a.handle, wire.a.row
    before = stream_statistics(bank, handle)
    assert before.ssrc == int(bank.sender.ssrc[row])
    set_keys(bank, handle, srtp_key(GCM, 9), wire.keys[1], 0)
    set_keys(wire.b.bank, wire.b.handle, wire.keys[1], srtp_key(GCM, 9), 0)
    wire.run(5)
    after = stream_statistics(bank, handle)
    assert after.ssrc not in (None, before.ssrc)
    assert after.packets_sent == before.packets_sent + 5
    assert SsrcChanged(wire.b.handle, before.ssrc, after.ssrc) in wire.b.events
    assert stream_statistics(wire.b.bank, wire.b.handle).packets_received == 10


def test_a_session_refresh_keeps_ssrc_and_sequence_numbers():
    wire = Wire(suite=GCM)
    wire.run(5)
    bank, row = wire.a.bank, wire.a.row
    before = int(bank.sender.ssrc[row]), int(bank.sender.sequence[row])
    one, two = wire.keys
    wire.a.open(StreamSpec(("10.0.0.2", 5000), send_key=one, receive_key=two))
    set_keys(bank, wire.a.handle, one, srtp_key(GCM, 9), 0)
    assert (int(bank.sender.ssrc[row]), int(bank.sender.sequence[row])) == before


def test_a_33rd_receive_key_is_refused_and_the_stream_goes_on():
    wire = Wire(suite=GCM)
    bank, handle = wire.b.bank, wire.b.handle
    for number in range(MAXIMUM_KEYS - 1):
        set_keys(bank, handle, wire.keys[1], srtp_key(GCM, 100 + number), 0)
    set_keys(bank, handle, wire.keys[1], wire.keys[0], 0)
    stream = bank.find_stream(handle)
    before = stream.spec, stream.send_context, stream.receive_keys.context, int(bank.sender.ssrc[0])
    with pytest.raises(ConfigurationError, match="32 keys"):
        set_keys(bank, handle, srtp_key(GCM, 9), srtp_key(GCM, 99), 7)
    after = stream.spec, stream.send_context, stream.receive_keys.context, int(bank.sender.ssrc[0])
    assert after == before
    wire.run(3)
    assert bank.receiver.packets_received[wire.b.row] == 3


def test_a_key_of_the_wrong_length_is_refused_and_the_stream_goes_on():
    wire = Wire(suite=GCM)
    wire.run(3)
    stream = wire.b.bank.find_stream(wire.b.handle)
    before = stream.spec, stream.send_context, stream.receive_keys.context
    short = SrtpKey(GCM, KeyMaterial(b"short"))
    with pytest.raises(ConfigurationError):
        set_keys(wire.b.bank, wire.b.handle, wire.keys[1], short, 7)
    with pytest.raises(ConfigurationError):
        wire.b.open(StreamSpec(FAR, send_key=short, receive_key=short))
    assert (stream.spec, stream.send_context, stream.receive_keys.context) == before
    assert len(wire.b.bank.feeds) == 1
    wire.run(3)
    assert wire.b.bank.receiver.packets_received[wire.b.row] == 6
    assert wire.b.bank.delivery.security_generation[wire.b.row] == 0


def test_a_caller_may_wipe_its_keys_once_the_stream_is_open():
    wire = Wire(suite=GCM)
    for key in wire.keys:
        key.key.close()
    wire.run(5)
    assert wire.b.bank.receiver.packets_received[wire.b.row] == 5
    set_direction(wire.b.bank, wire.b.handle, Direction.SENDONLY, now=0.1)


def test_an_unknown_codec_is_refused_and_nothing_was_opened():
    station = Station("10.0.0.2", seed=1)
    with pytest.raises(ConfigurationError, match="G729"):
        station.open(StreamSpec(FAR, codec="G729"))
    assert not station.bank.receiver.active[station.row]
    assert len(station.bank.feeds) == 0


def test_packets_that_would_be_too_long_are_refused_and_the_stream_goes_on():
    wire = Wire(codec="L16/16000", payload_type=97, ptime_ms=40)
    wire.run(4)
    before = wire.a.bank.find_stream(wire.a.handle).spec
    with pytest.raises(ConfigurationError, match="60 ms of L16/16000 are 1920 octets"):
        wire.a.open(StreamSpec(FAR, codec="L16/16000", payload_type=97, ptime_ms=60))
    assert wire.a.bank.find_stream(wire.a.handle).spec is before
    wire.run(4)
    assert wire.b.bank.receiver.packets_received[wire.b.row] == 4


def test_source_and_sink_may_be_set_before_the_stream_is_opened():
    wire = Wire()
    station, tone, tape = Station("10.0.0.1", seed=9), Tone(), Tape()
    set_source(station.bank, station.handle, tone)
    set_sink(station.bank, station.handle, tape)
    wire.a = station
    station.open(StreamSpec(("10.0.0.2", 5000)))
    wire.run(5)
    assert tone.reads == 5
    assert len(tape.blocks) == 5


def test_a_new_codec_goes_on_where_the_timestamps_were():
    wire = Wire()
    wire.run(10)
    bank, row = wire.a.bank, wire.a.row
    ssrc, sequence = int(bank.sender.ssrc[row]), int(bank.sender.sequence[row])
    sent = []
    far_end = ("10.0.0.2", 5000)
    wire.a.open(StreamSpec(far_end, codec="PCMA", payload_type=8))
    wire.b.open(StreamSpec(FAR, codec="PCMA", payload_type=8))
    wire.run(1, to_b=lambda f, d: sent.append(d.data) or [d])
    assert sent[0][1] & 0x7F == 8
    assert int.from_bytes(sent[0][2:4], "big") == sequence
    assert int.from_bytes(sent[0][8:12], "big") == ssrc
    stamp = (int(bank.sender.timestamp_base[row]) + 1600) & 0xFFFFFFFF
    assert int.from_bytes(sent[0][4:8], "big") == stamp


def test_a_source_that_cannot_be_shared_leaves_the_old_one_playing():
    wire = Wire()
    first, other = Tone(), Tone()
    other.clock_rate_hz = 44100
    set_source(wire.a.bank, wire.a.handle, first)
    with pytest.raises(LocalProtocolError):
        set_source(wire.a.bank, wire.a.handle, other)
    wire.run(3)
    assert first.reads == 3
    set_source(wire.a.bank, wire.a.handle, None)
    wire.run(3)
    assert first.reads == 3
    assert len(wire.a.bank.feeds) == 1


def test_digits_are_checked():
    wire, without = Wire(telephone_event=101), Wire()
    with pytest.raises(ConfigurationError):
        send_digits(wire.a.bank, wire.a.handle, "1E", duration_ms=100)
    with pytest.raises(ConfigurationError):
        send_digits(wire.a.bank, wire.a.handle, "1", duration_ms=1)
    with pytest.raises(LocalProtocolError):
        send_digits(without.a.bank, without.a.handle, "1", duration_ms=100)
    assert not wire.a.bank.sending_digits


def test_every_command_needs_a_handle_that_is_not_stale():
    wire = Wire(telephone_event=101)
    bank, handle = wire.a.bank, wire.a.handle
    bank.release_row(handle)
    for command in (
        lambda: set_source(bank, handle, None),
        lambda: set_sink(bank, handle, None),
        lambda: set_muted(bank, handle, True),
        lambda: set_keys(bank, handle, None, None, 0),
        lambda: set_direction(bank, handle, Direction.SENDRECV, now=0.0),
        lambda: send_digits(bank, handle, "1", duration_ms=100),
        lambda: wire.a.open(StreamSpec(FAR)),
    ):
        with pytest.raises(StaleHandle):
            command()


async def test_a_pause_tells_the_mark_that_was_just_passed_and_lasts_over_a_new_description():
    wire = Wire()
    output = PcmOutput(8000)
    await output.write(np.ones(288, dtype=np.int16))
    passed = output.mark()
    await output.write(np.ones(192, dtype=np.int16))
    waiting = output.mark()
    set_source(wire.a.bank, wire.a.handle, output)
    wire.run(2)
    assert output.waiting_samples == 160
    assert not passed.done  # the next frame would tell
    set_paused(wire.a.bank, wire.a.handle, True)
    assert passed.done
    spec = wire.a.bank.find_stream(wire.a.handle).spec
    wire.a.open(replace(spec, description=1))
    wire.run(5)
    assert output.waiting_samples == 160
    assert not waiting.done
    set_paused(wire.a.bank, wire.a.handle, False)
    wire.run(2)
    assert await waiting.played()
