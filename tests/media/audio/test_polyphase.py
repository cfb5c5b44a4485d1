"""The filter of rate conversion: exact, whatever the shape of what it is given."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from softphone.media.audio.polyphase import filter_rows, polyphase

RATIOS = [(1, 2), (1, 3), (1, 6), (2, 1), (3, 1), (6, 1), (2, 3), (3, 2), (80, 441), (441, 80)]


def noise(rows: int, samples: int) -> np.ndarray:
    generator = np.random.default_rng(5)
    return generator.integers(-32768, 32768, (rows, samples)).astype(np.float64)


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_every_phase_passes_a_constant_unchanged(up: int, down: int) -> None:
    taps = polyphase(up, down)
    assert taps.shape[0] == up
    assert (taps.sum(axis=1) == 1.0).all()
    assert (taps * 2**30 == np.rint(taps * 2**30)).all()


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("position", [0, 1])
def test_each_sample_is_the_exact_sum(up: int, down: int, position: int) -> None:
    taps = polyphase(up, down)
    count = 5
    held = noise(2, taps.shape[1] + (position + count * down) // up + 1)
    found = filter_rows(held, (up, down), position, count)
    assert found.shape == (2, count)
    for row, line in enumerate(found):
        for output, sample in enumerate(line.tolist()):
            at, phase = divmod(position + output * down, up)
            exact = sum(
                Fraction(value) * Fraction(tap)
                for value, tap in zip(held[row, at:].tolist(), taps[phase].tolist(), strict=False)
            )
            assert Fraction(sample) == exact


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_neither_rows_nor_length_change_a_sample(up: int, down: int) -> None:
    width = polyphase(up, down).shape[1]
    held = noise(90, width + 9001 * down // up)
    count = 9000
    whole = filter_rows(held[:3], (up, down), 0, count)
    short = filter_rows(held, (up, down), 0, 7)
    assert np.array_equal(short[:3], whole[:, :7])
    one = filter_rows(held[2:3], (up, down), 0, count)
    assert np.array_equal(one[0], whole[2])


def test_nothing_asked_is_nothing_given() -> None:
    assert filter_rows(noise(4, 10), (1, 2), 0, 0).shape == (4, 0)
