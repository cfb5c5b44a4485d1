"""Many rows at once, each with what it wants."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.errors import LocalProtocolError
from softphone.media.audio import Resampler
from softphone.media.detection import DetectedSound, DetectorBank, DetectorKind
from softphone.media.detection.detector_bank import LONGEST_BACKLOG
from tests.support.sounds import found_in, keys, samples, silence, speech, tone


def test_each_row_is_told_what_it_wants_and_no_more():
    bank = DetectorBank(8)
    rows = [bank.add_row(wanted) for wanted in DetectorKind]
    pcm = samples(silence(0.5), speech(1.0), silence(0.6), keys("5"), silence(1.5))
    found = []
    for start in range(0, pcm.size, 160):
        for row in rows:
            bank.feed(row, pcm[start : start + 160], 8000)
        found += bank.run_detectors()
    kinds = {row: {getattr(each, "kind", "") for at, each in found if at == row} for row in rows}
    digits, voice, tones, answer = rows
    assert kinds == {
        digits: {"digit"},
        voice: {"voice", "silence"},
        tones: set(),
        answer: {"human"},
    }


@pytest.mark.parametrize("block", [80, 160, 333, 960])
def test_blocks_may_have_any_length(block):
    parts = (silence(0.2), keys("12*"), tone(1000.0, seconds=0.3), silence(1.0))
    assert found_in(*parts, block=block) == found_in(*parts)


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_sound_may_have_any_rate(rate):
    bank = DetectorBank(1)
    row = bank.add_row(DetectorKind.DIGITS)
    pcm = Resampler(8000, rate).feed(samples(keys("159D"), silence(0.2)))
    found = []
    for start in range(0, pcm.size, rate // 50):
        bank.feed(row, pcm[start : start + rate // 50], rate)
        found += [each.what for _, each in bank.run_detectors()]
    assert "".join(found) == "159D"


def test_times_are_those_of_the_sound():
    (found,) = found_in(silence(1.0), keys("5", on=0.1), silence(0.5), wanted=DetectorKind.DIGITS)
    assert found == DetectedSound(
        "digit", pytest.approx(1.0, abs=0.05), "5", pytest.approx(0.1, abs=0.03)
    )


def test_a_row_that_nobody_runs_does_not_grow():
    bank = DetectorBank(1)
    row = bank.add_row(DetectorKind.VOICE)
    for _ in range(200):
        bank.feed(row, np.zeros(160, dtype=np.int16), 8000)
    assert bank._rows[row].waiting.size == LONGEST_BACKLOG * 160
    assert bank._rows[row].lost == (200 - LONGEST_BACKLOG) * 160


def test_rows_are_given_out_and_taken_back():
    bank = DetectorBank(2)
    one, two = bank.add_row(DetectorKind.VOICE), bank.add_row(DetectorKind.VOICE)
    with pytest.raises(LocalProtocolError, match="2 streams"):
        bank.add_row(DetectorKind.VOICE)
    bank.feed(one, samples(keys("1")), 8000)
    bank.remove_row(one)
    bank.remove_row(one)
    assert len(bank) == 1
    again = bank.add_row(DetectorKind.DIGITS)
    assert again == one
    bank.feed(again, samples(silence(0.2)), 8000)
    bank.feed(9, samples(silence(0.2)), 8000)
    assert bank.run_detectors() == []
    bank.remove_row(two)
