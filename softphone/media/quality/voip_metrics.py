"""Computes VoIP metrics of a stream, and converts them to and from XR (RFC 3611 section 4.7).

R and MOS are by the E-model (ITU-T G.107) with the impairment of G.711 with concealment, for every
codec; BurstR comes from the observed losses.  Samples skipped to shorten the delay do not count as
discarded.  Echo is not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from softphone.events import VoiceQuality
from softphone.fast_dataclass import fast_init
from softphone.media.bank import FRAME_MS
from softphone.media.playout import GMIN
from softphone.media.quality.e_model import mos_from_r, r_factor
from softphone.rtp import VoipMetrics

__all__ = [
    "ADAPTIVE",
    "ENHANCED",
    "STANDARD",
    "LossBurstCounts",
    "QualityMeasurement",
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


@fast_init
@dataclass(frozen=True, slots=True)
class LossBurstCounts:
    """The counts of one row, in the order of `LossBurstBank.row_numbers`."""

    frames: int = 0
    missed: int = 0
    stretches: int = 0
    bursts: int = 0
    burst_missed: int = 0
    burst_frames: int = 0
    in_burst: int = 0


@fast_init
@dataclass(frozen=True, slots=True)
class QualityMeasurement:
    """The measurements of a stream; times in seconds, energies as mean squares.

    `far_delay` is the end system delay that the far end reports, or None; `energy` is 0 without
    speech, `noise` None if unknown.
    """

    expected: int
    lost: int
    late: int
    counted: LossBurstCounts = LossBurstCounts()
    round_trip: float | None = None
    far_delay: float | None = None
    playout_delay: float = 0.0
    target_delay: float = 0.0
    maximum_delay: float = 0.0
    packet_time: float = FRAME_MS / 1e3
    energy: float = 0.0
    noise: float | None = None
    enhanced: bool = False


def level_dbm0(energy: float) -> float | None:
    """The level of a mean square; None for silence, which has none."""
    if energy <= 0.0:
        return None
    return 10.0 * math.log10(energy / FULL_SCALE_ENERGY) + FULL_SCALE_DBM0


def voice_quality(seen: QualityMeasurement) -> VoiceQuality:
    """Compute the voice quality of a measurement."""
    expected = max(seen.expected, 1)
    loss, discard = min(max(seen.lost, 0) / expected, 1.0), min(seen.late / expected, 1.0)
    own = seen.playout_delay + seen.packet_time
    far = own if seen.far_delay is None else seen.far_delay
    # RFC 3611 section 4.7.3: half of the sum of round trip and both end system delays.
    one_way = ((seen.round_trip or 0.0) + own + far) / 2.0
    count = seen.counted
    share, burst_ratio = min(loss + discard, 1.0), _burst_ratio(count)
    rating = r_factor(one_way, share, burst_ratio)
    gap_frames, gaps = count.frames - count.burst_frames, count.bursts + 1 - count.in_burst
    gap_missed = count.missed - count.burst_missed
    return VoiceQuality(
        loss_rate=loss,
        discard_rate=discard,
        burst_density=count.burst_missed / count.burst_frames if count.burst_frames else 0.0,
        gap_density=gap_missed / gap_frames if gap_frames > 0 else 0.0,
        burst_duration_ms=FRAME_MS * count.burst_frames / count.bursts if count.bursts else 0.0,
        gap_duration_ms=FRAME_MS * max(gap_frames, 0) / gaps if gaps else 0.0,
        gap_threshold=GMIN,
        round_trip_ms=None if seen.round_trip is None else 1e3 * seen.round_trip,
        end_system_delay_ms=1e3 * own,
        signal_level_dbm0=level_dbm0(seen.energy),
        noise_level_dbm0=None if seen.noise is None else level_dbm0(seen.noise),
        r_factor=rating,
        mos_listening=mos_from_r(r_factor(0.0, share, burst_ratio)),
        mos_conversational=mos_from_r(rating),
        concealment=ENHANCED if seen.enhanced else STANDARD,
        adaptation=ADAPTIVE,
        adjustment_rate=ADJUSTMENT_RATE,
        jitter_buffer_nominal_ms=1e3 * seen.target_delay,
        jitter_buffer_maximum_ms=1e3 * seen.maximum_delay,
        jitter_buffer_absolute_maximum_ms=1e3 * seen.maximum_delay,
    )


def _burst_ratio(seen: LossBurstCounts) -> float:
    """BurstR (G.107 clause 7.5): mean length of loss bursts, divided by that of random loss."""
    if not seen.stretches or not seen.frames:
        return 1.0
    return seen.missed / seen.stretches * (1.0 - seen.missed / seen.frames)


# The wire ---------------------------------------------------------------------------------------


def voip_metrics(quality: VoiceQuality, *, sender_ssrc: int, ssrc: int) -> VoipMetrics:
    """Return the XR block that reports `quality` of the source `ssrc`."""
    receiver = quality.concealment << 6 | quality.adaptation << 4 | quality.adjustment_rate
    return VoipMetrics(
        sender_ssrc=sender_ssrc,
        ssrc=ssrc,
        loss_rate=_share(quality.loss_rate),
        discard_rate=_share(quality.discard_rate),
        burst_density=_share(quality.burst_density),
        gap_density=_share(quality.gap_density),
        burst_duration_ms=_milliseconds(quality.burst_duration_ms),
        gap_duration_ms=_milliseconds(quality.gap_duration_ms),
        round_trip_delay_ms=_milliseconds(quality.round_trip_ms or 0.0),
        end_system_delay_ms=_milliseconds(quality.end_system_delay_ms),
        signal_level_dbm=_bounded(quality.signal_level_dbm0, -128, 126),
        noise_level_dbm=_bounded(quality.noise_level_dbm0, -128, 126),
        residual_echo_return_loss_db=_bounded(quality.residual_echo_return_loss_db, 0, 126),
        gap_threshold=quality.gap_threshold,
        r_factor=_bounded(quality.r_factor, 0, 100),
        external_r_factor=_bounded(quality.external_r_factor, 0, 100),
        mos_listening=_bounded(_tenfold(quality.mos_listening), 10, 50),
        mos_conversational=_bounded(_tenfold(quality.mos_conversational), 10, 50),
        receiver_configuration=receiver,
        jitter_buffer_nominal_ms=_milliseconds(quality.jitter_buffer_nominal_ms),
        jitter_buffer_maximum_ms=_milliseconds(quality.jitter_buffer_maximum_ms),
        jitter_buffer_absolute_maximum_ms=_milliseconds(quality.jitter_buffer_absolute_maximum_ms),
    )


def _share(value: float) -> int:
    return max(0, min(255, int(256.0 * value)))


def _milliseconds(value: float) -> int:
    return max(0, min(0xFFFF, round(value)))


def _tenfold(value: float | None) -> float | None:
    return None if value is None else 10.0 * value


def _bounded(value: float | None, least: int, most: int) -> int:
    return UNAVAILABLE if value is None else max(least, min(most, round(value)))


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
