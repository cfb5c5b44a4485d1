"""Verdicts as test cases, as JUnit XML, and as annotations of GitHub and GitLab."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from softphone.load import LoadResult
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.measure import GeneratorCheck, RunSecond, Tally
from softphone.load.plan import BaseSpec, ExpectationVerdict, LoadPlan, UserSpec
from softphone.load.report import (
    CaseOutcome,
    VerdictCase,
    github_commands,
    gitlab_document,
    junit_document,
    markdown_summary,
    no_result_cases,
    output_text,
    run_properties,
    verdict_cases,
)
from tests.load.report.junit_schema import checked_suite

WALL = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
MET = ExpectationVerdict("answered>=99%", True, "99.9%")
UNMET = ExpectationVerdict("mos_p5>=4.0", False, "3.9")
UNJUDGED = ExpectationVerdict("loss_p95 not worse than before", False, "9 %", judged=False)
CONTROLS = "486 \x00\x1b[31m]]> & <b>\ud800"


def result(**settings):
    users = (UserSpec("sip:a@h"),)
    plan = LoadPlan("echo", "600", BaseSpec(server="sip:h"), users, calls=7)
    made = LoadResult(plan, **settings)
    tally = Tally(attempted=5, answered=4, skipped=1)
    for late_ms, packets in ((1.0, 97), (8.0, 2), (400.0, 1)):
        tally.count_lateness(late_ms, packets)
    tally.failed[CONTROLS] = 1
    made.add_second(RunSecond(12.5, up=4, tally=tally))
    return made


def outcomes(cases):
    return {case.name: case.outcome for case in cases}


def document(cases, made):
    return junit_document(
        cases,
        scenario=made.plan.scenario,
        wall=WALL,
        seconds=made.seconds[-1].at,
        properties=run_properties(made),
        output=output_text(made),
    )


def test_each_check_of_the_generator_and_each_expectation_is_a_case():
    found = outcomes(verdict_cases(result(), [MET, UNMET]))
    assert list(found) == [
        *(check.value for check in GeneratorCheck),
        "answered>=99%",
        "mos_p5>=4.0",
    ]
    assert found.pop("mos_p5>=4.0") is CaseOutcome.FAILED
    assert set(found.values()) == {CaseOutcome.PASSED}


def test_what_was_not_judged_is_skipped():
    cases = verdict_cases(result(), [MET, UNJUDGED])
    assert outcomes(cases)["loss_p95 not worse than before"] is CaseOutcome.SKIPPED
    assert cases[-1].text.startswith("not judged (too few): loss_p95 not worse than before")
    suite = checked_suite(document(cases, result()))
    assert (suite.attrib["skipped"], suite.attrib["failures"]) == ("1", "0")


def test_an_invalid_run_is_an_error_and_its_expectations_are_skipped():
    made = result()
    made.add_invalid_reason("worker 1: it was busy", GeneratorCheck.SPEED)
    made.add_invalid_reason("worker 2: it was busy", GeneratorCheck.SPEED)
    cases = verdict_cases(made, [MET, UNMET])
    found = outcomes(cases)
    assert found[GeneratorCheck.SPEED.value] is CaseOutcome.ERROR
    assert found[GeneratorCheck.WORKERS.value] is CaseOutcome.PASSED
    assert found["answered>=99%"] is found["mos_p5>=4.0"] is CaseOutcome.SKIPPED
    assert cases[0].text == "worker 1: it was busy\nworker 2: it was busy"
    suite = checked_suite(document(cases, made))
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")


def test_what_fails_outright_has_failed_in_an_invalid_run_too():
    made = result()
    made.add_invalid_reason("it was busy", GeneratorCheck.SPEED)
    clear = ExpectationVerdict("suite=AEAD_AES_256_GCM", False, "clear 4", outright=True)
    cases = verdict_cases(made, [clear, UNMET])
    found = outcomes(cases)
    assert found["suite=AEAD_AES_256_GCM"] is CaseOutcome.FAILED
    assert found["mos_p5>=4.0"] is CaseOutcome.SKIPPED
    suite = checked_suite(document(cases, made))
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "1")


def test_without_a_result_every_expectation_is_an_error_with_the_cause():
    verdict = ExpectationVerdict("answered>=99%", False, "nothing, since nobody was there")
    run, *expected = no_result_cases("nobody was there", [verdict, verdict])
    assert (run.name, run.text) == (GeneratorCheck.COMPLETE.value, "nobody was there")
    assert [case.name for case in expected] == ["answered>=99%", "answered>=99% (2)"]
    assert {case.outcome for case in (run, *expected)} == {CaseOutcome.ERROR}
    assert "nothing, since nobody was there" in expected[0].text


def test_a_reason_without_a_check_and_an_interruption_are_errors_too():
    found = outcomes(verdict_cases(result(invalid_because=["of another kind"]), [UNMET]))
    assert found[GeneratorCheck.COMPLETE.value] is CaseOutcome.ERROR
    found = outcomes(verdict_cases(result(interrupted=True), [UNMET]))
    assert found[GeneratorCheck.COMPLETE.value] is CaseOutcome.ERROR
    assert found["mos_p5>=4.0"] is CaseOutcome.SKIPPED


@pytest.mark.parametrize(
    ("trials", "outcome"),
    [
        ([(1, True, True), (2, False, True), (1, True, True)], CaseOutcome.PASSED),
        ([(1, False, True)], CaseOutcome.FAILED),
        ([(1, False, False), (1, False, False)], CaseOutcome.ERROR),
    ],
)
def test_a_search_has_a_case_for_its_capacity(trials, outcome):
    search = CapacitySearch(first=1, most=2, confirm=2)
    for calls, held, valid in trials:
        search.add_trial(CapacityTrial(calls, held, valid=valid, why="" if held else "busy"))
    found = outcomes(verdict_cases(result(), [], search))
    assert found["a capacity is confirmed"] is outcome


def test_the_document_is_as_the_schemas_want_it():
    made = result()
    suite = checked_suite(document(verdict_cases(made, [MET, UNMET, UNMET]), made))
    assert suite.attrib["timestamp"] == "2026-01-02T03:04:05"
    assert suite.attrib["time"] == "12.500"
    assert suite.attrib["failures"] == "2"
    names = [case.attrib["name"] for case in suite.iter("testcase")]
    assert names[-2:] == ["mos_p5>=4.0", "mos_p5>=4.0 (2)"]
    failure = suite.find("testcase/failure")
    assert failure.text == failure.attrib["message"] == "not met: mos_p5>=4.0 (measured: 3.9)"
    properties = {each.attrib["name"]: each.attrib["value"] for each in suite[0]}
    assert (properties["scenario"], properties["calls"]) == ("echo", "7")
    assert properties["tolerate_late"] == "1.0"
    assert properties["late_percent_over_5_ms"] == "3.0"
    assert properties["late_percent_over_20_ms"] == "1.0"
    assert properties["packets_skipped"] == "1"
    assert "calls attempted: 5" in suite.find("system-out").text


def test_what_xml_cannot_hold_is_replaced():
    made = result()
    suite = checked_suite(document(no_result_cases(CONTROLS, []), made))
    assert suite.find("testcase/error").text == "486 ??[31m]]> & <b>?"
    assert "486 ??[31m" in suite.find("system-out").text


def test_github_gets_a_command_a_case_with_its_escapes():
    cases = [
        VerdictCase("expect", "p5: a,b", CaseOutcome.FAILED, "90% of\nall"),
        VerdictCase("expect", "met", CaseOutcome.PASSED, "fine"),
        VerdictCase("generator", "late", CaseOutcome.ERROR, "busy"),
        VerdictCase("expect", "none", CaseOutcome.SKIPPED, "skipped"),
    ]
    assert github_commands(cases) == [
        "::error title=softphone load%3A late::busy",
        "::error title=softphone load%3A p5%3A a%2Cb::90%25 of%0Aall",
    ]


def test_github_loses_none_of_more_than_it_shows():
    cases = [VerdictCase("expect", f"n{i}", CaseOutcome.FAILED, f"t{i}") for i in range(13)]
    lines = github_commands(cases)
    assert len(lines) == 10
    assert lines[-1] == "::error title=softphone load::t9%0At10%0At11%0At12"


def test_markdown_shows_words_as_they_are():
    made = result()
    text = markdown_summary(verdict_cases(made, [UNMET]), [("a | b", "*5* <img>\nx")], title="echo")
    assert "| ❌ | mos\\_p5&gt;=4.0 | not met: mos\\_p5&gt;=4.0 \\(measured: 3.9\\) |" in text
    assert "| a \\| b | \\*5\\* &lt;img&gt;<br>x |" in text
    assert "figure" not in markdown_summary([], [], title="echo")


def test_gitlab_knows_an_entry_again_whatever_was_measured():
    def entries(measured):
        verdict = ExpectationVerdict("mos_p5>=4.0", False, measured)
        cases = verdict_cases(result(), [MET, verdict])
        return json.loads(gitlab_document(cases, path="ci.yml"))

    (first,), (second,) = entries("3.9"), entries("2.0")
    assert first["fingerprint"] == second["fingerprint"]
    assert first["description"] != second["description"]
    assert first["location"] == {"path": "ci.yml", "lines": {"begin": 1}}
    assert (first["check_name"], first["severity"]) == ("softphone-load.expect", "major")
    made = result(invalid_because=["busy"])
    (entry,) = json.loads(gitlab_document(verdict_cases(made, [UNMET]), path="ci.yml"))
    assert entry["severity"] == "critical"
    assert json.loads(gitlab_document(verdict_cases(result(), [MET]), path="ci.yml")) == []
