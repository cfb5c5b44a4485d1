"""A recording beside the media."""

from __future__ import annotations

import asyncio
import errno
import wave

import numpy as np
import pytest

from softphone.errors import MediaError
from softphone.media import (
    PcmBlock,
    Sink,
)
from softphone.media.recording import Recording
from softphone.media.recording.recording import LONGEST_BACKLOG
from tests.support.waiting import PATIENCE


def feed(recording, count, *, start=0, value=5):
    for at in range(start, start + count):
        block = PcmBlock(np.full(160, value, dtype=np.int16), 8000, 160 * at, 0)
        recording.near.write(block)
        recording.far.write(block)


def frames_of(path):
    with wave.open(str(path)) as read:
        return np.frombuffer(read.readframes(read.getnframes()), dtype="<i2").reshape(-1, 2)


async def test_both_sides_are_written_and_secrets_are_not(tmp_path):
    recording = Recording(tmp_path / "call.wav")
    assert isinstance(recording.near, Sink)
    feed(recording, 10)
    recording.pause()
    assert recording.paused
    feed(recording, 10, start=10, value=9)
    recording.resume()
    feed(recording, 10, start=20)
    recording.close()
    recording.close()
    frames = frames_of(tmp_path / "call.wav")
    assert frames.shape == (4800, 2)
    assert (frames[:1600] == 5).all()
    assert not frames[1600:3200].any()
    assert (frames[3200:] == 5).all()
    assert recording.seconds == 0.6


async def test_it_is_written_as_time_goes_by(tmp_path):
    recording = Recording(tmp_path / "call.wav")
    feed(recording, 50)
    async with asyncio.timeout(PATIENCE):
        while recording.seconds < 0.9:  # noqa: ASYNC110 (the file grows on its own)
            await asyncio.sleep(0.02)
    assert recording.file.part.stat().st_size > 30_000
    recording.discard()
    recording.discard()
    assert list(tmp_path.iterdir()) == []


async def test_a_backlog_is_bounded(tmp_path):
    recording = Recording(tmp_path / "call.wav")
    feed(recording, LONGEST_BACKLOG)
    assert recording.lost_blocks == LONGEST_BACKLOG
    recording.close()


async def test_a_full_disk_is_told_once_and_what_there_is_stays(tmp_path, monkeypatch):
    recording, told = Recording(tmp_path / "call.wav"), []
    recording.watch(failed=told.append, forbidden=str, detach=lambda: None)

    def full(frames, rate):
        raise OSError(errno.ENOSPC, "No space left on device")

    feed(recording, 10)
    recording._write(last=False)
    monkeypatch.setattr(recording.file, "write", full)
    feed(recording, 10, start=10)
    recording._write(last=False)
    feed(recording, 10, start=20)
    assert told == ["No space left on device"]
    with pytest.raises(MediaError, match="cut short: No space"):
        recording.close()
    assert told == ["No space left on device"]


async def test_what_is_forbidden_meanwhile_is_not_written(tmp_path):
    recording, told, rule = Recording(tmp_path / "call.wav"), [], [""]
    recording.watch(failed=told.append, forbidden=lambda: rule[0], detach=lambda: None)
    feed(recording, 10)
    recording._write(last=False)
    rule[0] = "it is encrypted now"
    feed(recording, 10, start=10)
    with pytest.raises(MediaError, match="encrypted now"):
        recording.close()
    assert told == ["it is encrypted now"]
    assert len(frames_of(tmp_path / "call.wav")) == 1600
