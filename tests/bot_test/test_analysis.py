"""The measuring of a call, calibrated on a bot of known delays: to one frame of 5 ms an edge."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.bot_test import BotTimes, find_sounds, frame_levels, measure_call
from softphone.bot_test.analysis import HOP, LOUDEST, QUIETEST, loudness_bound, place_levels
from softphone.bot_test.scripted_bot import BotVoice, syllables
from softphone.media import PcmBlock
from softphone_codecs import find_codec

FRAME = 160
RATE = 8000
EDGE = HOP + 1e-6
"""The bound of the error of one edge, in seconds."""


def spans(*pairs):
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def measured(turns, sounds, *, answered=None, barge_in=None, began=0.0, ended=20.0):
    return measure_call(
        turns,
        sounds,
        answered=np.ones(len(turns), bool) if answered is None else np.array(answered),
        barge_in=np.zeros(len(turns), bool) if barge_in is None else np.array(barge_in),
        began=began,
        ended=ended,
    )


def call_of(times, *, transit=2, noise=0.0, said=(2.5, 8.0), cut_in=5.5, rate=RATE):
    """A call with a scripted bot, frame by frame; `transit` frames lie between both, each way.

    The caller speaks at the times `said` for a second, and at `cut_in`.  Returns its turns, and the
    sound that it hears, as a PCM track.
    """
    size = rate // 50
    caller = np.zeros(12 * rate, np.int16)
    turns = []
    for at in sorted((*said, cut_in)):
        speech = syllables(1.0, rate)
        caller[round(at * rate) : round(at * rate) + speech.size] = speech
        turns.append((at, at + 1.0))
    bot = BotVoice(times, syllables(1.4, rate), syllables(2.5, rate), rate)
    chance = np.random.default_rng(5)
    heard = []
    for number in range(caller.size // size):
        at = (number - transit) * size
        if at >= 0:
            bot.write(PcmBlock(caller[at : at + size], rate, number * size, 0))
        pcm = bot.read(size)
        bot.note_sent(PcmBlock(pcm, rate, number * size, 0))
        heard.append(pcm)
    track = np.concatenate((np.zeros(transit * size, np.int16), *heard)).astype(np.float64)
    track += noise * chance.standard_normal(track.size)
    codec = find_codec("PCMU" if rate == RATE else "L16/16000")
    pcm = np.rint(track).astype(np.int16)[None, :]
    decoded = codec.decode(*codec.encode(pcm))[0] if rate == RATE else pcm[0]
    assert bot.late == 0
    return np.array(turns), decoded


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("noise", [0.0, 40.0])
@pytest.mark.parametrize(
    ("greets", "responds", "stops"),
    [(0.1, 0.301, 0.1), (0.4037, 0.6, 0.25), (0.75, 0.8231, 0.0514), (1.0, 0.7, 0.3333)],
)
def test_what_is_measured_is_the_bots_delay_and_the_way(greets, responds, stops, noise, rate):
    transit = 3
    way = 2 * transit * 0.02
    times = BotTimes(greets, responds, stops)
    turns, pcm = call_of(times, transit=transit, noise=noise, rate=rate)
    sounds = find_sounds(frame_levels(pcm, rate))
    found = measured(
        turns, sounds, answered=[True, False, True], barge_in=[False, True, False], ended=12.0
    )
    assert found.first_sound == pytest.approx(greets + way / 2, abs=EDGE)
    assert found.responses == pytest.approx((responds + way,) * 2, abs=2 * EDGE)
    # The sound of a pulse may have died down before the cut, by a period of the pitch.
    assert found.barge_ins == pytest.approx((stops + way,), abs=2 * EDGE + 0.01)
    assert found.talk_over == pytest.approx(0.0, abs=EDGE)


def test_a_longer_delay_is_measured_as_so_much_longer():
    found = []
    for responds in (0.5, 0.5125, 0.525, 0.55):
        turns, pcm = call_of(BotTimes(0.4, responds, 0.2))
        sounds = find_sounds(frame_levels(pcm, RATE))
        found.append(measured(turns, sounds).responses[0])
    steps = np.diff(found)
    assert steps == pytest.approx([0.0125, 0.0125, 0.025], abs=EDGE)


def test_levels_are_dbm0_and_zeros_have_none():
    sine = 32767 * np.sin(2 * np.pi * 1000 * np.arange(800) / RATE)
    levels = frame_levels(np.concatenate((np.zeros(400), sine)).astype(np.int16), RATE)
    assert levels.dtype == np.float32
    assert levels.shape == (30,)
    assert np.isneginf(levels[:10]).all()
    assert levels[10:] == pytest.approx(3.14, abs=0.05)
    assert frame_levels(np.zeros(39, np.int16), RATE).size == 0


def test_pieces_stand_where_their_time_is_and_gaps_are_silence():
    track = place_levels([(0.05, np.full(2, -20, np.float32)), (0.02, np.zeros(1, np.float32))])
    assert track.tolist() == [-np.inf] * 4 + [0.0] + [-np.inf] * 5 + [-20.0, -20.0]
    assert place_levels([]).size == 0


def test_what_is_loud_depends_on_the_noise_within_bounds():
    speech = np.full(50, -18.0, np.float32)
    assert loudness_bound(np.zeros(0, np.float32)) == QUIETEST
    assert loudness_bound(np.concatenate((np.full(50, -np.inf, np.float32), speech))) == QUIETEST
    noisy = np.concatenate((np.full(50, -48.0, np.float32), speech))
    assert loudness_bound(noisy) == pytest.approx(-36.0)
    assert loudness_bound(speech) == LOUDEST


def test_clicks_are_no_sound_and_pauses_between_words_are_none():
    levels = np.full(400, -np.inf, np.float32)
    levels[10:17] = -20  # 35 ms
    levels[50:90] = levels[140:180] = -20  # 250 ms between them
    levels[250:260] = -20  # 350 ms later
    assert find_sounds(levels) == pytest.approx(spans((0.25, 0.9), (1.25, 1.3)))
    assert find_sounds(levels, gap=0.1).shape == (3, 2)
    assert find_sounds(np.zeros(0, np.float32)).shape == (0, 2)


def test_a_turn_without_an_answer_has_none():
    turns = spans((1, 2), (4, 5))
    assert measured(turns, spans()).responses == (None, None)
    assert measured(turns, spans((5.5, 6))).responses == (None, 0.5)
    # What begins before the next turn and ends after this one is the answer to this one.
    assert measured(turns, spans((2.5, 4.5))).responses == (0.5, None)


def test_a_sound_within_the_turn_is_no_answer_unless_it_goes_on():
    turns = spans((1, 3))
    assert measured(turns, spans((1.5, 1.7), (3.4, 4))).responses == pytest.approx((0.4,))
    early = measured(turns, spans((2.5, 4)))
    assert early.responses == (0.0,)
    assert early.talk_over == pytest.approx(0.5)
    assert measured(turns, spans((1.5, 1.7), (3.4, 4))).talk_over == pytest.approx(0.2)


def test_what_the_caller_interrupts_is_no_talk_over_of_the_bots():
    turns, sounds = spans((2, 4)), spans((1, 2.3), (4.5, 5))
    found = measured(turns, sounds, barge_in=[True])
    assert found.barge_ins == pytest.approx((0.3,))
    assert found.talk_over == 0.0
    assert found.responses == (0.5,)


def test_a_barge_in_into_silence_has_no_time():
    assert measured(spans((2, 4)), spans((1, 1.9)), barge_in=[True]).barge_ins == (None,)


def test_first_sound_counts_from_the_answer_and_early_sound_is_over_by_then():
    assert measured(spans(), spans((0, 0.5), (1.5, 2)), began=1.0).first_sound == 0.5
    assert measured(spans(), spans((0.5, 2)), began=1.0).first_sound == 0.0
    assert measured(spans(), spans(), began=1.0).first_sound is None


@pytest.mark.parametrize(
    ("turns", "sounds", "dead"),
    [
        (spans(), spans(), 9.0),
        (spans((2, 3)), spans(), 7.0),
        (spans((2, 3)), spans((2.5, 6), (7.5, 12)), 1.5),
        (spans((1, 10)), spans((3, 4)), 0.0),
        (spans(), spans((0, 0.5), (2, 9.5)), 1.0),
    ],
)
def test_dead_air_is_the_longest_time_in_which_neither_speaks(turns, sounds, dead):
    assert measured(turns, sounds, began=1.0, ended=10.0).dead_air == pytest.approx(dead)


def test_the_bot_keeps_its_delay_where_frames_were_never_sent():
    """Media time jumps on a machine that was busy; the bot's delay does not."""
    bot = BotVoice(BotTimes(greets_after=0.1, responds_after=0.3), syllables(0.2), syllables(0.2))
    skipped, heard = 0, {}
    for number in range(60):
        skipped += 10 if number in (5, 20) else 0
        at = (number + skipped) * FRAME
        if number == 25:
            bot.write(PcmBlock(np.full(FRAME, 9000, np.int16), RATE, at, 0))
            spoke = at + FRAME
        heard[at] = bot.read(FRAME)
        bot.note_sent(PcmBlock(heard[at], RATE, at, 0))
    pieces = [(at / RATE, frame_levels(pcm, RATE)) for at, pcm in heard.items()]
    answer = find_sounds(place_levels(pieces))[-1, 0]
    assert answer == pytest.approx(spoke / RATE + 0.3, abs=EDGE)
