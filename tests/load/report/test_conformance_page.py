"""The page and the test cases of a conformance run: escaped, complete, by verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.load.conformance import CaseResult, CaseVerdict, ConformanceResult
from softphone.load.report import CaseOutcome, conformance_cases, junit_document, write_conformance
from tests.load.conformance.conftest import case_of
from tests.load.report.junit_schema import checked_suite

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def result_of(*verdicts, **more):
    """A result with a case of each verdict, whose answer is hostile."""
    result = ConformanceResult("sip:b@h", "udp", **more)
    for number, verdict in enumerate(verdicts):
        why = "" if verdict is CaseVerdict.PASSED else "why <b>not</b>"
        case = case_of(name=f"case-{number}")
        result.cases.append(CaseResult(case, verdict, "2xx", "400 <script>\x00", why, 0.1))
    return result


def test_the_page_has_every_case_and_no_markup_of_the_target(tmp_path):
    path = tmp_path / "cases.html"
    result = result_of(*CaseVerdict, call="up to the end", stopped="it fell silent")
    write_conformance(path, result, wall=WALL)
    page = path.read_text()
    assert page.count("<tr><td>case-") == 4
    assert "<script>" not in page
    assert "<b>not</b>" not in page
    for part in (result.sentence, "it fell silent", "up to the end", "do it", "section 1"):
        assert part in page
    assert "1 pass, 1 deviates, 1 fail, 1 not judged" in result.sentence


@pytest.mark.parametrize(
    ("strict", "outcomes"),
    [
        (False, ["passed", "passed", "failed", "skipped"]),
        (True, ["passed", "failed", "failed", "skipped"]),
    ],
)
def test_cases_for_ci_and_their_document(strict, outcomes):
    cases = conformance_cases(result_of(*CaseVerdict).cases, strict=strict)
    assert [case.outcome for case in cases] == [CaseOutcome(each) for each in outcomes]
    assert [case.name for case in cases] == [f"case-{number}" for number in range(4)]
    assert cases[0].text == ""
    assert cases[2].text.startswith("fail: expected 2xx, came 400 <script>")
    document = junit_document(cases, scenario="conformance", wall=WALL)
    suite = checked_suite(document)
    assert {each.get("classname") for each in suite.iter("testcase")} == {
        "softphone-load.conformance"
    }
