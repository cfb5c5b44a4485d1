"""Who speaks, as a model of speech estimates it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from softphone.media.detection import DetectorBank, DetectorKind
from softphone.media.detection.neural_voice_activity import NeuralVoiceActivityBank
from softphone.media.detection.speech_model import CONTEXT, WINDOW
from tests.support.loudness_model import LoudnessModel
from tests.support.sounds import found_in, samples, silence, tone, with_noise

LOUD, QUIET = tone(700.0, seconds=1.0, level=-9.0), silence(1.0)


def heard(*parts, wanted=DetectorKind.VOICE):
    return found_in(*parts, wanted=wanted, model=LoudnessModel())


def test_speech_begins_and_ends_where_it_does():
    start, stop = heard(QUIET, LOUD, QUIET)
    assert (start.kind, start.at) == ("voice", pytest.approx(1.0, abs=0.04))
    assert (stop.kind, stop.at) == ("silence", pytest.approx(2.0, abs=0.04))
    assert stop.seconds == pytest.approx(1.0, abs=0.06)


def test_a_pause_within_speech_does_not_end_it_and_a_click_does_not_begin_it():
    assert [each.kind for each in heard(LOUD, silence(0.2), LOUD, QUIET)] == ["voice", "silence"]
    assert heard(QUIET, LOUD[:200], QUIET) == []


def test_it_goes_on_at_a_lower_probability_than_it_begins_at():
    faint = LOUD * 0.4 / 10.0 / (np.sqrt(np.square(LOUD / 32768.0).mean()))
    assert heard(QUIET, faint, QUIET) == []
    _, stop = heard(LOUD, faint, QUIET)
    assert stop.at == pytest.approx(2.0, abs=0.04)


def test_every_sample_reaches_the_model_once_in_order_with_its_context():
    seen = []

    class Keeping(LoudnessModel):
        def estimate(self, sound, state):
            seen.append(sound[0].copy())
            return super().estimate(sound, state)

    bank, rows = NeuralVoiceActivityBank(4, Keeping()), np.array([2], dtype=np.int32)
    ramp = np.arange(1, 160 * 8 + 1, dtype=np.float32)
    for at in range(0, ramp.size, 160):
        bank.feed(rows, ramp[None, at : at + 160])
    windows = np.concatenate([each[CONTEXT:] for each in seen]) * 32768.0
    assert windows == pytest.approx(ramp[: len(seen) * WINDOW])
    for before, after in pairwise(seen):
        assert np.array_equal(before[-CONTEXT:], after[:CONTEXT])
    assert not seen[0][:CONTEXT].any()


def test_rows_are_estimated_together_and_keep_their_own_state():
    model = LoudnessModel()
    bank = DetectorBank(8)
    rows = [bank.add_row(DetectorKind.VOICE, model) for _ in range(3)]
    spectral = bank.add_row(DetectorKind.VOICE)
    loud, found = samples(QUIET, LOUD, QUIET), []
    for at in range(0, loud.size, 160):
        for row in (*rows, spectral):
            bank.feed(row, loud[at : at + 160] if row == rows[1] else loud[:160], 8000)
        found += bank.run_detectors()
    assert set(model.batches) == {3}
    assert [(row, each.kind) for row, each in found] == [(rows[1], "voice"), (rows[1], "silence")]


def test_a_row_that_is_used_again_begins_anew():
    model, bank = LoudnessModel(), DetectorBank(1)
    for _ in range(2):
        row, found = bank.add_row(DetectorKind.VOICE, model), []
        for at in range(0, LOUD.size - 160, 160):
            bank.feed(row, samples(LOUD)[at : at + 160], 8000)
            found += bank.run_detectors()
        (start,) = [each for _, each in found]
        assert (start.kind, start.at) == ("voice", 0.0)
        bank.remove_row(row)


def test_the_answer_is_classified_by_what_the_model_hears():
    noise = with_noise(silence(1.0), 0, level=-9.0)
    (verdict,) = heard(QUIET, noise, QUIET, QUIET, wanted=DetectorKind.ANSWER)
    assert verdict.kind == "human"
    # By the spectrum, noise is nobody.
    spectral = found_in(QUIET, noise, QUIET, QUIET, wanted=DetectorKind.ANSWER)
    assert [each.kind for each in spectral] == ["silence"]


def test_rows_that_want_no_speech_do_not_reach_the_model():
    model = LoudnessModel()
    assert found_in(LOUD, wanted=DetectorKind.DIGITS, model=model) == []
    found_in(LOUD, wanted=DetectorKind.TONES, model=model)
    assert model.batches == []
