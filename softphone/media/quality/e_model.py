"""Listening and conversational quality by the E-model (ITU-T G.107).

All parameters but delay and loss have the default values of G.107 (12/2011) table 2; Ie and Bpl
are those of G.711 with packet loss concealment (G.113 Appendix I).  The E-model is a planning
model, not a measurement.

The functions take one stream at a time: for a single number, arrays take ten times as long.
"""

from __future__ import annotations

import math

BASIC_RATING = 93.2
"""R with all defaults: Ro - Is - Idte (G.107 section 7.7)."""
NOTICEABLE_DELAY = 100.0
"""mT of clause 7.4, ms, with the default sensitivity sT = 1."""


def r_factor(
    one_way_delay: float,
    loss: float,
    burst_ratio: float = 1.0,
    *,
    equipment_impairment: float = 0.0,
    loss_robustness: float = 25.1,
) -> float:
    """The transmission rating R, 0 to 93.2.

    `one_way_delay` is mouth to ear in seconds, `loss` the share of packets lost or discarded (0 to
    1), `burst_ratio` BurstR (1: random loss); `equipment_impairment` Ie and `loss_robustness` Bpl
    default to G.711 with concealment.
    """
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    # Clause 7.5, with Ie,eff running from Ie without loss to 95.
    effective = equipment_impairment + (95.0 - equipment_impairment) * percent / (
        percent / max(burst_ratio, 1.0) + loss_robustness
    )
    rating = BASIC_RATING - delay_impairment(one_way_delay) - effective
    return min(max(rating, 0.0), BASIC_RATING)


def delay_impairment(one_way_delay: float) -> float:
    """Idd, the impairment by absolute delay (G.107 clause 7.4), of a delay in seconds."""
    milliseconds = 1000.0 * one_way_delay
    if milliseconds <= NOTICEABLE_DELAY:
        return 0.0
    x = math.log2(milliseconds / NOTICEABLE_DELAY)
    return 25.0 * (
        math.pow(1.0 + x**6, 1.0 / 6.0) - 3.0 * math.pow(1.0 + (x / 3.0) ** 6, 1.0 / 6.0) + 2.0
    )


def mos_from_r(r: float) -> float:
    """The mean opinion score of a rating, 1.0 to 4.5 (G.107 Annex B)."""
    if r >= 100.0:
        return 4.5
    # Below 6.5 the polynomial dips below 1, which no score does.
    return max(1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6, 1.0) if r > 0.0 else 1.0


def mean_opinion_score(one_way_delay: float, loss: float, burst_ratio: float = 1.0) -> float:
    """The mean opinion score of G.711 with concealment, 1.0 to 4.5; arguments of `r_factor`."""
    return mos_from_r(r_factor(one_way_delay, loss, burst_ratio))
