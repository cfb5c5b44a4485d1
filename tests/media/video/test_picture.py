"""The test pattern says its number, and pictures are compared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softphone.media.video import PatternSource
from softphone.media.video.picture import draw_pattern, pattern_number, psnr


@pytest.mark.parametrize("number", [0, 1, 2, 77, 4095, 65535])
@pytest.mark.parametrize("size", [(64, 64), (320, 240), (640, 360)])
def test_a_pattern_says_its_number(number: int, size: tuple[int, int]) -> None:
    picture = draw_pattern(number, *size)
    assert picture.shape == (size[1] * 3 // 2, size[0])
    assert pattern_number(picture) == number


def test_psnr_is_what_its_definition_says() -> None:
    one = np.zeros((6, 4), dtype=np.uint8)
    assert psnr(one, one) == math.inf
    assert psnr(one, one + np.uint8(255)) == 0.0
    assert psnr(one, one + np.uint8(1)) == pytest.approx(48.13, abs=0.01)
    assert psnr(draw_pattern(1, 320, 240), draw_pattern(9, 320, 240)) < 20


def test_a_source_ends_after_its_frames_and_a_useless_size_is_refused() -> None:
    source = PatternSource(frames=2)
    pictures = [source.read(), source.read(), source.read()]
    assert [isinstance(picture, np.ndarray) for picture in pictures] == [True, True, False]
    assert source.ended
    with pytest.raises(ValueError, match="63x64"):
        PatternSource(width=63, height=64)
