"""Listening and conversational quality by the E-model (ITU-T G.107), vectorized.

The default values of G.107 (05/2011) table 1 for everything but delay and loss; Ie and Bpl of
G.711 with packet loss concealment from G.113 Appendix I.  A planning model, not a measurement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_opinion_score", "mos_from_r", "r_factor"]


def r_factor(
    one_way_delay: NDArray[np.float64] | float,
    loss: NDArray[np.float64] | float,
    burst_ratio: NDArray[np.float64] | float = 1.0,
    *,
    equipment_impairment: float = 0.0,
    loss_robustness: float = 25.1,
) -> NDArray[np.float64]:
    """The transmission rating R, 0 to 93.2.

    `one_way_delay` is mouth to ear in seconds, `loss` the share of packets lost or discarded (0 to
    1), `burst_ratio` BurstR (1: random loss); `equipment_impairment` Ie and `loss_robustness` Bpl
    default to G.711 with concealment.
    """
    raise NotImplementedError


def mos_from_r(r: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The mean opinion score of a rating, 1.0 to 4.5 (G.107 Annex B)."""
    raise NotImplementedError


def mean_opinion_score(
    one_way_delay: NDArray[np.float64] | float,
    loss: NDArray[np.float64] | float,
    burst_ratio: NDArray[np.float64] | float = 1.0,
) -> NDArray[np.float64]:
    """The mean opinion score of G.711 with concealment, 1.0 to 4.5; arguments of `r_factor`."""
    return mos_from_r(r_factor(one_way_delay, loss, burst_ratio))
