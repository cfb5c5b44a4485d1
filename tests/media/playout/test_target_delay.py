"""The target delay that transit variation calls for."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.playout import PacketRuns
from softphone.media.playout.target_delay import HEAVIEST, REFRESH, TargetDelayBank

ROW = np.array([0])


def opened(percentile: float = 0.95) -> TargetDelayBank:
    bank = TargetDelayBank(1, maximum=0.2, percentile=percentile)
    bank.open_row(0, minimum=0.02)
    return bank


def observe(bank: TargetDelayBank, transits: np.ndarray, start: float = 0.0) -> None:
    for number, transit in enumerate(transits.tolist()):
        arrival = start + 0.02 * number + transit
        bank.observe_transit(ROW, None, np.array([transit]), np.array([arrival]))


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


HELD = np.arange(9, -1, -1) * 0.02
"""The transits of ten packets that were held back and have come together."""


def test_after_a_jump_what_comes_at_once_tells_how_late_its_first_packets_were() -> None:
    bank = opened()
    observe(bank, np.full(200, 1.0))
    assert bank.target[0] == 0.02
    for nth in range(3):
        bank.rebase(ROW)
        rows = np.zeros(10, dtype=np.intp)
        bank.observe_transit(rows, PacketRuns(rows), 7.0 + HELD, np.full(10, 12.0 + 0.2 * nth))
        assert bank.baseline[0] == 7.0
    assert bank.target[0] >= 0.14


def test_what_has_waited_for_the_row_to_be_opened_tells_nothing() -> None:
    bank = opened()
    for begin in (0.0, 0.5):
        bank.open_row(0, minimum=0.02)
        observe(bank, 7.0 + HELD, start=begin)
        assert bank.target[0] == 0.02
        assert bank.baseline[0] == 7.0


def test_a_late_packet_after_a_jump_counts_once() -> None:
    bank = opened()
    observe(bank, np.full(100, 1.0))
    bank.rebase(ROW)
    observe(bank, np.append(7.1, np.linspace(7.002, 7.0, 99)), start=10.0)
    assert bank.target[0] == 0.02


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
        bank.observe_transit(
            rows, None, np.array([0.001 * (number % 30)]), np.array([0.02 * number])
        )
    assert bank._weight[0] <= HEAVIEST * 1.01
    assert np.isfinite(bank._histogram).all()
    assert bank.target[0] == pytest.approx(0.03, abs=0.006)


def test_opening_a_row_starts_it_afresh() -> None:
    bank = opened()
    observe(bank, np.random.default_rng(4).uniform(0.0, 0.1, 300))
    bank.open_row(0, minimum=0.03)
    assert bank.target[0] == 0.03
    observe(bank, np.full(30, 5.0))
    assert bank.target[0] == 0.03


def test_runs_are_observed_as_one_packet_after_the_other() -> None:
    generator = np.random.default_rng(5)
    together, single = (TargetDelayBank(3, maximum=0.2, percentile=0.9) for _ in range(2))
    for bank in (together, single):
        for row in range(3):
            bank.open_row(row, minimum=0.02)
    for second in range(9):
        if second in {3, 7, 8}:
            for bank in (together, single):
                bank.rebase(np.arange(second % 3, 3))
        counts = generator.integers(1, 40, 3)
        rows = np.repeat(np.arange(3), counts)
        # All have come at once: the first have taken longest.
        transit = 0.02 * np.concatenate([np.arange(count, 0, -1) for count in counts])
        transit += generator.uniform(0.0, 0.1, rows.size)
        arrival = np.full(rows.size, float(second))
        together.observe_transit(rows, PacketRuns(rows), transit, arrival)
        for at in range(rows.size):
            one = slice(at, at + 1)
            single.observe_transit(rows[one], None, transit[one], arrival[one])
        assert together.baseline.tolist() == single.baseline.tolist()
    assert together._histogram == pytest.approx(single._histogram)
    assert together._weight == pytest.approx(single._weight)
    assert together._count.tolist() == single._count.tolist()
    # Of one packet at a time the target is computed now and then; of a run at its end.
    for row in range(3):
        while (single._count[row] + row) % REFRESH:
            for bank in (together, single):
                bank.observe_transit(np.array([row]), None, np.array([9.0]), np.array([9.0]))
    assert together.target.tolist() == single.target.tolist()


def test_weights_of_runs_stay_bounded_too() -> None:
    bank = opened()
    rows = np.zeros(400, dtype=np.intp)
    for number in range(20):
        transit = np.tile(0.001 * np.arange(20), 20)
        bank.observe_transit(rows, PacketRuns(rows), transit, np.full(400, 8.0 * number))
    assert bank._weight[0] <= HEAVIEST * 10
    assert np.isfinite(bank._histogram).all()
    assert bank.target[0] == pytest.approx(0.02, abs=0.006)


@pytest.mark.parametrize("seed", range(20))
def test_a_row_whose_clock_says_anything_learns_nothing_for_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wild = np.array([0.0, 1e-3, -1e-3, 0.19, -5.0, 1e6, -1e6, 1e9, -1e9])
    together = TargetDelayBank(2, maximum=0.2, percentile=0.95)
    alone = TargetDelayBank(1, maximum=0.2, percentile=0.95)
    for bank, rows in ((together, 2), (alone, 1)):
        for row in range(rows):
            bank.open_row(row, minimum=0.02)
    now = 1.0
    for _ in range(300):
        transit = np.array([rng.normal(0.0, 0.01), rng.choice(wild) + rng.normal(0.0, 0.01)])
        if rng.random() < 0.05:
            together.rebase(np.array([1]))
        together.observe_transit(np.arange(2), None, transit, np.full(2, now))
        alone.observe_transit(np.arange(1), None, transit[:1], np.full(1, now))
        assert together.target[0] == alone.target[0]
        assert 0.02 <= together.target[1] <= 0.2
        assert np.isfinite(together.baseline).all()
        now += rng.choice([0.0, 0.02, 0.2, 3.0, 4000.0])
