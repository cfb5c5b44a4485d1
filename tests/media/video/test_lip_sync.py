"""Lip sync in virtual time: pictures wait for their sound, and one time line holds both."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media import PcmBlock
from softphone.media.video import BlockTiming, LipSync, LipSyncSink, SharedTimeline
from softphone.rtp import (
    RtcpSession,
    SenderClock,
    SenderReport,
    SourceDescription,
    ntp_from_wall,
    print_compound,
)

FAR = 1_700_000_000.0
"""The far end's clock, of all its streams, when ours shows 0."""


def hears(sync: LipSync, delay: float, seconds: float, start: float = 0.0) -> float:
    """Sound is handed out every 20 ms, `delay` after its capture; gives the last time."""
    now = start
    for frame in range(int(seconds / 0.02)):
        now = start + frame * 0.02
        sync.audio_played(FAR + now - delay, now=now)
    return now


def test_a_picture_waits_for_the_sound_that_was_captured_with_it() -> None:
    sync = LipSync()
    now = hears(sync, 0.18, 5.0)
    # It came 40 ms after its capture; its sound takes 180 ms.
    assert sync.delivery_time(FAR + now - 0.04, now=now) == pytest.approx(now + 0.14, abs=1e-6)


@pytest.mark.parametrize("late", [0.18, 0.3, 5.0])
def test_a_picture_that_is_later_than_its_sound_waits_for_nothing(late: float) -> None:
    sync = LipSync()
    now = hears(sync, 0.18, 1.0)
    assert sync.delivery_time(FAR + now - late, now=now) == pytest.approx(now, abs=1e-6)


def test_nothing_waits_without_clocks_without_sound_or_by_clocks_that_differ() -> None:
    sync = LipSync()
    assert sync.delivery_time(FAR, now=0.0) == 0.0
    now = hears(sync, 0.1, 1.0)
    assert sync.delivery_time(None, now=now) == now
    assert sync.delivery_time(FAR + now + 3600.0, now=now) == now
    assert sync.delivery_time(FAR + now + 3.0, now=now + 3.0) == now + 3.0  # the sound has stopped


def test_a_playout_that_moves_is_followed() -> None:
    sync = LipSync()
    now = hears(sync, 0.06, 2.0)
    assert sync.delay is not None
    assert sync.delay + FAR == pytest.approx(0.06, abs=1e-4)
    now = hears(sync, 0.26, 0.1, start=now + 0.02)
    assert sync.delay + FAR == pytest.approx(0.26, abs=1e-4)


def test_an_ear_counts_only_sound_whose_sender_has_told_its_clock() -> None:
    sync = LipSync()
    ear = LipSyncSink(sync, lambda: 7.0)
    pcm = np.zeros(160, dtype=np.int16)
    ear.write(PcmBlock(pcm, 8000, 0, 0, False, FAR, False))
    assert sync.delay is None
    ear.write(PcmBlock(pcm, 8000, 0, 0, False, FAR, True))
    assert sync.delay == pytest.approx(7.0 - FAR)


def clock_of(ssrc: int, rtp_timestamp: int, wall: float) -> SenderClock:
    """What a session learns from a sender report on the wire (RFC 3550 6.4.1)."""
    session = RtcpSession(ssrc=99, cname="us", entropy=lambda n: b"\x01" * n, now=0.0)
    report = SenderReport(ssrc, ntp_from_wall(wall), rtp_timestamp, 10, 1000, ())
    told = session.receive_compound(
        print_compound((report, SourceDescription(ssrc, "them"))), now=0.0, wall=wall
    )
    assert told is not None
    assert told.sender_clock is not None
    return told.sender_clock


def test_sender_reports_put_sound_and_picture_of_one_moment_at_one_place() -> None:
    audio = clock_of(1, 4_000_000_000, FAR)
    video = clock_of(2, 17, FAR + 1.5)
    # Sound of FAR + 2 and a picture of FAR + 2, by their own timestamps: 8 and 90 kHz.
    heard = audio.at((4_000_000_000 + 16_000) % 2**32, 8_000)
    seen = video.at(17 + 45_000, 90_000)
    assert heard == pytest.approx(FAR + 2.0, abs=1e-6)
    assert seen == pytest.approx(FAR + 2.0, abs=1e-6)


def test_one_time_line_goes_by_the_clocks_and_not_by_when_things_came() -> None:
    line = SharedTimeline()
    # Pictures come 300 ms late; both streams' media times have beginnings of their own.
    for n in range(100):
        at = n * 0.02
        line.observe_block("audio", BlockTiming(50.0 + at, FAR + at if at >= 1.0 else None, at))
        line.observe_block(
            "video", BlockTiming(7.0 + at, FAR + at if at >= 1.5 else None, at + 0.3)
        )
    assert line.decided
    assert line.by_clock
    assert line.position_of("audio", BlockTiming(53.0, FAR + 3.0, 3.0)) == pytest.approx(3.0)
    assert line.position_of("video", BlockTiming(10.0, FAR + 3.0, 3.3)) == pytest.approx(3.0)
    assert line.position_of("video", BlockTiming(7.0, None, 0.3)) == pytest.approx(0.0)
    # A sound card that runs 100 ppm fast is followed by its reports.
    assert line.position_of(
        "audio", BlockTiming(50.0 + 1000.1, FAR + 1000.0, 1000.0)
    ) == pytest.approx(1000.0)


def test_without_reports_and_with_absurd_ones_arrival_decides() -> None:
    for clock in (None, FAR - 86_400.0):
        line = SharedTimeline(patience=1.0)
        for n in range(60):
            at = n * 0.02
            line.observe_block("audio", BlockTiming(at, FAR + at, at))
            line.observe_block(
                "video", BlockTiming(9.0 + at, None if clock is None else clock + at, at + 0.1)
            )
        assert line.decided
        assert not line.by_clock
        assert line.position_of("audio", BlockTiming(2.0, FAR + 2.0, 2.0)) == pytest.approx(2.0)
        assert line.position_of("video", BlockTiming(11.0, None, 2.1)) == pytest.approx(2.1)


def test_a_stream_that_begins_late_is_put_where_it_came_and_order_is_asked_for() -> None:
    line = SharedTimeline(patience=1.0)
    with pytest.raises(ValueError, match="decided"):
        line.position_of("audio", BlockTiming(0.0, None, 0.0))
    line.decide()
    assert not line.decided
    line.observe_block("video", BlockTiming(0.0, None, 100.0))
    line.observe_block("video", BlockTiming(2.0, None, 102.0))
    assert line.position_of("audio", BlockTiming(40.0, None, 105.0)) == pytest.approx(5.0)
    assert line.position_of("audio", BlockTiming(41.0, None, 106.3)) == pytest.approx(6.0)


@pytest.mark.parametrize("told", [True, False])
def test_timestamps_and_clocks_that_jump_by_days_move_nothing_by_days(told: bool) -> None:
    line = SharedTimeline(patience=1.0)
    for n in range(60):
        at = n * 0.02
        line.observe_block("audio", BlockTiming(at, FAR + at if told else None, at))
        line.observe_block("video", BlockTiming(at, FAR + at if told else None, at))
    assert line.by_clock is told
    jump = 250_000.0
    captured = FAR + 2.0 + jump if told else None
    assert line.position_of("audio", BlockTiming(2.0 + jump, captured, 2.0)) == pytest.approx(2.0)
    assert line.position_of("audio", BlockTiming(3.0 + jump, None, 3.0)) == pytest.approx(3.0)
    assert line.position_of("video", BlockTiming(3.0, None, 3.0)) == pytest.approx(3.0)
    assert line.position_of("audio", BlockTiming(4.0, None, 4.0)) == pytest.approx(4.0)
