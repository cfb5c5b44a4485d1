"""Expectations: what is accepted, how it is judged, and what is never met by silence."""

from __future__ import annotations

from collections import Counter

import pytest

from softphone.errors import ConfigurationError
from softphone.load.measure import Tally
from softphone.load.plan import parse_expectation


def tally():
    found = Tally(
        attempted=1000, answered=999, sent=5000, received=4990, lost=10, due=5000, late=50
    )
    found.failed["486 Busy Here"] = 1
    found.suites["AEAD_AES_256_GCM"] = 999
    for milliseconds in range(1, 1001):
        found.setup_ms.record_value(milliseconds)
    for _ in range(100):
        found.mos.record_value(4.4)
    found.mos.record_value(1.0, 3)
    found.registrations = 4
    found.registered = 3
    return found


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("answered>=99.9%", True),
        ("answered>99.9%", False),
        ("answered >= 99.95", False),
        ("failed<=0.1%", True),
        ("loss<0.3%", True),
        ("late<=1%", True),
        ("mos_p5>=4.0", True),
        ("mos_p2>=4.0", False),
        ("setup_p99<=990ms", True),
        ("setup_p99<=0.98s", False),
        ("setup_p999<=999ms", True),
        ("registered=75%", True),
        ("suite=AEAD_AES_256_GCM", True),
        ("suite=AES_CM_128_HMAC_SHA1_80", False),
        ("suite==clear", False),
    ],
)
def test_expectations_are_judged(text, met):
    verdict = parse_expectation(text).judge_tally(tally())
    assert verdict.met is met
    assert verdict.expected == text
    assert verdict.measured


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("setup_p99", 10, ", of 10 calls: too few for p99, which takes 100"),
        ("setup_p99", 99, ", of 99 calls: too few for p99, which takes 100"),
        ("setup_p99", 100, ""),
        ("setup_p999", 999, ", of 999 calls: too few for p999, which takes 1000"),
        ("setup_p90", 10, ""),
        ("setup_p50", 1, ", of 1 call: too few for p50, which takes 2"),
        ("mos_p5", 19, ", of 19 calls: too few for p5, which takes 20"),
        ("mos_p5", 20, ""),
        ("registration_p95", 3, ", of 3 registrations: too few for p95, which takes 20"),
        ("lateness_p99", 7, ", of 7 packets: too few for p99, which takes 100"),
    ],
)
def test_a_percentile_of_too_few_values_is_said_with_the_verdict(name, values, said):
    found = Tally()
    figures = {"registration": found.registration_ms, "lateness": found.lateness_ms}
    figures |= {"setup": found.setup_ms, "mos": found.mos}
    figures[name.partition("_")[0]].record_value(4.0, values)
    verdict = parse_expectation(f"{name}<=5").judge_tally(found)
    assert verdict.met
    assert verdict.measured.partition(",")[0].startswith("4")
    assert verdict.measured.removeprefix(verdict.measured.partition(",")[0]) == said


def test_one_call_with_another_suite_breaks_the_expectation():
    found = tally()
    found.suites["clear"] = 1
    verdict = parse_expectation("suite=AEAD_AES_256_GCM").judge_tally(found)
    assert not verdict.met
    assert "clear 1" in verdict.measured


@pytest.mark.parametrize(
    "text", ["answered>=0%", "mos_p5>=0", "setup_p99<=500ms", "loss<=100%", "suite=clear"]
)
def test_what_was_never_measured_is_never_met(text):
    assert not parse_expectation(text).judge_tally(Tally()).met


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *[(name, "no call was attempted") for name in ("answered", "failed")],
        ("dropped", "no call was answered"),
        ("setup_p99", "no INVITE was answered"),
        ("registered", "no user tried"),
        ("registration_p50", "no user registered"),
        ("loss", "no packet was to come"),
        *[(name, "no packet was sent") for name in ("late", "lateness_p99")],
        ("audio", "no call was listened to"),
        *[(f"{name}_p95", "no call had media") for name in ("mos", "jitter", "loss")],
    ],
)
def test_a_verdict_without_a_value_says_why_there_is_none(name, why):
    measured = parse_expectation(f"{name}>=0").judge_tally(Tally()).measured
    assert measured.startswith(f"nothing, since {why}")


@pytest.mark.parametrize("text", ["answered", " mos_p5 ", "quality"])
def test_what_a_shell_has_cut_off_is_to_be_quoted(text):
    with pytest.raises(ConfigurationError, match="in quotes, as in --expect 'answered>=99%'"):
        parse_expectation(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("answered>=0.99", "write 99%, or 0.99% if"),
        ("audio>1", "write 100%, or 1% if"),
        ("registered=0.5", "write 50%, or 0.5% if"),
    ],
)
def test_a_share_of_one_is_not_taken_for_a_percentage(text, words):
    with pytest.raises(ConfigurationError, match=words):
        parse_expectation(text)
    assert parse_expectation(f"{text}%").bound == float(text.strip("abcdefghijklmnopqrstuvwxyz>="))


@pytest.mark.parametrize(
    "text", ["failed<=0.5", "loss<1", "late<=1", "answered>=0", "answered>=99"]
)
def test_where_a_small_percentage_is_meant_it_needs_no_sign(text):
    assert parse_expectation(text).text == text


@pytest.mark.parametrize(
    ("text", "counts", "outright"),
    [
        ("answered>=99%", {"attempted": 3}, True),
        ("answered>=99%", {"attempted": 3, "answered": 1}, False),
        ("answered>=0%", {"attempted": 3}, False),
        ("answered>=99%", {}, False),
        ("audio>=99%", {"checked": 3}, True),
        ("audio>=99%", {"checked": 3, "heard": 1}, False),
        ("registered>=99%", {"registrations": 3}, True),
        ("failed<=1%", {"attempted": 3, "failed": Counter({"503": 3})}, True),
        ("failed<=1%", {"attempted": 3, "failed": Counter({"503": 2})}, False),
        ("late<=1%", {"due": 3, "late": 3}, False),
        ("mos_p5>=4", {}, False),
        ("suite=AEAD_AES_256_GCM", {"suites": Counter(clear=3)}, True),
        ("suite=AEAD_AES_256_GCM", {"suites": Counter(clear=1, AEAD_AES_256_GCM=9)}, True),
        ("suite=AEAD_AES_256_GCM", {}, False),
    ],
)
def test_what_fails_outright_is_what_no_delay_brings_about(text, counts, outright):
    assert parse_expectation(text).judge_tally(Tally(**counts)).outright is outright


@pytest.mark.parametrize(
    "text",
    [
        "",
        "answered=>5%",
        "answered>=many",
        "answered>=5ms",
        "quality>=4",
        "quality_p5>=4",
        "mos_p0>=4",
        "mos_p1000>=4",
        "mos_p5>=4%",
        "suite>=clear",
        "suite=NULL",
        "setup_p99<=-5ms",
    ],
)
def test_what_cannot_be_read_says_what_is_accepted(text):
    with pytest.raises(ConfigurationError, match="accepted are answered"):
        parse_expectation(text)


def test_a_call_that_was_answered_in_silence_does_not_count_as_answered():
    tally = Tally(attempted=10, answered=10)
    tally.failed["no_media"] = 1
    assert parse_expectation("answered>=99%").judge_tally(tally).measured == "90%"
    assert parse_expectation("failed<=10%").judge_tally(tally).met
    assert not parse_expectation("mos_p5>=1").judge_tally(tally).met
