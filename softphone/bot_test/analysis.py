"""Measures a call between a caller and a bot from both tracks: when who made a sound.

Pure functions on NumPy arrays; times are seconds of media time at the caller's end, the same for
what it sent and for what it heard.  A track is cut into frames of `HOP` seconds, each with its
level in dBm0.  A sound begins with its first frame that is loud and ends after the last one, so
that each of its edges is found to within one frame, plus what the codec smears.

No standard: the definitions are those of `measure_call`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from softphone.media.audio.tones import FULL_SCALE, FULL_SCALE_DBM0

Levels: TypeAlias = NDArray[np.float32]
"""float32[frames]: the level of each frame in dBm0, -inf for none."""
Spans: TypeAlias = NDArray[np.float64]
"""float64[n, 2]: begin and end of each of n spans in seconds, ascending and apart."""

HOP = 0.005
"""Seconds of a frame."""
QUIETEST, LOUDEST = -50.0, -30.0
"""Bounds in dBm0 of the level above which a frame is loud."""
ABOVE = 12.0
"""dB above the quiet parts of the track from which a frame is loud, within these bounds."""
QUIET_SHARE = 0.1
"""The share of the frames that are taken for the quiet parts."""
BLIP = 0.025
"""Seconds between loud frames that are one sound in any case."""
SHORTEST = 0.04
"""Seconds below which a sound is a click, and is left out."""
GAP = 0.3
"""Seconds of silence within one sound, as between words."""


def frame_levels(pcm: NDArray[np.int16], clock_rate_hz: int) -> Levels:
    """Return the level of each whole frame of int16[samples]; the rest is left out."""
    size = round(HOP * clock_rate_hz)
    count = pcm.size // size
    frames = pcm[: count * size].astype(np.float32).reshape(count, size)
    power = np.mean(np.square(frames), axis=1, dtype=np.float64)
    with np.errstate(divide="ignore"):
        levels = 10.0 * np.log10(2.0 * power / FULL_SCALE**2) + FULL_SCALE_DBM0
    return levels.astype(np.float32)


def place_levels(pieces: Sequence[tuple[float, Levels]]) -> Levels:
    """Put pieces, each with the time of its first frame, on one track that begins at 0.

    Where no piece is, the level is -inf; of two pieces in one place the later one counts.
    """
    places = [(max(0, round(at / HOP)), levels) for at, levels in pieces]
    whole = max((at + levels.size for at, levels in places), default=0)
    track = np.full(whole, -np.inf, dtype=np.float32)
    for at, levels in places:
        track[at : at + levels.size] = levels
    return track


def loudness_bound(levels: Levels) -> float:
    """Return the level in dBm0 above which a frame of this track is loud."""
    heard = levels[np.isfinite(levels)]
    if not heard.size:
        return QUIETEST
    quiet = float(np.quantile(heard, QUIET_SHARE))
    # Where silence is sent as zeros it counts as quiet, too.
    if heard.size < (1.0 - QUIET_SHARE) * levels.size:
        quiet = -np.inf
    return float(np.clip(quiet + ABOVE, QUIETEST, LOUDEST))


def find_sounds(levels: Levels, bound: float | None = None, *, gap: float = GAP) -> Spans:
    """Find the sounds of a track; `bound` is the level of loud frames, by default the track's.

    Loud frames that are at most `gap` seconds apart are one sound; what is shorter than `SHORTEST`
    is none.
    """
    loud = levels > (loudness_bound(levels) if bound is None else bound)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    spans = join_spans(edges.reshape(-1, 2).astype(np.float64) * HOP, BLIP)
    spans = spans[spans[:, 1] - spans[:, 0] >= SHORTEST - HOP / 2]
    return join_spans(spans, gap)


def join_spans(spans: Spans, gap: float) -> Spans:
    """Join ascending spans that are at most `gap` seconds apart."""
    if len(spans) < 2:
        return spans
    apart = spans[1:, 0] - spans[:-1, 1] > gap + HOP / 2
    begins = spans[np.concatenate(([True], apart)), 0]
    ends = spans[np.concatenate((apart, [True])), 1]
    return np.stack((begins, ends), axis=1)


@dataclass(frozen=True, slots=True)
class CallMeasures:
    """What was measured of one call, in seconds.

    `first_sound` is None where the bot made none.  `responses` has a time for each turn of the
    caller that the bot is to answer, None for no answer; `barge_ins` one for each turn that began
    while the bot spoke, None where it did not speak at that moment.
    """

    first_sound: float | None
    responses: tuple[float | None, ...]
    barge_ins: tuple[float | None, ...]
    talk_over: float
    dead_air: float


def measure_call(
    turns: Spans,
    sounds: Spans,
    *,
    answered: NDArray[np.bool_],
    barge_in: NDArray[np.bool_],
    began: float,
    ended: float,
) -> CallMeasures:
    """Measure a call from the caller's `turns` and the bot's `sounds`.

    `answered` bool[turns]: the bot is to answer the turn.  `barge_in` bool[turns]: the turn
    interrupts the bot.  The call was answered at `began`, and the script is over at `ended`.

    * First sound: from `began` to the first sound of the bot.
    * Response: from the end of a turn to the begin of the first sound that begins in the turn or
      after it, ends after the turn, and begins before the next turn; 0 if it begins before the
      turn's end.
    * Barge-in: from the begin of a turn to the end of the sound that was heard then.
    * Talk-over: the sum of the times in which both speak, of sounds that began in a turn.
    * Dead air: the longest time between `began` and `ended` in which neither speaks.
    """
    next_begins = np.append(turns[1:, 0], np.inf)
    return CallMeasures(
        first_sound=_first_sound(sounds, began),
        responses=tuple(
            _response(turns[at], float(next_begins[at]), sounds)
            for at in np.flatnonzero(answered).tolist()
        ),
        barge_ins=tuple(
            _stop_time(float(turns[at, 0]), sounds) for at in np.flatnonzero(barge_in).tolist()
        ),
        talk_over=_talk_over(turns, sounds),
        dead_air=_dead_air(turns, sounds, began, ended),
    )


def _first_sound(sounds: Spans, began: float) -> float | None:
    after = sounds[sounds[:, 1] > began]
    return max(0.0, float(after[0, 0]) - began) if len(after) else None


def _response(turn: NDArray[np.float64], before: float, sounds: Spans) -> float | None:
    begin, end = turn.tolist()
    fits = (sounds[:, 0] > begin) & (sounds[:, 0] < before) & (sounds[:, 1] > end)
    found = sounds[fits]
    return max(0.0, float(found[0, 0]) - end) if len(found) else None


def _stop_time(begin: float, sounds: Spans) -> float | None:
    heard = sounds[(sounds[:, 0] < begin) & (sounds[:, 1] > begin)]
    return float(heard[0, 1]) - begin if len(heard) else None


def _talk_over(turns: Spans, sounds: Spans) -> float:
    """Sum, over all pairs of a turn and a sound that begins in it, the time in which both sound."""
    inside = (sounds[None, :, 0] > turns[:, None, 0]) & (sounds[None, :, 0] < turns[:, None, 1])
    both = np.minimum(sounds[None, :, 1], turns[:, None, 1]) - sounds[None, :, 0]
    return float(np.sum(both[inside]))


def _dead_air(turns: Spans, sounds: Spans, began: float, ended: float) -> float:
    spans = np.concatenate((turns, sounds, [[began, began], [ended, ended]]))
    spans = np.clip(spans[np.argsort(spans[:, 0], kind="stable")], began, ended)
    covered = np.maximum.accumulate(spans[:, 1])
    return float(max(0.0, np.max(spans[1:, 0] - covered[:-1])))
