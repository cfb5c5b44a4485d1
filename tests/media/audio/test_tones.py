"""Tones made and measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.audio import DTMF, Cadence, ToneGenerator, tone_level
from softphone.media.audio.tones import (
    BLOCK,
    BUSY,
    DIAL,
    RINGBACK,
    dtmf,
    power_level,
)

RATE = 8000


def tone(*frequencies: float, level: float = -13.0, rate: int = RATE) -> ToneGenerator:
    return ToneGenerator(Cadence(frequencies, (), level), rate)


@pytest.mark.parametrize("level", [3.14, 0.0, -13.0, -40.0])
@pytest.mark.parametrize("frequency", [300.0, 437.0, 1004.0, 3400.0])
def test_a_tone_has_the_level_that_was_asked_for(frequency: float, level: float) -> None:
    pcm = tone(frequency, level=level).generate(RATE)
    assert tone_level(pcm, frequency, RATE) == pytest.approx(level, abs=0.05)
    assert power_level(pcm) == pytest.approx(level, abs=0.05)


def test_other_frequencies_are_not_measured() -> None:
    pcm = tone(1000.0).generate(RATE)
    assert tone_level(pcm, 1100.0, RATE) < -80.0
    assert tone_level(pcm, 900.0, RATE) < -80.0


def test_a_tone_is_continuous_over_calls_of_any_size() -> None:
    whole = tone(437.0, 1000.0).generate(4000)
    generator = tone(437.0, 1000.0)
    sizes = [1, 159, 160, 161, 7, 3512]
    pieces = np.concatenate([generator.generate(size) for size in sizes])
    assert np.array_equal(pieces, whole)


def test_a_tone_is_exact_after_an_hour() -> None:
    generator = tone(1000.0)
    first = generator.generate(80)
    generator._position += 3600 * RATE
    assert np.array_equal(generator.generate(80)[:80], first)


@pytest.mark.parametrize("frequencies", [(404.0,), (350.0, 440.0), (1000.0,), (7.0,)])
def test_a_tone_that_repeats_is_the_one_that_its_formula_gives(
    frequencies: tuple[float, ...],
) -> None:
    rate, level = 8000, -13.0
    made = ToneGenerator(Cadence(frequencies, (), level), rate)
    sizes = [160, 7, 8000, 1, 20001, 160, 160]
    heard = np.concatenate([made.generate(size) for size in sizes])
    turns = np.arange(heard.size)[:, None] * np.array(frequencies) / rate
    amplitude = 32767.0 * 10.0 ** ((level - 3.14) / 20.0)
    wanted = amplitude * np.sin(2.0 * np.pi * np.mod(turns, 1.0)).sum(axis=1)
    assert np.abs(heard - wanted).max() < 0.51


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_a_long_tone_is_the_same_as_its_samples_one_by_one(size: int) -> None:
    cadence = dtmf("5", on=0.05, off=0.06)
    ones = ToneGenerator(cadence, RATE)
    expected = [int(ones.generate(1)[0]) for _ in range(size)]
    assert ToneGenerator(cadence, RATE).generate(size).tolist() == expected


def test_what_a_reader_does_to_a_tone_stays_with_the_reader() -> None:
    made, other = (ToneGenerator(Cadence((404.0,)), 8000) for _ in range(2))
    made.generate(2000)[:] = 0
    other.generate(2000)
    assert np.array_equal(made.generate(2000), other.generate(2000))


@pytest.mark.parametrize("digit", list(DTMF))
def test_a_digit_has_its_two_frequencies_and_no_other(digit: str) -> None:
    pcm = ToneGenerator(dtmf(digit, on=0.5, off=0.1), RATE).generate(RATE // 2)
    row, column = DTMF[digit]
    for frequency in {frequency for pair in DTMF.values() for frequency in pair}:
        level = tone_level(pcm, frequency, RATE)
        if frequency in (row, column):
            assert level == pytest.approx(-9.0, abs=0.3)
        else:
            assert level < -30.0


def test_what_is_no_digit_has_no_tone() -> None:
    with pytest.raises(ConfigurationError, match="not a DTMF digit"):
        dtmf("x")


def test_a_cadence_is_on_and_off_in_its_rhythm() -> None:
    pcm = ToneGenerator(BUSY, RATE).generate(2 * RATE)
    halves = pcm.reshape(4, RATE // 2)
    assert [power_level(half) > -30.0 for half in halves] == [True, False, True, False]
    assert not halves[1].any()


def test_ringback_rings_two_seconds_in_six() -> None:
    pcm = ToneGenerator(RINGBACK, RATE).generate(12 * RATE).reshape(12, RATE)
    assert [bool(second.any()) for second in pcm] == ([True] * 2 + [False] * 4) * 2


def test_a_dial_tone_never_stops() -> None:
    pcm = ToneGenerator(DIAL, RATE).generate(3 * RATE).reshape(-1, 400)
    assert all(part.any() for part in pcm)


def test_edges_of_a_rhythm_do_not_click() -> None:
    pcm = ToneGenerator(Cadence((1000.0,), (0.1, 0.1), 0.0), RATE).generate(RATE).astype(np.int64)
    steady = tone(1000.0, level=0.0).generate(RATE).astype(np.int64)
    assert np.abs(np.diff(pcm)).max() <= np.abs(np.diff(steady)).max()


def test_loud_tones_are_clipped_and_never_wrap() -> None:
    pcm = tone(400.0, 500.0, level=3.0).generate(RATE)
    assert pcm.max() == 32767
    assert pcm.min() == -32767


@pytest.mark.parametrize("frequencies", [(0.0,), (-5.0,)])
def test_a_tone_of_no_frequency_is_refused(frequencies: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="positive frequencies"):
        Cadence(frequencies)


@pytest.mark.parametrize("rhythm", [(1.0,), (1.0, 0.0), (1.0, -1.0)])
def test_a_rhythm_is_pairs_of_positive_times(rhythm: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="pairs"):
        Cadence((400.0,), rhythm)


def test_a_frequency_above_half_the_rate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="8000 Hz"):
        tone(4000.0)


def test_silence_and_nothing_have_no_level() -> None:
    for pcm in (np.zeros(100, dtype=np.int16), np.zeros(0, dtype=np.int16)):
        assert power_level(pcm) == -math.inf
        assert tone_level(pcm, 1000.0, RATE) == -math.inf
