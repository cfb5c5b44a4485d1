"""Operations: what they count, how it adds up, and that a worker's arrive whole."""

from __future__ import annotations

import json

import pytest

from softphone.errors import ConfigurationError
from softphone.load import LoadResult, RunSecond, Tally, parse_expectation
from softphone.load.compare import compare_runs, read_summary
from softphone.load.measure import OPERATIONS, REFRESH, SIGN_IN, status_cause
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec, WorkloadSpec
from softphone.load.result import failure_causes, result_figures


def tally_of(succeeded=2, failed=1, seconds=0.010, span=2.0):
    tally = Tally(span=span)
    for _ in range(succeeded + failed):
        tally.operations.begin(REFRESH)
    for _ in range(succeeded):
        tally.operations.succeed(REFRESH, seconds)
    for _ in range(failed):
        tally.operations.fail(REFRESH, "403 Forbidden")
    return tally


def result_of(*tallies):
    users = (UserSpec("sip:a@h"),)
    spec = WorkloadSpec("registered-users", kept=True)
    plan = LoadPlan("registered-users", "sip:h", BaseSpec(server="sip:h"), users, workload=spec)
    result = LoadResult(plan)
    for tally in tallies:
        result.add_second(RunSecond(tally.span, tally=tally))
    return result


def test_tallies_add_up_and_go_over_the_wire():
    total = Tally()
    for _ in range(2):
        plain = json.loads(json.dumps(tally_of().to_plain()))
        total.merge(Tally.from_plain(plain))
    found = total.operations["refresh"]
    assert (found.attempted, found.succeeded, found.failed) == (6, 4, {"403 Forbidden": 2})
    assert (found.ms.total, found.ms.quantile(0.5), total.span) == (4, 10.0, 4.0)


@pytest.mark.parametrize(
    ("text", "met", "measured"),
    [
        ("refreshed>=60%", True, "66.67%"),
        ("refresh_p95<=9ms", False, "10 ms, of 2 refreshs: too few for p95, which takes 20"),
        ("refresh_rate>=1", True, "1/s"),
        ("recovered>=1%", False, "nothing, since no recovery was attempted"),
        ("recovery_p95<=1s", False, "nothing, since no recovery succeeded"),
    ],
)
def test_shares_latencies_and_rates_are_expected(text, met, measured):
    verdict = parse_expectation(text).judge_tally(tally_of())
    assert (verdict.met, verdict.measured) == (met, measured)


def test_where_nothing_succeeded_the_share_has_failed_outright():
    assert parse_expectation("refreshed>=1%").judge_tally(tally_of(0, 3)).outright
    assert parse_expectation("refresh_rate>=1").judge_tally(Tally()).measured.startswith("nothing")


def test_figures_and_causes_name_what_was_repeated():
    result = result_of(tally_of())
    figures = dict(result_figures(result))
    assert figures["refresh: succeeded"] == "2 of 3, 1.0 a second"
    assert figures["refresh p50 / p95 / p99 / max, ms (from REGISTER to its answer)"] == (
        "10 / 10 / 10 / 10"
    )
    assert failure_causes(result.total) == {"refresh: 403 Forbidden": 1}


def test_two_runs_are_compared_by_shares_latencies_and_rates(tmp_path):
    runs = []
    for number, (counts, seconds) in enumerate((((100, 0), 0.010), ((75, 25), 0.030))):
        file = tmp_path / f"{number}.json"
        tallies = [tally_of(*counts, seconds) for _ in range(4)]
        file.write_text(json.dumps({"event": "summary"} | result_of(*tallies).summary()))
        runs.append(read_summary(file))
    changes = {change.figure.label: change for change in compare_runs(*runs).changes}
    assert changes["refreshed"].judged == "worse"
    assert changes["refresh_p95"].judged == "worse"
    assert changes["refresh_rate"].judged == "too few to say"
    assert changes["refresh_rate"].worse_by == 12.5


@pytest.mark.parametrize("seconds", [-1, "2", None, True])
def test_a_summary_with_a_strange_time_is_refused(tmp_path, seconds):
    summary = {"event": "summary"} | result_of(tally_of()).summary()
    summary["operations"]["refresh"]["seconds"] = seconds
    file = tmp_path / "run.json"
    file.write_text(json.dumps(summary))
    with pytest.raises(ConfigurationError, match="no number of seconds"):
        read_summary(file)


def test_every_operation_has_names_of_its_own():
    names = [name for each in OPERATIONS.values() for name in (each.name, each.share, each.rate)]
    assert len(set(names)) == len(names)
    assert OPERATIONS["sign_in"] is SIGN_IN


def test_a_status_of_ours_is_told_from_one_that_came():
    assert status_cause(503) == "503 Service Unavailable"
    assert status_cause(503, answered=False) == "connection lost"
    assert status_cause(408, answered=False) == "no answer in time"
