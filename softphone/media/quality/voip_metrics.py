"""Computes VoIP metrics of a stream, and converts them to and from XR (RFC 3611 section 4.7).

R and MOS are by the E-model (ITU-T G.107) with the impairment of G.711 with concealment, for every
codec; BurstR comes from the observed losses.  Samples skipped to shorten the delay do not count as
discarded.  Echo is not measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from softphone.events import VoiceQuality
from softphone.media.bank import FRAME_MS
from softphone.media.playout import GMIN
from softphone.media.quality.e_model import NOTICEABLE_DELAY, mos_from_r, r_factor
from softphone.rtp import VoipMetrics

__all__ = [
    "ADAPTIVE",
    "ENHANCED",
    "STANDARD",
    "level_dbm0",
    "quality_of",
    "voice_quality",
    "voip_metrics",
]

ENHANCED, STANDARD = 2, 3
"""Concealment by the codec itself, and by repeating (RFC 3611 section 4.7.6)."""
ADAPTIVE = 3
ADJUSTMENT_RATE = 3
"""The buffer moves after 2 J frames at the earliest (RFC 3611 section 4.7.6)."""
UNAVAILABLE = 127
FULL_SCALE_DBM0 = 3.14
"""The level of a sine of full scale (ITU-T G.711)."""
FULL_SCALE_ENERGY = 32768.0**2 / 2.0


_measured = partial(
    VoiceQuality, gap_threshold=GMIN, adaptation=ADAPTIVE, adjustment_rate=ADJUSTMENT_RATE
)


def level_dbm0(energy: float) -> float | None:
    """The level of a mean square; None for silence, which has none."""
    if energy <= 0.0:
        return None
    return 10.0 * math.log10(energy / FULL_SCALE_ENERGY) + FULL_SCALE_DBM0


def voice_quality(
    counted: Sequence[int],
    *,
    expected: int,
    lost: int,
    late: int,
    round_trip: float | None = None,
    far_delay: float | None = None,
    playout_delay: float = 0.0,
    target_delay: float = 0.0,
    maximum_delay: float = 0.0,
    packet_time: float = FRAME_MS / 1e3,
    energy: float = 0.0,
    noise: float | None = None,
    enhanced: bool = False,
) -> VoiceQuality:
    """Compute the voice quality of a stream from what was measured.

    `counted` are the counts of `LossBurstBank.row_numbers`, in their order.  Times are in seconds,
    energies mean squares.  `far_delay` is the end system delay that the far end reports, or None;
    `energy` is 0 without speech, `noise` None if unknown.
    """
    frames, missed, stretches, bursts, burst_missed, burst_frames, in_burst = counted
    expected = max(expected, 1)
    loss, discard = min(max(lost, 0) / expected, 1.0), min(late / expected, 1.0)
    own = playout_delay + packet_time
    # RFC 3611 section 4.7.3: half of the sum of round trip and both end system delays.
    one_way = ((round_trip or 0.0) + own + (own if far_delay is None else far_delay)) / 2.0
    burst_ratio = _burst_ratio(frames, missed, stretches)
    rating, listening = _ratings(one_way, min(loss + discard, 1.0), burst_ratio)
    gap_frames, gaps = frames - burst_frames, bursts + 1 - in_burst
    return _measured(
        loss_rate=loss,
        discard_rate=discard,
        burst_density=burst_missed / burst_frames if burst_frames else 0.0,
        gap_density=(missed - burst_missed) / gap_frames if gap_frames > 0 else 0.0,
        burst_duration_ms=FRAME_MS * burst_frames / bursts if bursts else 0.0,
        gap_duration_ms=FRAME_MS * max(gap_frames, 0) / gaps if gaps else 0.0,
        round_trip_ms=None if round_trip is None else 1e3 * round_trip,
        end_system_delay_ms=1e3 * own,
        signal_level_dbm0=level_dbm0(energy),
        noise_level_dbm0=None if noise is None else level_dbm0(noise),
        r_factor=rating,
        mos_listening=mos_from_r(listening),
        mos_conversational=mos_from_r(rating),
        concealment=ENHANCED if enhanced else STANDARD,
        jitter_buffer_nominal_ms=1e3 * target_delay,
        jitter_buffer_maximum_ms=1e3 * maximum_delay,
        jitter_buffer_absolute_maximum_ms=1e3 * maximum_delay,
    )


def _burst_ratio(frames: int, missed: int, stretches: int) -> float:
    """BurstR (G.107 clause 7.5): mean length of loss bursts, divided by that of random loss."""
    return missed / stretches * (1.0 - missed / frames) if stretches and frames else 1.0


def _ratings(one_way: float, missing: float, burst_ratio: float) -> tuple[float, float]:
    """Return R, and R without the delay."""
    rating = r_factor(one_way, missing, burst_ratio)
    if 1e3 * one_way <= NOTICEABLE_DELAY:
        return rating, rating
    return rating, r_factor(0.0, missing, burst_ratio)


# The wire ---------------------------------------------------------------------------------------


_RANGES = (
    *[(0, 255)] * 4,
    *[(0, 0xFFFF)] * 4,
    *[(-128, 126)] * 2,
    (0, 126),
    (0, 255),
    *[(0, 100)] * 2,
    *[(10, 50)] * 2,
    (0, 255),
    *[(0, 0xFFFF)] * 3,
)
"""The least and the most of each field of `VoipMetrics` after the two SSRCs."""


def voip_metrics(quality: VoiceQuality, *, sender_ssrc: int, ssrc: int) -> VoipMetrics:
    """Return the XR block that reports `quality` of the source `ssrc`."""
    listening, conversational = quality.mos_listening, quality.mos_conversational
    values = (
        int(256.0 * quality.loss_rate),
        int(256.0 * quality.discard_rate),
        int(256.0 * quality.burst_density),
        int(256.0 * quality.gap_density),
        quality.burst_duration_ms,
        quality.gap_duration_ms,
        quality.round_trip_ms or 0.0,
        quality.end_system_delay_ms,
        quality.signal_level_dbm0,
        quality.noise_level_dbm0,
        quality.residual_echo_return_loss_db,
        quality.gap_threshold,
        quality.r_factor,
        quality.external_r_factor,
        None if listening is None else 10.0 * listening,
        None if conversational is None else 10.0 * conversational,
        quality.concealment << 6 | quality.adaptation << 4 | quality.adjustment_rate,
        quality.jitter_buffer_nominal_ms,
        quality.jitter_buffer_maximum_ms,
        quality.jitter_buffer_absolute_maximum_ms,
    )
    # Comparisons take a third of the time of `max` and `min`.
    numbers = [
        UNAVAILABLE if value is None
        else least if value < least
        else most if value > most
        else round(value)
        for value, (least, most) in zip(values, _RANGES, strict=True)
    ]  # fmt: skip
    return VoipMetrics(sender_ssrc, ssrc, *numbers)


def quality_of(block: VoipMetrics) -> VoiceQuality:
    """Read the voice quality of a block; a field outside its range counts as unavailable."""
    receiver = block.receiver_configuration
    return VoiceQuality(
        loss_rate=block.loss_rate / 256.0,
        discard_rate=block.discard_rate / 256.0,
        burst_density=block.burst_density / 256.0,
        gap_density=block.gap_density / 256.0,
        burst_duration_ms=float(block.burst_duration_ms),
        gap_duration_ms=float(block.gap_duration_ms),
        gap_threshold=block.gap_threshold,
        round_trip_ms=float(block.round_trip_delay_ms) or None,
        end_system_delay_ms=float(block.end_system_delay_ms),
        signal_level_dbm0=_available(block.signal_level_dbm, -128, 126),
        noise_level_dbm0=_available(block.noise_level_dbm, -128, 126),
        residual_echo_return_loss_db=_available(block.residual_echo_return_loss_db, 0, 126),
        r_factor=_available(block.r_factor, 0, 100),
        external_r_factor=_available(block.external_r_factor, 0, 100),
        mos_listening=_tenth(_available(block.mos_listening, 10, 50)),
        mos_conversational=_tenth(_available(block.mos_conversational, 10, 50)),
        concealment=receiver >> 6,
        adaptation=receiver >> 4 & 3,
        adjustment_rate=receiver & 15,
        jitter_buffer_nominal_ms=float(block.jitter_buffer_nominal_ms),
        jitter_buffer_maximum_ms=float(block.jitter_buffer_maximum_ms),
        jitter_buffer_absolute_maximum_ms=float(block.jitter_buffer_absolute_maximum_ms),
    )


def _available(value: int, least: int, most: int) -> float | None:
    return float(value) if least <= value <= most else None


def _tenth(value: float | None) -> float | None:
    return None if value is None else value / 10.0
