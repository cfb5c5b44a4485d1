"""Silence, tones, echo and tees."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import PcmBlock, Sink, Source
from softphone.media.audio import EchoSource, SilenceSource, TeeSink, ToneSource, tone_level
from softphone.media.audio.sources import PcmRing
from softphone.media.audio.tones import BUSY, power_level


def block(pcm: np.ndarray, rate: int = 8000) -> PcmBlock:
    return PcmBlock(pcm.astype(np.int16), rate, 0, 0)


@pytest.mark.parametrize("source", [SilenceSource(), ToneSource(440.0), EchoSource()])
def test_they_are_sources(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.clock_rate_hz == 8000
    assert not source.ended


def test_silence_is_zeros_for_as_long_as_was_said() -> None:
    source = SilenceSource(16_000, seconds=0.03)
    assert source.read(320).tolist() == [0] * 320
    assert not source.ended
    assert source.read(320).size == 160
    assert source.ended
    assert source.read(320).size == 0


def test_silence_may_last_for_ever() -> None:
    source = SilenceSource()
    assert sum(source.read(160).size for _ in range(1000)) == 160_000


def test_a_tone_sounds_for_as_long_as_was_said() -> None:
    source = ToneSource(440.0, seconds=1.0, level_dbm0=-20.0)
    pcm = np.concatenate([source.read(160) for _ in range(60)])
    assert pcm.size == 8000
    assert source.ended
    assert tone_level(pcm, 440.0, 8000) == pytest.approx(-20.0, abs=0.1)


def test_a_cadence_is_a_tone_too() -> None:
    pcm = ToneSource(BUSY).read(8000)
    assert power_level(pcm[:4000]) > -30.0
    assert not pcm[4000:].any()


@pytest.mark.parametrize(("rate", "seconds"), [(0, None), (8000, -1.0)])
def test_a_source_without_sense_is_refused(rate: int, seconds: float | None) -> None:
    with pytest.raises(ConfigurationError):
        SilenceSource(rate, seconds=seconds)


def test_an_echo_gives_back_what_it_was_given() -> None:
    echo = EchoSource()
    assert isinstance(echo, Sink)
    assert echo.read(160).size == 0
    echo.write(block(np.arange(160)))
    assert echo.read(160).tolist() == list(range(160))
    assert not echo.ended


def test_an_echo_with_a_delay_begins_with_silence() -> None:
    echo = EchoSource(delay=0.02)
    echo.write(block(np.full(160, 7)))
    assert echo.read(160).tolist() == [0] * 160
    assert echo.read(160).tolist() == [7] * 160


def test_an_echo_that_nobody_reads_does_not_grow() -> None:
    echo = EchoSource(seconds=0.1)
    for _ in range(100):
        echo.write(block(np.zeros(160)))
    assert echo.dropped_samples == 100 * 160 - 800


def test_an_echo_cannot_be_late_by_more_than_it_holds() -> None:
    with pytest.raises(ConfigurationError, match="delay"):
        EchoSource(delay=2.0, seconds=1.0)


def test_a_tee_gives_every_block_to_all() -> None:
    one, other = PcmRing(), PcmRing()
    tee = TeeSink(one, other)
    assert isinstance(tee, Sink)
    tee.write(block(np.arange(160)))
    assert one.read(160).tolist() == other.read(160).tolist() == list(range(160))


def test_a_tee_takes_any_rate_and_has_the_drops_of_its_sinks() -> None:
    one, other = PcmRing(16_000, seconds=0.02), PcmRing(8_000)
    tee = TeeSink(one, other)
    assert tee.clock_rate_hz == 0
    tee.write(block(np.zeros(640), rate=16_000))
    assert tee.dropped_samples == 320
    assert other.read(1000).size == pytest.approx(320, abs=40)
