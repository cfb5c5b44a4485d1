"""VoIP metrics: from counts to quality, and over the wire."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.events import VoiceQuality
from softphone.media.quality import voip_metrics
from softphone.media.quality.voip_metrics import (
    ADAPTIVE,
    ENHANCED,
    STANDARD,
    level_dbm0,
    quality_of,
    voice_quality,
)
from softphone.rtp import ReceiverReport, VoipMetrics, parse_compound, print_compound

GOOD: dict[str, float] = {"expected": 1000, "lost": 0, "late": 0, "playout_delay": 0.02,
                          "target_delay": 0.02, "maximum_delay": 0.2}  # fmt: skip
ALL_PLAYED = (1000, 0, 0, 0, 0, 0, 0)


def quality_with(counted: tuple[int, ...] = ALL_PLAYED, **changed: float) -> VoiceQuality:
    """The quality of a good stream, but for what is `changed`."""
    return voice_quality(counted, **GOOD | changed)  # type: ignore[arg-type]


def test_a_clean_stream_is_as_good_as_the_model_allows() -> None:
    quality = quality_with()
    assert (quality.loss_rate, quality.discard_rate) == (0.0, 0.0)
    assert (quality.burst_density, quality.burst_duration_ms, quality.gap_density) == (0, 0, 0)
    assert quality.gap_duration_ms == 20_000.0
    assert quality.r_factor == pytest.approx(93.2)
    assert quality.mos_listening == quality.mos_conversational == pytest.approx(4.41, abs=0.01)
    assert quality.end_system_delay_ms == pytest.approx(40.0)
    assert quality.round_trip_ms is quality.signal_level_dbm0 is quality.noise_level_dbm0 is None
    assert (quality.concealment, quality.adaptation) == (STANDARD, ADAPTIVE)
    assert quality.jitter_buffer_absolute_maximum_ms == 200.0


def test_bursts_and_gaps_are_shares_and_means() -> None:
    # Two bursts of 10 frames with 4 losses each, and 2 losses alone.
    quality = quality_with((1000, 10, 5, 2, 8, 20, 0), lost=10, late=5)
    assert quality.loss_rate == 0.01
    assert quality.discard_rate == 0.005
    assert quality.burst_density == pytest.approx(0.4)
    assert quality.burst_duration_ms == 200.0
    assert quality.gap_density == pytest.approx(2 / 980)
    assert quality.gap_duration_ms == pytest.approx(20 * 980 / 3)
    still = quality_with((1000, 10, 5, 2, 8, 20, 1))
    assert still.gap_duration_ms == pytest.approx(20 * 980 / 2)


def test_losses_in_a_row_count_more_than_scattered_ones() -> None:
    one = quality_with((1000, 50, 50, 0, 0, 0, 0), lost=50).r_factor
    other = quality_with((1000, 50, 10, 0, 0, 0, 0), lost=50).r_factor
    assert one is not None
    assert other is not None
    assert other < one - 2.0


def test_delay_is_that_of_both_ends_and_no_matter_of_listening() -> None:
    far = quality_with(round_trip=0.4, far_delay=0.2)
    assert far.round_trip_ms == 400.0
    assert far.mos_listening is not None
    assert far.mos_conversational is not None
    # (400 + 40 + 200) / 2 = 320 ms: Idd of G.107 is about 16.
    assert far.r_factor == pytest.approx(77.0, abs=3.0)
    assert far.mos_conversational < far.mos_listening


def test_levels_are_of_a_digital_sine() -> None:
    assert level_dbm0(32768.0**2 / 2) == pytest.approx(3.14)
    assert level_dbm0(2500.0) == pytest.approx(-50.2, abs=0.1)
    assert level_dbm0(0.0) is None
    heard = quality_with(energy=1e6, noise=9.0, enhanced=True)
    assert heard.signal_level_dbm0 == pytest.approx(-24.2, abs=0.1)
    assert heard.noise_level_dbm0 == pytest.approx(-74.6, abs=0.1)
    assert heard.concealment == ENHANCED


def test_what_is_not_measured_is_unavailable_on_the_wire() -> None:
    block = voip_metrics(quality_with(), sender_ssrc=1, ssrc=2)
    assert (block.sender_ssrc, block.ssrc, block.gap_threshold) == (1, 2, 16)
    assert block.residual_echo_return_loss_db == block.external_r_factor == 127
    assert block.signal_level_dbm == block.noise_level_dbm == 127
    assert (block.r_factor, block.mos_listening, block.mos_conversational) == (93, 44, 44)
    assert block.receiver_configuration == 0b11110011
    again = quality_of(block)
    assert again.external_r_factor is again.residual_echo_return_loss_db is None
    assert again.mos_conversational == pytest.approx(4.4)
    assert (again.concealment, again.adaptation, again.adjustment_rate) == (3, 3, 3)


wild = st.floats(-1e12, 1e12)


@given(st.lists(wild, min_size=len(fields(VoiceQuality)), max_size=len(fields(VoiceQuality))))
def test_nothing_that_is_measured_is_too_large_for_the_wire(values: list[float]) -> None:
    named = dict(zip([field.name for field in fields(VoiceQuality)], values, strict=True))
    whole = {"gap_threshold": 16, "concealment": 3, "adaptation": 3, "adjustment_rate": 15}
    quality = VoiceQuality(**{**named, **whole})  # type: ignore[arg-type]
    block = voip_metrics(quality, sender_ssrc=1, ssrc=2)
    assert parse_compound(print_compound((ReceiverReport(1), block)))[1] == block


@given(st.builds(VoipMetrics, st.just(1), st.just(2), *[st.integers(0, 255)] * 4,
                 mos_listening=st.integers(0, 255), r_factor=st.integers(0, 255)))  # fmt: skip
def test_what_a_far_end_says_stays_within_its_ranges(block: VoipMetrics) -> None:
    quality = quality_of(block)
    assert 0.0 <= quality.loss_rate < 1.0
    assert quality.mos_listening is None or 1.0 <= quality.mos_listening <= 5.0
    assert quality.r_factor is None or 0.0 <= quality.r_factor <= 100.0
