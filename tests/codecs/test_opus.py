"""Opus: what comes back, what loss costs with and without forward error correction, pauses."""

from __future__ import annotations

import numpy as np
import pytest

from softphone_codecs import PayloadRefused, RowDecoder
from softphone_codecs.opus import OPUS, OpusCodec, OpusSettings
from tests.support.voice import voice

FRAME = 960


def frames(pcm: np.ndarray) -> list[np.ndarray]:
    return [pcm[at : at + FRAME] for at in range(0, pcm.size, FRAME)]


def heard(decoder: RowDecoder, packets: list[bytes]) -> np.ndarray:
    return np.concatenate([decoder.decode(p) if p else decoder.conceal(FRAME) for p in packets])


def test_speech_comes_back() -> None:
    spoken = voice(FRAME * 100)
    encoder = OPUS.encoder()
    back = heard(OPUS.decoder(), [encoder.encode(each) for each in frames(spoken)])
    assert back.size == spoken.size
    one = np.abs(np.fft.rfft(spoken[:48000] * np.hanning(48000)))
    two = np.abs(np.fft.rfft(back[312:48312] * np.hanning(48000)))
    likeness = float(
        one[:4000] @ two[:4000] / np.linalg.norm(one[:4000]) / np.linalg.norm(two[:4000])
    )
    assert likeness > 0.97


def distortion(packets: list[bytes], *, fec: bool) -> float:
    """Signal to error in dB of the packets that were lost (every fifth), against none lost."""
    whole, lossy = OPUS.decoder(), OPUS.decoder()
    signal = error = 0.0
    for number, packet in enumerate(packets[:-1]):
        wanted = whole.decode(packet) if packet else whole.conceal(FRAME)
        following = packets[number + 1]
        if number % 5 == 3 and packet and following:
            got = lossy.conceal(FRAME, following if fec else None)
            signal += float(np.sum(wanted.astype(np.float64) ** 2))
            error += float(np.sum((wanted.astype(np.float64) - got) ** 2))
        else:
            lossy.decode(packet) if packet else lossy.conceal(FRAME)
    return 10 * np.log10(signal / error)


def test_a_lost_packet_is_in_the_next_one_once_more() -> None:
    encoder = OpusCodec(OpusSettings(bitrate=32000, expected_loss=10)).encoder()
    packets = [encoder.encode(each) for each in frames(voice(FRAME * 150))]
    corrected, extrapolated = distortion(packets, fec=True), distortion(packets, fec=False)
    assert corrected > 6
    assert corrected > extrapolated + 6


def test_a_pause_is_not_sent() -> None:
    encoder = OPUS.encoder()
    sent = [len(encoder.encode(np.zeros(FRAME, np.int16))) for _ in range(100)]
    assert sum(1 for octets in sent if octets) < 25
    assert all(sent[:3])  # the first ones tell what the pause sounds like


def test_without_dtx_every_frame_is_sent() -> None:
    encoder = OpusCodec(OpusSettings(dtx=False)).encoder()
    assert all(encoder.encode(np.zeros(FRAME, np.int16)) for _ in range(60))


@pytest.mark.parametrize("samples", [120, 240, 480, 960, 1920, 2880])
def test_every_frame_length_of_the_rfc(samples: int) -> None:
    packet = OPUS.encoder().encode(voice(samples))
    assert OPUS.decoder().decode(packet).size == samples


TABLE_2 = [10, 20, 40, 60] * 3 + [10, 20] * 2 + [2.5, 5, 10, 20] * 4
"""Milliseconds of a frame by configuration: RFC 6716 section 3.1."""
SILENT = bytes(24)


@pytest.mark.parametrize("configuration", range(32))
def test_packets_of_every_configuration_and_code_are_as_long_as_the_rfc_says(configuration) -> None:
    """RFC 6716 sections 3.1 and 3.2: one frame, two, two of two lengths, and a count of frames."""
    frame = TABLE_2[configuration]
    for code, rest, count in [(0, b"", 1), (1, b"", 2), (2, b"\x04", 2), (3, b"\x02", 2)]:
        packet = bytes([configuration << 3 | code]) + rest + SILENT
        assert OPUS.decoder().decode(packet).size == frame * count * 48
    four = bytes([configuration << 3 | 3, 4]) + SILENT
    if frame > 30:  # 120 ms are the most
        with pytest.raises(PayloadRefused):
            OPUS.decoder().decode(four)
    else:
        assert OPUS.decoder().decode(four).size == frame * 4 * 48


def test_what_we_send_says_mono_and_20_ms_and_a_known_packet_is_silence() -> None:
    for each in frames(voice(FRAME * 20)):
        contents = OPUS.encoder().encode(each)[0]
        assert contents & 7 == 0  # mono, one frame
        assert TABLE_2[contents >> 3] == 20
    assert not OPUS.decoder().decode(bytes.fromhex("f8fffe")).any()


def test_any_octets_are_decoded_or_refused_and_the_stream_goes_on() -> None:
    random = np.random.default_rng(6716)
    decoder, encoder = OPUS.decoder(), OPUS.encoder()
    refused = 0
    for _ in range(2000):
        size = int(random.integers(0, 60))
        try:
            pcm = decoder.decode(random.integers(0, 256, size, dtype=np.uint8).tobytes())
            assert pcm.size <= 5760
        except PayloadRefused:
            refused += 1
    assert 0 < refused < 2000
    assert decoder.decode(encoder.encode(voice(FRAME))).size == FRAME


def test_a_broken_following_packet_is_extrapolated_over() -> None:
    decoder = OPUS.decoder()
    decoder.decode(OPUS.encoder().encode(voice(FRAME)))
    assert decoder.conceal(FRAME, b"\xff\xff\xff").size == FRAME
    assert decoder.conceal(FRAME, b"").size == FRAME


def test_wrong_use_is_said() -> None:
    with pytest.raises(ValueError, match="960 are 20 ms"):
        OPUS.encoder().encode(np.zeros(100, np.int16))
    with pytest.raises(PayloadRefused, match="0 octets"):
        OPUS.decoder().decode(b"")


def test_what_is_offered() -> None:
    assert OPUS.fmtp == "useinbandfec=1;usedtx=1"
    assert OpusCodec(OpusSettings(fec=False, dtx=False)).fmtp == ""
    assert (OPUS.clock_rate, OPUS.channels) == (48000, 2)


def test_expected_loss_may_change_while_it_runs() -> None:
    encoder = OpusCodec(OpusSettings(expected_loss=0)).encoder()
    spoken = frames(voice(FRAME * 60))
    without = sum(len(encoder.encode(each)) for each in spoken[:30])
    encoder.expect_loss(500)  # clipped to 100 percent
    assert sum(len(encoder.encode(each)) for each in spoken[30:]) != without


def test_a_steady_tone_is_no_pause():
    """libopus's own detector takes one for noise, and would send nothing."""
    encoder = OPUS.encoder("usedtx=1")
    pcm = (8000 * np.sin(np.arange(48000 * 3) * 2 * np.pi * 440 / 48000)).astype(np.int16)
    sent = [encoder.encode(pcm[at : at + 960]) for at in range(0, pcm.size, 960)]
    assert all(sent)


@pytest.mark.parametrize(
    ("fmtp", "fec", "dtx", "bitrate", "rate"),
    [
        ("", False, False, 32000, 48000),
        ("useinbandfec=1", True, False, 32000, 48000),
        ("maxplaybackrate=16000; usedtx=1;stereo=1", False, True, 32000, 16000),
        ("maxaveragebitrate=20000;useinbandfec=1;usedtx=0", True, False, 20000, 48000),
        ("maxaveragebitrate=1;maxplaybackrate=1", False, False, 6000, 8000),
        ("usedtx=yes;;=;useinbandfec", False, False, 32000, 48000),
    ],
)
def test_what_the_far_end_asks_for_is_what_it_gets(fmtp, fec, dtx, bitrate, rate):
    asked = OpusSettings().restricted_to(fmtp)
    assert (asked.fec, asked.dtx, asked.bitrate, asked.playback_rate) == (fec, dtx, bitrate, rate)
    assert OpusCodec(OpusSettings()).encoder(fmtp).encode(np.zeros(960, dtype=np.int16)) != b""


@pytest.mark.parametrize(
    ("rate", "number"), [(8000, 1101), (11025, 1102), (16000, 1103), (24000, 1104), (48000, 1105)]
)
def test_no_more_bandwidth_is_sent_than_is_played(rate, number):
    assert OpusSettings(playback_rate=rate).bandwidth == number
