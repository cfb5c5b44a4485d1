"""Digits as tones in what is played."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import Source
from softphone.media.audio import SilenceSource, ToneSource, tone_level
from softphone.media.audio.dtmf_overlay import OverlaySource, digit_tones
from tests.support.sounds import digits_in


def test_the_tones_are_heard_as_the_digits():
    pcm = digit_tones("12#,d", duration_ms=80, clock_rate_hz=8000)
    assert digits_in(pcm.astype(float)) == "12#D"
    assert pcm.size == 4 * (640 + 480) + 4000
    assert digit_tones("", duration_ms=80, clock_rate_hz=8000).size == 0


def test_what_is_no_digit_is_refused():
    with pytest.raises(ConfigurationError):
        digit_tones("1x", duration_ms=80, clock_rate_hz=8000)


def test_the_source_is_read_on_below_and_heard_again():
    overlay = OverlaySource(ToneSource(1000.0))
    assert isinstance(overlay, Source)
    overlay.queue_pieces([digit_tones("5", duration_ms=100, clock_rate_hz=8000)])
    pcm = np.concatenate([overlay.read(160) for _ in range(30)])
    plain = ToneSource(1000.0).read(4800)
    assert tone_level(pcm[:800], 770.0, 8000) > -12.0
    assert tone_level(pcm[:800], 1000.0, 8000) < -40.0
    assert np.array_equal(pcm[1280:], plain[1280:])
    assert not overlay.ended


def test_it_ends_with_its_source_and_without_one_with_the_last_piece():
    overlay = OverlaySource(SilenceSource(seconds=0.02))
    overlay.queue_pieces([np.ones(400, dtype=np.int16)])
    sizes = [overlay.read(160).size for _ in range(3)]
    assert sizes == [160, 160, 80]
    assert overlay.ended
    alone = OverlaySource(None, 16_000)
    assert alone.ended
    alone.queue_pieces([np.ones(10, dtype=np.int16), np.ones(0, dtype=np.int16)])
    assert not alone.ended
    assert alone.read(160).tolist() == [1] * 10
    assert alone.ended
    assert alone.clock_rate_hz == 16_000
