"""The target delay that transit variation calls for."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.delay import HEAVIEST, DelayBank

ROW = np.array([0])


def opened(percentile: float = 0.95) -> DelayBank:
    bank = DelayBank(1, maximum=0.2, percentile=percentile)
    bank.open(0, minimum=0.02)
    return bank


def observe(bank: DelayBank, transits: np.ndarray, start: float = 0.0) -> None:
    for number, transit in enumerate(transits.tolist()):
        arrival = start + 0.02 * number + transit
        bank.observe(ROW, np.array([transit]), np.array([arrival]))


def test_without_variation_the_target_is_the_minimum() -> None:
    bank = opened()
    observe(bank, np.full(100, 7.5))
    assert bank.target[0] == 0.02
    assert bank.baseline[0] == 7.5


def test_the_target_is_the_percentile_of_the_variation() -> None:
    bank = opened(0.9)
    transits = np.random.default_rng(1).uniform(0.0, 0.1, 1000)
    transits[0] = 0.0
    observe(bank, transits)
    assert bank.target[0] == pytest.approx(0.09, abs=0.012)


def test_the_target_stays_below_the_maximum() -> None:
    bank = opened()
    transits = np.zeros(200)
    transits[1:] = 3.0
    observe(bank, transits[:80])
    assert bank.target[0] == 0.2


def test_the_baseline_follows_a_clock_that_drifts_away() -> None:
    bank = opened()
    observe(bank, np.arange(500) * 0.02 * 0.001)
    # 1,000 ppm over 10 s; the least of the last two windows lags by four seconds at most.
    assert 0.005 <= bank.baseline[0] <= 0.010
    assert bank.target[0] == 0.02


def test_a_long_pause_forgets_the_old_baseline() -> None:
    bank = opened()
    observe(bank, np.zeros(10))
    observe(bank, np.full(10, 0.05), start=60.0)
    assert bank.baseline[0] == pytest.approx(0.05)


def test_a_jump_forgets_the_baseline_and_keeps_the_target() -> None:
    bank = opened()
    observe(bank, np.random.default_rng(2).uniform(0.0, 0.1, 300))
    target = bank.target[0]
    bank.rebase(ROW)
    observe(bank, np.full(4, -1000.0), start=1006.0)
    assert bank.baseline[0] == -1000.0
    assert bank.target[0] == pytest.approx(target, abs=0.01)


def test_old_variation_is_forgotten() -> None:
    bank = opened()
    observe(bank, np.random.default_rng(3).uniform(0.0, 0.15, 500))
    assert bank.target[0] > 0.1
    observe(bank, np.zeros(1500), start=10.0)
    assert bank.target[0] == 0.02


def test_weights_stay_bounded_for_ever() -> None:
    bank = opened()
    rows = np.arange(1)
    for number in range(8000):
        bank.observe(rows, np.array([0.001 * (number % 30)]), np.array([0.02 * number]))
    assert bank._weight[0] <= HEAVIEST * 1.01
    assert np.isfinite(bank._histogram).all()
    assert bank.target[0] == pytest.approx(0.03, abs=0.006)


def test_opening_a_row_starts_it_afresh() -> None:
    bank = opened()
    observe(bank, np.random.default_rng(4).uniform(0.0, 0.1, 300))
    bank.open(0, minimum=0.03)
    assert bank.target[0] == 0.03
    observe(bank, np.full(30, 5.0))
    assert bank.target[0] == 0.03
