"""Both sides side by side."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media import PcmBlock
from softphone.media.recording.stereo_timeline import RecordingSide, StereoTimeline


def block(value, timestamp, *, samples=160, rate=8000):
    return PcmBlock(np.full(samples, value, dtype=np.int16), rate, timestamp, 0)


def test_both_sides_stand_at_their_media_time():
    line = StereoTimeline()
    for at in range(10):
        line.add_block(RecordingSide.FAR, block(7, 8000 + 160 * at))
        if at >= 5:
            line.add_block(RecordingSide.NEAR, block(3, 8000 + 160 * at))
    frames = line.take_frames(last=True)
    assert frames.shape == (1600, 2)
    assert (frames[:, RecordingSide.FAR] == 7).all()
    assert not frames[:800, RecordingSide.NEAR].any()
    assert (frames[800:, RecordingSide.NEAR] == 3).all()
    assert line.seconds == 0.2


def test_a_side_that_is_behind_is_waited_for_and_then_left_silent():
    line = StereoTimeline()
    for at in range(10):
        line.add_block(RecordingSide.FAR, block(7, 160 * at))
    assert len(line.take_frames()) == 0
    for at in range(10, 50):
        line.add_block(RecordingSide.FAR, block(7, 160 * at))
    first = line.take_frames()
    assert len(first) == 8000 - 4000
    line.add_block(RecordingSide.NEAR, block(3, 0))
    line.add_block(RecordingSide.NEAR, block(3, 4000))
    rest = line.take_frames(last=True)
    assert len(first) + len(rest) == 8000
    assert (rest[:160, RecordingSide.NEAR] == 3).all()
    assert not rest[160:, RecordingSide.NEAR].any()


def test_while_it_is_paused_both_sides_are_silent():
    line = StereoTimeline()
    for at in range(3):
        line.paused = at == 1
        for side in RecordingSide:
            line.add_block(side, block(5, 160 * at))
    frames = line.take_frames(last=True)
    assert frames[:160].all()
    assert not frames[160:320].any()
    assert frames[320:].all()


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_rate_that_changes_in_the_middle_moves_nothing(rate):
    line = StereoTimeline(16_000)
    for at in range(50):
        line.add_block(RecordingSide.FAR, block(1000, 160 * at))
        line.add_block(
            RecordingSide.NEAR, block(1000, rate // 50 * at, samples=rate // 50, rate=rate)
        )
    for at in range(50, 60):
        line.add_block(RecordingSide.NEAR, block(1000, 160 * at))
    frames = line.take_frames(last=True)
    assert len(frames) == pytest.approx(16_000 * 1.2, abs=200)
    assert np.abs(frames[1000:15_000].astype(int) - 1000).max() < 20
