"""Comfort noise (RFC 3389): measured, packed and played; another maker's as the oracle."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from av import AudioFrame, CodecContext, Packet

from softphone_codecs import ComfortNoise, ComfortNoiseGenerator, pack_noise, unpack_noise
from softphone_codecs.comfort_noise import measure_noise


def colored(samples: int, level: float = 300.0) -> np.ndarray:
    """Noise with a hill around 1 kHz."""
    white = np.random.default_rng(3389).standard_normal(samples)
    out = np.zeros(samples)
    for at in range(2, samples):
        out[at] = white[at] + 1.2 * out[at - 1] - 0.6 * out[at - 2]
    return (out / out.std() * level).astype(np.int16)


def color(pcm: np.ndarray) -> np.ndarray:
    """The spectrum in dB, 125 bands, without its level."""
    blocks = pcm[: pcm.size // 250 * 250].reshape(-1, 250) * np.hanning(250)
    found = 10 * np.log10((np.abs(np.fft.rfft(blocks)) ** 2).mean(axis=0)[1:] + 1)
    return found - found.mean()


def other(mode: str) -> CodecContext:
    context = CodecContext.create("comfortnoise", mode)
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    if mode == "w":
        context.time_base = Fraction(1, 8000)
        context.open()
    return context


def play(noise: ComfortNoise, frames: int = 200) -> np.ndarray:
    source = ComfortNoiseGenerator(3, samples=160, seed=1)
    source.set_noise(1, noise)
    return np.concatenate([source.generate([1])[0] for _ in range(frames)])


def test_level_and_color_come_back() -> None:
    heard = colored(32000)
    sent = unpack_noise(pack_noise(measure_noise(heard[None, :1600])[0]))
    assert sent is not None
    played = play(sent)
    assert abs(20 * np.log10(played.std() / heard.std())) < 1.5
    assert np.abs(color(heard) - color(played)).mean() < 1.2


def test_what_we_pack_sounds_the_same_from_another_maker() -> None:
    heard = colored(32000)
    payload = pack_noise(measure_noise(heard[None, :1600])[0])
    decoder = other("r")
    frames = [frame for _ in range(60) for frame in decoder.decode(Packet(payload))]
    theirs = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    assert np.abs(color(heard) - color(theirs)).mean() < 1.2


def test_what_another_maker_packs_is_read() -> None:
    heard = colored(640)
    frame = AudioFrame.from_ndarray(heard[None], format="s16", layout="mono")
    frame.sample_rate = 8000
    theirs = unpack_noise(bytes(next(iter(other("w").encode(frame)))))
    ours = measure_noise(heard[None])[0]
    assert theirs is not None
    assert abs(theirs.level - ours.level) <= 1
    assert theirs.reflection[:2] == pytest.approx(ours.reflection[:2], abs=0.06)


def test_rows_are_measured_and_played_together_as_alone() -> None:
    rows = np.stack([colored(800, 100), colored(800, 1000), np.zeros(800, np.int16)])
    together = measure_noise(rows)
    for row in range(3):
        alone = measure_noise(rows[row : row + 1])[0]
        assert together[row].level == alone.level
        assert together[row].reflection == pytest.approx(alone.reflection)
    assert together[2].level == 120  # nothing at all, but for the floor of the measure


def test_frames_join_evenly() -> None:
    played = play(ComfortNoise(30), frames=1000)[160:]
    by_place = played.reshape(-1, 160).astype(np.float64).std(axis=0)
    assert by_place.max() / by_place.min() < 1.35  # no swell at the borders, beyond chance


def test_a_level_alone_is_white() -> None:
    played = play(ComfortNoise(40))
    assert 20 * np.log10(played.std() / 32768) == pytest.approx(-40, abs=0.7)
    assert np.abs(color(played)).mean() < 0.8


def test_level_127_is_silence_and_pure_tones_stay_finite() -> None:
    assert not play(ComfortNoise(127)).any()
    tone = (8000 * np.sin(np.arange(1600) * 0.5)).astype(np.int16)
    assert np.isfinite(play(measure_noise(tone[None])[0]).astype(float)).all()


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\xff\x01"])
def test_what_is_no_payload(payload: bytes) -> None:
    assert unpack_noise(payload) is None


def test_long_payloads_are_read_to_the_tenth_coefficient() -> None:
    found = unpack_noise(bytes([30]) + bytes(range(255)))
    assert found is not None
    assert len(found.reflection) == 10
    extreme = unpack_noise(bytes([20, *[255] * 10]))
    assert extreme is not None
    assert np.abs(play(extreme)).max() <= 32767


def test_coefficients_survive_packing() -> None:
    sent = ComfortNoise(33, (-0.9, 0.5, 0.0, 1.0, -1.0))
    back = unpack_noise(pack_noise(sent))
    assert back is not None
    assert back.reflection == pytest.approx(sent.reflection, abs=0.005)
