"""The design effect of a figure: how much its variance exceeds that of independent calls.

The calls of one second share a media loop, a network and a machine, so that they are alike, and a
hundred of them say less than a hundred that are independent.  The run is cut into blocks of equal
length (batch means; the last may be shorter), and each block is one cluster: the variance of a
figure between blocks, by that of as many independent values, is its design effect (Kish, Survey
Sampling, 1965; for quantiles as the share of values below, Woodruff, JASA 47, 1952).  Reads no
clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softphone.load.measure import OPERATIONS, Histogram, RunSecond, Tally
from softphone.load.plan import Figure, parse_figure

MOST_BLOCKS = 10
"""10 to 30 blocks are usual; longer blocks correlate less."""
FIGURES: Sequence[str] = (
    *("answered", "failed", "dropped", "registered", "audio", "loss", "late"),
    *(
        f"{name}_{rank}"
        for name in ("setup", "registration", "mos", "jitter", "loss")
        for rank in ("p5", "p50", "p95", "p99")
    ),
    *(
        label
        for each in OPERATIONS.values()
        for label in (each.share, *(f"{each.name}_{rank}" for rank in ("p50", "p95", "p99")))
    ),
)
"""The figures whose design effect a summary has."""

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DesignEffect:
    """The variance of a figure divided by that of independent values (at least 1).

    `blocks` is the number of blocks that it is from.
    """

    blocks: int
    effect: float

    @classmethod
    def from_plain(cls, plain: Any) -> DesignEffect:
        """Read a member of a summary.  Raises KeyError, TypeError or ValueError."""
        blocks, effect = plain["blocks"], plain["effect"]
        if type(blocks) is not int or not 1 <= blocks <= MOST_BLOCKS:
            raise ValueError(f"{str(blocks)[:40]!r} is no number of blocks")
        if isinstance(effect, bool) or not isinstance(effect, int | float) or not effect >= 1.0:
            raise ValueError(f"{str(effect)[:40]!r} is no design effect")
        return cls(blocks, float(effect))


def design_effects(seconds: Sequence[RunSecond]) -> dict[str, DesignEffect]:
    """Return the design effect of each figure that was measured, by its label."""
    blocks = _blocks(seconds)
    found = {}
    for label in FIGURES:
        counts = _counts(parse_figure(label), blocks)
        if counts is not None:
            found[label] = _effect(*counts)
    return found


def read_effects(plain: Mapping[str, Any]) -> dict[str, DesignEffect]:
    """Read the effects of a summary, by known labels.  Raises what `from_plain` does."""
    return {label: DesignEffect.from_plain(plain[label]) for label in FIGURES if label in plain}


def effect_of(effects: Mapping[str, DesignEffect], figure: Figure) -> DesignEffect | None:
    """Return the effect of a figure; None without.

    For an unlisted quantile it is the larger of its two listed neighbors, or the only one.
    """
    if figure.label in effects or figure.quantile is None:
        return effects.get(figure.label)
    known = sorted(
        (each.quantile, each.label)
        for each in map(parse_figure, effects)
        if each.quantile is not None and each.name == figure.name
    )
    below = [label for quantile, label in known if quantile <= figure.quantile][-1:]
    above = [label for quantile, label in known if quantile > figure.quantile][:1]
    found = (effects[label] for label in (*below, *above))
    return max(found, key=lambda each: each.effect, default=None)


def _blocks(seconds: Sequence[RunSecond]) -> list[Tally]:
    """Merge the seconds into blocks of as many each, the last of what remains."""
    length = max(1, -(-len(seconds) // MOST_BLOCKS))
    blocks = []
    for first in range(0, len(seconds), length):
        block = Tally()
        for second in seconds[first : first + length]:
            block.merge(second.tally)
        blocks.append(block)
    return blocks


def _counts(figure: Figure, blocks: Sequence[Tally]) -> tuple[Counts, Counts] | None:
    """Return part and whole of each block; of a quantile the part are the values up to it."""
    histograms = [each for block in blocks if (each := figure.histogram(block)) is not None]
    if histograms:
        whole = Histogram(histograms[0].unit)
        for each in histograms:
            whole.merge(each)
        value = None if figure.quantile is None else whole.quantile(figure.quantile)
        if value is None:
            return None
        pairs = [(each.counts_up_to([value])[0], each.total) for each in histograms]
    else:
        pairs = [figure.shares(block) for block in blocks]
    counts = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return (counts[:, 0], counts[:, 1]) if counts[:, 1].sum() > 0 else None


def _effect(part: Counts, whole: Counts) -> DesignEffect:
    measured = whole > 0
    part, whole = part[measured], whole[measured]
    blocks, total = len(whole), whole.sum()
    share = part.sum() / total
    independent = share * (1.0 - share) / total
    if blocks < 2 or independent <= 0.0:
        # Nothing differs, or nothing is known of how it does.
        return DesignEffect(blocks, 1.0)
    residues = ((part - share * whole) ** 2).sum()
    variance = blocks / (blocks - 1) * residues / total**2
    return DesignEffect(blocks, round(max(1.0, float(variance / independent)), 3))
