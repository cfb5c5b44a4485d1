"""Figures and expectations of a bot test."""

from __future__ import annotations

import pytest

from softphone.bot_test import (
    BotTally,
    CallerScript,
    CallerStep,
    CallMeasures,
    CallReport,
    parse_bot_expectation,
    tally_fields,
    tally_figures,
    with_completed,
)
from softphone.errors import ConfigurationError
from softphone.load import Tally

SCRIPT = CallerScript(name="s", steps=(CallerStep(listen=1.0),))


def report(number=0, **changes):
    """A call that ran to its end: a response of 500 ms, one that never came, a barge-in."""
    measures = CallMeasures(0.4, (0.5, None), (0.2, None), 0.1, 1.5)
    values = {
        **{"answered": True, "measures": measures, "end_right": True, "end_cause": "local"},
        **changes,
    }
    return CallReport(number, SCRIPT, **values)


@pytest.fixture
def tally():
    made = BotTally()
    for number in range(9):
        measures = CallMeasures(0.1 * number, (0.1 * number,), (), 0.0, 0.0)
        made.add_call(report(number, measures=measures, digits_expected=1, digits_right=1))
    made.add_call(report(9, problem="listen: no", failed_step=1, end_right=False))
    return made


@pytest.mark.parametrize(
    ("text", "met", "measured"),
    [
        ("response_p50<=400ms", True, "400 ms"),
        ("response_p95<0.8s", False, "800 ms, of 10 turns: too few for p95, which takes 20"),
        ("first_sound_p90<1s", True, "700 ms"),
        ("barge_in_p50<=0.2s", True, "200 ms, of 1 barge-in: too few for p50, which takes 2"),
        ("talk_over_p50=0", True, "0 ms"),
        ("dead_air_p90<1s", True, "0 ms"),
        ("completed>=90%", True, "90%"),
        ("completed>=95%", False, "90%"),
        ("digits>=100%", True, "100%"),
        ("ended>=91", False, "90%"),
        ("word_errors<10%", False, "nothing, since nothing was transcribed"),
        ("answered>=99%", False, "75%"),
    ],
)
def test_expectations_are_judged_by_what_was_measured(tally, text, met, measured):
    verdict = parse_bot_expectation(text).judge(tally, Tally(attempted=4, answered=3))
    assert (verdict.expected, verdict.met, verdict.measured) == (text, met, measured)


def test_what_was_never_measured_is_not_met():
    for text, why in (
        ("response_p50<1s", "the bot answered no turn"),
        ("barge_in_p50<1s", "no turn interrupted the bot"),
        ("first_sound_p50<1s", "no call heard the bot"),
        ("dead_air_p50<1s", "no call was answered"),
        ("completed>=1%", "no call was made"),
        ("digits>=1%", "no script expects digits"),
        ("ended>=1%", "no call was answered"),
    ):
        verdict = parse_bot_expectation(text).judge(BotTally(), Tally())
        assert (verdict.met, verdict.measured) == (False, f"nothing, since {why}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("response_p95", "has no value"),
        ("response_p95<x", "no number"),
        ("response_p95<80%", "does not fit"),
        ("response_p0<1s", "first_sound_pN"),
        ("response<1s", "first_sound_pN"),
        ("digits<1s", "does not fit"),
        ("latency_p95<1s", "of bot tests first_sound_pN"),
    ],
)
def test_what_is_no_expectation_is_said_with_what_is(text, said):
    with pytest.raises(ConfigurationError, match=said):
        parse_bot_expectation(text)


def test_every_call_has_to_be_completed_unless_it_is_said_how_many():
    (default,) = with_completed([])
    assert default.text == "completed>=100%"
    one = parse_bot_expectation("completed>=50%")
    assert with_completed([one]) == (one,)
    other = parse_bot_expectation("digits>=50%")
    assert with_completed([other]) == (default, other)


def test_transcripts_count_by_words():
    tally = BotTally()
    tally.add_call(report(transcripts=[("one two", "one"), ("three four", "three four five")]))
    assert parse_bot_expectation("word_errors<=50%").judge(tally, Tally()).met
    assert ("word error rate", "50.0 % of 4") in tally_figures(tally)


def test_figures_and_fields_have_what_was_counted(tally):
    figures = dict(tally_figures(tally))
    assert figures["response p50 / p95 / max, ms"] == "400 / 800 / 800 (10)"
    assert figures["turns without an answer"] == figures["barge-ins into silence"] == "1"
    assert figures["digits right"] == "9 of 9"
    assert figures["ended as expected"] == "9 of 10"
    fields = tally_fields(tally)
    assert fields["problems"] == {"s: step 1, listen: no": 1}
    assert fields["barge_in_ms"] == {"p50": 200.0, "p95": 200.0, "max": 200.0, "count": 1}
    assert dict(tally_figures(BotTally()))["response p50 / p95 / max, ms"] == "- (0)"
    assert tally_fields(BotTally())["response_ms"]["max"] is None
