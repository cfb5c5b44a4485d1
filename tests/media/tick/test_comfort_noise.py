"""Pauses on the wire of arrays: comfort noise both ways, and Opus that sends nothing."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from softphone.media.audio import at_rate
from softphone.media.tick.comfort_noise import PAUSE_NOISE_PAYLOAD, is_comfort_noise, receive_noise
from softphone.media.tick.stream_commands import set_sink, set_source
from softphone.security import CryptoSuite
from softphone_codecs import ComfortNoise, pack_noise, unpack_noise
from tests.support.voice import voice
from tests.support.wire import Dribble, Tape, Tone, Wire

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80


class Sound:
    """A source of some samples, and then of nothing, without an end."""

    ended = False

    def __init__(self, pcm: np.ndarray, rate: int) -> None:
        self.pcm, self.clock_rate_hz = pcm, rate

    def read(self, samples: int) -> np.ndarray:
        given, self.pcm = self.pcm[:samples], self.pcm[samples:]
        return given


def note_of(wire: Wire, frames: int) -> list[tuple[int, bool, int, int, int]]:
    """What A sends: frame, marker, payload type, timestamp, octets."""
    sent = []

    def note(frame, datagram):
        if datagram.is_rtp:
            second, _, timestamp = struct.unpack_from("!xBHI", datagram.data)
            size = len(datagram.data) - 12
            sent.append((frame, second > 127, second & 127, timestamp, size))
        return [datagram]

    wire.run(frames, to_b=note)
    return sent


def test_what_we_send_is_a_level_without_color():
    assert unpack_noise(PAUSE_NOISE_PAYLOAD) == ComfortNoise(72)


def test_in_a_pause_noise_is_sent_at_its_beginning_and_now_and_then():
    wire = Wire(comfort_noise=13)
    source = Dribble()
    source.samples = np.full(160 * 10, 3000, dtype=np.int16)
    set_source(wire.a.bank, wire.a.handle, source)
    sent = note_of(wire, 45)
    source.samples = np.full(160 * 5, 3000, dtype=np.int16)
    sent += note_of(wire, 5)
    assert [s[0] for s in sent if s[2] == 13] == [10, 20, 30, 40]
    assert {s[4] for s in sent if s[2] == 13} == {len(PAUSE_NOISE_PAYLOAD)}
    assert [s[0] for s in sent if s[2] == 0] == [*range(10), *range(45, 50)]
    assert [s[0] for s in sent if s[1]] == [0, 45]
    base = sent[0][3]
    assert all((s[3] - base) & 0xFFFFFFFF == 160 * s[0] for s in sent)


@pytest.mark.parametrize("suite", [None, CM])
@pytest.mark.parametrize("codec", [("PCMU", 0), ("G722", 9)])
def test_noise_that_comes_is_played_at_its_level_until_sound_does(suite, codec):
    name, number = codec
    wire = Wire(suite=suite, codec=name, payload_type=number, comfort_noise=13)
    for station in (wire.a, wire.b):
        station.bank.feeds._adapt = at_rate
    source = Dribble()
    source.samples = np.full(160 * 20, 3000, dtype=np.int16)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, source)
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(60)
    noise = np.concatenate([block.pcm for block in tape.blocks[-20:]]).astype(float)
    level = 20 * np.log10(np.sqrt(np.mean(noise**2)) / 32768)
    assert level == pytest.approx(-72, abs=1.5)
    source.samples = np.full(160 * 50, 3000, dtype=np.int16)
    wire.run(20)
    assert abs(float(tape.blocks[-1].pcm.astype(float).mean()) - 3000) < 60
    bank, row = wire.b.bank, wire.b.row
    assert bank.playout.concealed[row] == 0
    assert bank.reception.cumulative_lost(slice(row, row + 1))[0] == 0


def test_its_edges_do_not_click():
    wire = Wire(comfort_noise=13)
    source, tape = Dribble(), Tape()
    source.samples = (4000 * np.sin(np.arange(160 * 20) * 0.3)).astype(np.int16)[:-77]
    set_source(wire.a.bank, wire.a.handle, Sound(source.samples[: 160 * 19], 8000))
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(50)
    assert np.abs(np.diff(tape.pcm[800:].astype(float))).max() < 4000 * 0.3 * 1.3


def test_noise_by_its_static_number_is_known_without_having_been_agreed():
    wire = Wire()
    bank, row = wire.b.bank, wire.b.row
    assert is_comfort_noise(bank, row, 13)
    assert not is_comfort_noise(bank, row, 14)
    assert not is_comfort_noise(Wire(codec="OPUS", payload_type=111).b.bank, row, 13)


def test_a_payload_that_makes_no_sense_is_malformed():
    wire = Wire()
    bank, row = wire.b.bank, wire.b.row
    assert not receive_noise(bank, row, b"")
    assert not receive_noise(bank, row, b"\xff")
    assert bank.receiver.malformed[row] == 2
    assert receive_noise(bank, row, pack_noise(ComfortNoise(60)))


def opus(fmtp: str, suite: CryptoSuite | None = None) -> Wire:
    wire = Wire(suite=suite, codec="OPUS", payload_type=111, fmtp=fmtp)
    for station in (wire.a, wire.b):
        station.bank.feeds._adapt = at_rate
    return wire


@pytest.mark.parametrize("suite", [None, CM])
def test_opus_that_may_pause_sends_nothing_in_a_pause_and_marks_what_follows(suite):
    wire = opus("usedtx=1", suite)
    tape = Tape()
    sound = np.concatenate([voice(48000), np.zeros(96000, dtype=np.int16), voice(24000)])
    set_source(wire.a.bank, wire.a.handle, Sound(sound, 48000))
    set_sink(wire.b.bank, wire.b.handle, tape)
    sent = note_of(wire, 175)
    silent = [s for s in sent if 80 <= s[0] < 145]
    assert len(silent) < 15
    base = sent[0][3] - 960 * sent[0][0]
    assert all((s[3] - base) & 0xFFFFFFFF == 960 * s[0] for s in sent)
    spurt = next(s for s in sent if s[0] >= 150)
    assert spurt[0] <= 151
    assert spurt[1]
    assert wire.b.bank.playout.concealed[wire.b.row] == 0
    pause = np.concatenate([block.pcm for block in tape.blocks[100:140]]).astype(float)
    assert np.sqrt(np.mean(pause**2)) < 60
    back = np.concatenate([block.pcm for block in tape.blocks[-20:]]).astype(float)
    assert np.sqrt(np.mean(back**2)) > 500


def test_opus_goes_on_sending_to_whoever_has_not_asked_for_pauses():
    wire = opus("useinbandfec=1")
    assert len(note_of(wire, 100)) == 100


def test_lost_opus_packets_are_recovered_from_those_behind_them():
    kept = {}
    for fmtp in ("useinbandfec=1", "useinbandfec=0"):
        whole, lossy = Tape(), Tape()
        for tape, loses in ((whole, False), (lossy, True)):
            wire = opus(fmtp)
            wire.a.bank.find_stream(wire.a.handle).encoder.expect_loss(30)
            set_source(wire.a.bank, wire.a.handle, Sound(voice(48000 * 3), 48000))
            set_sink(wire.b.bank, wire.b.handle, tape)

            def drop(frame, datagram, loses=loses):
                gone = loses and datagram.is_rtp and frame > 25 and frame % 5 == 0
                return [] if gone else [datagram]

            wire.run(140, to_b=drop)
        one, other = whole.pcm.astype(float), lossy.pcm.astype(float)
        kept[fmtp] = float(np.sqrt(np.mean((one - other)[48000:] ** 2)))
        assert wire.b.bank.playout.concealed[wire.b.row] >= 20
    assert kept["useinbandfec=1"] < 0.75 * kept["useinbandfec=0"]


@pytest.mark.parametrize("codec", [("G722", 9), ("OPUS", 111)])
@pytest.mark.parametrize("suite", [None, *CryptoSuite])
def test_codecs_with_a_memory_carry_a_tone(codec, suite):
    name, number = codec
    wire = Wire(suite=suite, codec=name, payload_type=number)
    for station in (wire.a, wire.b):
        station.bank.feeds._adapt = at_rate
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone(1000.0))
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(60)
    rate = tape.blocks[-1].clock_rate_hz
    assert rate == {"G722": 16000, "OPUS": 48000}[name]
    heard = tape.pcm[-rate // 2 :].astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(spectrum[1:].argmax() + 1 - 500) <= 1
    assert np.abs(heard).max() > 6000
