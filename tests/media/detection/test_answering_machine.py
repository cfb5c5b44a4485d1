"""Who answered."""

from __future__ import annotations

import pytest

from softphone.media.detection import AnswerClassification, DetectorKind
from softphone.media.detection.answering_machine import AnsweringMachineDetector
from tests.support.sounds import found_in, silence, speech, tone, with_noise


def verdicts(*parts):
    return [
        each
        for each in found_in(*parts, wanted=DetectorKind.ANSWER)
        if isinstance(each, AnswerClassification)
    ]


def test_who_says_little_and_waits_is_human():
    (verdict,) = verdicts(silence(0.4), speech(0.7), silence(3.0))
    assert verdict.kind == "human"
    assert verdict.confidence > 0.75
    assert "then silence" in verdict.reasons[0]


def test_two_short_words_are_still_human():
    (verdict,) = verdicts(silence(0.4), speech(0.5), silence(0.4), speech(0.6), silence(3.0))
    assert verdict.kind == "human"
    assert "2 utterances" in verdict.reasons


def test_who_speaks_on_is_a_machine_and_a_beep_makes_it_sure():
    first, sure = verdicts(
        silence(0.5), speech(5.0), silence(0.5), tone(1000.0, seconds=0.4), silence(2.0)
    )
    assert (first.kind, sure.kind) == ("machine", "machine")
    assert first.confidence < sure.confidence
    assert sure.reasons[-1] == "a beep"


def test_a_beep_overrules_what_seemed_to_be_human():
    first, sure = verdicts(
        silence(0.5), speech(1.0), silence(1.5), tone(1000.0, seconds=0.4), silence(2.0)
    )
    assert (first.kind, sure.kind) == ("human", "machine")
    assert sure.reasons == ("a beep",)


def test_nobody_is_silence():
    assert [each.kind for each in verdicts(with_noise(silence(6.0), 0, level=-50.0))] == ["silence"]


def test_networks_and_faxes_are_told_by_their_tones():
    sit = [tone(each, seconds=0.33) for each in (950.0, 1400.0, 1800.0)]
    (network,) = verdicts(silence(0.3), *sit, silence(1.0))
    assert (network.kind, network.confidence) == ("machine", 0.95)
    (fax,) = verdicts(silence(0.5), tone(2100.0, seconds=3.0))
    assert fax.kind == "fax"


def test_a_late_start_is_a_reason_more():
    watch = AnsweringMachineDetector()
    watch.voice(True, 1.5)
    verdict = watch.classify_at(4.0)
    assert verdict is not None
    assert verdict.confidence == pytest.approx(0.87)
    assert "began only after" in verdict.reasons[1]
    assert watch.classify_at(9.0) is None
    assert watch.tone("ringback") is None
