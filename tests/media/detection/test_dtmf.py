"""Digits heard in sound, against ITU-T Q.24."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.audio import DTMF
from softphone.media.detection.dtmf import REACH, DtmfBank
from tests.support.sounds import digits_in, keys, silence, speech, tone, with_noise

ALL = "1234567890*#ABCD"


@pytest.mark.parametrize(("on", "off"), [(0.04, 0.04), (0.05, 0.05), (0.1, 0.1), (0.5, 0.2)])
def test_every_digit_is_told_once(on, off):
    assert digits_in(silence(0.1), keys(ALL, on=on, off=off), silence(0.1)) == ALL


def test_a_digit_pressed_twice_is_two_digits():
    assert digits_in(keys("1122#"), silence(0.1)) == "1122#"


@pytest.mark.parametrize("snr", [30, 20, 15, 12])
def test_noise_hides_no_digit(snr):
    sound = with_noise(np.concatenate((silence(0.2), keys(ALL), silence(0.2))), snr, level=-6.0)
    assert digits_in(sound) == ALL


@pytest.mark.parametrize("level", [-3.0, -20.0, -30.0])
def test_levels_that_networks_carry_are_heard(level):
    assert digits_in(keys("159#", level=level), silence(0.1)) == "159#"


def test_what_is_shorter_than_a_digit_or_too_soft_is_none():
    assert digits_in(silence(0.1), keys(ALL, on=0.015, off=0.1)) == ""
    assert digits_in(keys(ALL, level=-45.0), silence(0.1)) == ""


@pytest.mark.parametrize(
    ("high", "found"), [(0.0, "1"), (-7.0, "1"), (4.0, "1"), (-14.0, ""), (12.0, "")]
)
def test_twist_is_limited(high, found):
    low, column = DTMF["1"]
    sound = tone(low, seconds=0.1, level=-15.0) + tone(column, seconds=0.1, level=-15.0 + high)
    assert digits_in(silence(0.1), sound, silence(0.1)) == found


@pytest.mark.parametrize(("off", "found"), [(0.015, "5"), (-0.015, "5"), (0.05, ""), (-0.05, "")])
def test_frequencies_that_are_off_are_no_digit(off, found):
    row, column = DTMF["5"]
    sound = tone(row * (1 + off), column * (1 + off), seconds=0.1)
    assert digits_in(silence(0.1), sound, silence(0.1)) == found


def test_one_tone_dial_tone_or_a_third_tone_is_no_digit():
    row, column = DTMF["5"]
    for frequencies in ((row,), (column,), (350.0, 440.0), (row, column, 1000.0), (697.0, 770.0)):
        assert digits_in(silence(0.1), tone(*frequencies, seconds=0.2), silence(0.1)) == ""


def test_speech_is_not_taken_for_digits():
    assert digits_in(*(speech(20.0, seed=seed) for seed in (1, 2, 3))) == ""


def test_rows_do_not_disturb_each_other_and_the_duration_is_told():
    bank = DtmfBank(8)
    sound = np.zeros((2, 8000), dtype=np.float32)
    sound[0, 800:1600] = keys("7", on=0.1)[:800]
    sound[1, 2400:4800] = keys("#", on=0.3)[:2400]
    found = []
    for end in range(REACH, 8000, 160):
        found += bank.feed(np.array([5, 2], dtype=np.int32), sound[:, end - REACH : end])
    assert [(each.row, each.digit) for each in found] == [(5, "7"), (2, "#")]
    assert [each.duration_ms for each in found] == pytest.approx([100.0, 300.0], abs=25.0)


def test_a_row_that_is_reset_has_no_past():
    bank, row = DtmfBank(1), np.zeros(1, dtype=np.int32)
    sound = keys("7", on=0.2)[None, :1600].astype(np.float32)
    for end in range(REACH, 1600, 160):
        bank.feed(row, sound[:, end - REACH : end])
    bank.reset(0)
    assert bank.feed(row, np.zeros((1, REACH), dtype=np.float32)) == []
