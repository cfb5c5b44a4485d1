"""The E-model against values worked out from ITU-T G.107 and G.113."""

from __future__ import annotations

import pytest

from softphone.media.quality.e_model import mean_opinion_score, mos_from_r, r_factor


@pytest.mark.parametrize(
    ("r", "mos"),
    # G.107 Annex B, table B.1: the limits of user satisfaction.
    [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)],
)
def test_a_rating_gives_the_score_of_annex_b(r: float, mos: float) -> None:
    assert mos_from_r(r) == pytest.approx(mos, abs=0.01)


def test_the_default_connection_is_rated_93_2_and_4_41() -> None:
    assert r_factor(0.0, 0.0) == pytest.approx(93.2)
    assert mean_opinion_score(0.0, 0.0) == pytest.approx(4.41, abs=0.005)


def test_scores_are_bounded() -> None:
    scores = [mos_from_r(0.5 * half) for half in range(-100, 301)]
    assert scores[0] == min(scores) == 1.0
    assert scores[-1] == max(scores) == 4.5
    assert scores == sorted(scores)


@pytest.mark.parametrize(
    ("loss", "effective"),
    # Ie-eff = 95 Ppl / (Ppl / BurstR + 25.1) with Ie 0 (G.107 7.5, G.113 Appendix I).
    [(0.01, 3.64), (0.02, 7.01), (0.05, 15.78), (0.1, 27.07), (0.2, 42.13)],
)
def test_random_loss_impairs_g711_as_g113_says(loss: float, effective: float) -> None:
    assert 93.2 - r_factor(0.0, loss) == pytest.approx(effective, abs=0.01)


def test_bursty_loss_is_worse_than_random_loss() -> None:
    assert r_factor(0.0, 0.05, 2.0) < r_factor(0.0, 0.05)
    # Less bursty than random does not exist here.
    assert r_factor(0.0, 0.05, 0.5) == r_factor(0.0, 0.05)


@pytest.mark.parametrize(
    ("delay", "idd"),
    # Clause 7.4 with mT 100 ms and sT 1, worked out by hand.
    [(0.0, 0.0), (0.1, 0.0), (0.2, 3.04), (0.3, 14.76), (0.4, 24.07)],
)
def test_delay_impairs_as_clause_7_4_says(delay: float, idd: float) -> None:
    assert 93.2 - r_factor(delay, 0.0) == pytest.approx(idd, abs=0.02)


def test_delay_and_loss_together_lower_the_score() -> None:
    assert mean_opinion_score(0.05, 0.0) > 4.3
    assert mean_opinion_score(0.3, 0.1) < 3.0


def test_an_impaired_codec_starts_lower() -> None:
    # G.729A: Ie 11, Bpl 19.
    rating = r_factor(0.0, 0.0, equipment_impairment=11.0, loss_robustness=19.0)
    assert rating == pytest.approx(82.2)


def test_a_share_outside_0_to_1_is_taken_as_the_nearest() -> None:
    assert r_factor(0.0, -0.5) == pytest.approx(93.2)
    assert r_factor(0.0, 7.0) == r_factor(0.0, 1.0)
