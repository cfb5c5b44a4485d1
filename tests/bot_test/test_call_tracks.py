"""Both tracks of a call: the caller's turns by media time, and the levels of what is heard."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.bot_test.call_tracks import CallerVoice, HeardTrack
from softphone.bot_test.caller_sounds import Utterance
from softphone.media import PcmBlock
from softphone.media.audio.tones import power_level

FRAME = 160


def play(voice, frames, first=0):
    """Read frames as the engine does; the media time begins at frame `first`."""
    sent = []
    for number in range(first, first + frames):
        pcm = voice.read(FRAME)
        voice.monitor.write(PcmBlock(pcm, 8000, number * FRAME, 0))
        sent.append(pcm)
    return np.concatenate(sent)


async def test_turns_are_begin_and_end_of_what_can_be_heard_by_media_time():
    voice = CallerVoice(8000)
    play(voice, 10, first=5)
    pcm = np.full(1000, 9, np.int16)
    first, second = voice.say(Utterance(pcm, 100, 900)), voice.say(Utterance(pcm, 0, 1000))
    # Between the two utterances media time jumps: ten frames were never sent.
    sent = play(voice, 5, first=15)
    assert not first.done()
    sent = np.concatenate((sent, play(voice, 10, first=30)))
    assert first.done()
    assert second.done()
    assert sent[:2000].tolist() == [9] * 2000
    assert not sent[2000:].any()
    start = 15 * 0.02
    jump = 10 * 0.02
    assert voice.first_sent == 5 * 0.02
    assert voice.media_time == pytest.approx(40 * 0.02)
    assert voice.turns == [
        (pytest.approx(start + 100 / 8000), pytest.approx(start + jump + 900 / 8000)),
        (pytest.approx(start + jump + 1000 / 8000), pytest.approx(start + jump + 2000 / 8000)),
    ]


async def test_noise_has_its_level_and_lies_under_the_speech():
    voice = CallerVoice(8000, noise=-40.0, seed=3)
    assert power_level(play(voice, 150)) == pytest.approx(-40.0, abs=0.3)
    again = CallerVoice(8000, noise=-40.0, seed=3)
    assert play(again, 2).tolist() == play(CallerVoice(8000, noise=-40.0, seed=3), 2).tolist()
    loud = CallerVoice(8000, noise=-10.0)
    loud.say(Utterance(np.full(FRAME, 32767, np.int16), 0, FRAME))
    assert play(loud, 1).max() == 32767


def test_levels_are_by_media_time_without_concealed_frames():
    track = HeardTrack()
    pcm = np.full(FRAME, 1000, np.int16)
    for number in (2, 3, 5):
        track.write(PcmBlock(pcm, 8000, number * FRAME, 0))
    track.write(PcmBlock(pcm, 8000, 4 * FRAME, 0, concealed=True))
    loud = np.isfinite(track.levels())
    assert loud.tolist() == [False] * 8 + [True] * 8 + [False] * 4 + [True] * 4


def test_a_long_track_is_reduced_as_it_comes_and_a_new_rate_is_taken():
    track = HeardTrack()
    for number in range(120):
        track.write(PcmBlock(np.full(FRAME, 1000, np.int16), 8000, number * FRAME, 0))
    assert len(track._blocks) < 50
    for number in range(120, 140):
        track.write(PcmBlock(np.full(2 * FRAME, 1000, np.int16), 16000, number * 2 * FRAME, 0))
    assert np.isfinite(track.levels()).all()
    assert track.levels().size == 140 * 4


def test_samples_are_kept_where_they_are_asked_for():
    track = HeardTrack(keeps_samples=True)
    for number in (1, 3):
        track.write(PcmBlock(np.full(FRAME, number, np.int16), 8000, number * FRAME, 0))
    assert track.samples(0.03, 0.07).tolist() == [1] * 80 + [0] * 160 + [3] * 80
    assert track.samples(0.5, 0.6).tolist() == [0] * 800
    assert HeardTrack().samples(0.0, 0.0).size == 0
