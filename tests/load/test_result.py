"""The summary: its names are a contract with scripts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from softphone.load import (
    BLANK_LOAD_SUMMARY,
    LoadResult,
    failure_causes,
    judge_result,
    quantiles_text,
    result_figures,
    second_fields,
)
from softphone.load.measure import GeneratorCheck, RunSecond, Tally
from softphone.load.plan import (
    BaseSpec,
    FaultSpec,
    LoadPlan,
    SippSpec,
    UserSpec,
    parse_expectation,
)
from softphone.load.result import MOS_NAME

CONTRACT = {
    "valid": bool,
    "invalid_because": list,
    "calls": {"attempted": int, "answered": int, "failed": dict},
    "setup_ms": {"p50": float, "p95": float, "p99": float},
    "mos": {"p5": float, "p50": float},
    "packets": {"sent": int, "received": int, "lost": int, "late": int},
    "cpu_ms_per_call_second": float,
}


def result():
    plan = LoadPlan("echo", "600", BaseSpec(server="sip:h"), (UserSpec("sip:a@h"),))
    made = LoadResult(plan)
    for at in (1.0, 2.0):
        tally = Tally(attempted=10, answered=9, sent=500, received=499, lost=1, skipped=5)
        for late_ms, packets in ((1.0, 490), (8.0, 10), (315.0, 5)):
            tally.count_lateness(late_ms, packets)
        tally.failed["486 Busy Here"] = 1
        tally.setup_ms.record_value(20.0, 9)
        tally.mos.record_value(4.4, 9)
        tally.cpu_seconds, tally.call_seconds = 0.1, 10.0
        made.add_second(RunSecond(at, up=int(8 * at), peak=int(9 * at), tally=tally))
    return made


def check(contract, found):
    for name, kind in contract.items():
        if isinstance(kind, dict):
            check(kind, found[name])
        else:
            assert isinstance(found[name], kind), name


def test_the_summary_has_the_names_and_kinds_of_the_contract():
    summary = json.loads(json.dumps(result().summary()))
    check(CONTRACT, summary)
    assert summary["calls"]["attempted"] == 20
    assert summary["calls"]["failed"] == {"486 Busy Here": 2}
    assert summary["calls"]["most_up"] == 18
    assert summary["packets"] == {
        "sent": 1000,
        "received": 998,
        "lost": 2,
        "due": 1010,
        "late": 30,
        "too_late": 10,
        "skipped": 10,
    }
    assert summary["late_percent"] == {"over_5_ms": 2.9703, "over_20_ms": 0.9901}
    assert summary["lateness_ms"] == {"p50": 1.0, "p99": 8.0, "max": 315.0}
    assert summary["cpu_ms_per_call_second"] == 10.0
    assert summary["valid"] is True


def test_a_run_that_never_was_has_the_same_names():
    assert list(BLANK_LOAD_SUMMARY) == list(result().summary())
    assert BLANK_LOAD_SUMMARY["valid"] is False
    assert BLANK_LOAD_SUMMARY["calls"]["attempted"] == 0


def test_verdicts_are_in_the_summary():
    made = result()
    verdicts = judge_result(
        made, [parse_expectation("answered>=95%"), parse_expectation("mos_p5>=4")]
    )
    told = made.summary(verdicts)["verdicts"]
    assert [each["met"] for each in told] == [False, True]
    assert told[0] == {
        "expected": "answered>=95%",
        "met": False,
        "measured": "90%",
        "outright": False,
        "judged": True,
    }


def test_people_see_how_late_the_generator_itself_was():
    told = dict(result_figures(result()))
    assert told["own packets over 5 / 20 ms late"] == "2.97 % / 0.99 %"
    assert told["own packets skipped"] == "10 of 1,010"
    assert told["own lateness p50 / p99 / max, ms"] == "1 / 8 / 315"
    unsent = dict(result_figures(LoadResult(result().plan)))
    assert unsent["own packets over 5 / 20 ms late"] == "-"
    assert unsent["own lateness p50 / p99 / max, ms"] == "- / - / -"


def test_a_sipp_scenario_shows_no_figure_that_it_does_not_have():
    plan = replace(result().plan, sipp=SippSpec("call.xml"))
    told = dict(result_figures(LoadResult(plan, total=Tally(attempted=2))))
    assert told["calls attempted"] == "2"
    assert not {MOS_NAME, "suites", "media path", "packets lost"} & set(told)
    assert all(value.strip("-/ ") for value in told.values())


@pytest.mark.parametrize(
    ("checks", "interrupted", "outright"),
    [
        ([], False, [True, True]),
        ([GeneratorCheck.SPEED], False, [True, True]),
        ([GeneratorCheck.SPEED, GeneratorCheck.RESOURCES], False, [True, False]),
        ([GeneratorCheck.SENDING], False, [True, False]),
        ([GeneratorCheck.BUFFERS], False, [True, False]),
        ([GeneratorCheck.SCENARIO], False, [True, False]),
        ([None], False, [True, False]),
        ([GeneratorCheck.SPEED], True, [True, False]),
    ],
)
def test_nothing_at_all_is_a_failure_only_where_the_generator_could_act(
    checks, interrupted, outright
):
    made = LoadResult(result().plan, interrupted=interrupted)
    tally = Tally(attempted=3, answered=3, checked=3)
    tally.suites["clear"] = 3
    made.add_second(RunSecond(1.0, tally=tally))
    for number, check in enumerate(checks):
        if check is None:
            made.invalid_because.append("of another kind")
        else:
            made.add_invalid_reason(f"reason {number}", check)
    wanted = [parse_expectation("suite=AEAD_AES_256_GCM"), parse_expectation("audio>=99%")]
    assert [each.outright for each in judge_result(made, wanted)] == outright


def test_users_are_told_apart_from_their_attempts():
    made = result()
    made.total.registrations, made.total.registered, made.total.retried = 58, 24, 18
    assert dict(result_figures(made))["users registered"] == "24 of 40, asked again 18 times"
    told = made.summary(judge_result(made, [parse_expectation("registered>=60%")]))
    assert (told["registrations"]["attempted"], told["registrations"]["retried"]) == (58, 18)
    assert told["verdicts"][0]["measured"] == "60%"
    assert told["verdicts"][0]["met"]


def test_an_invalid_run_says_so():
    made = result()
    made.invalid_because.append("it was me")
    assert made.summary()["valid"] is False
    assert made.summary()["invalid_because"] == ["it was me"]


def test_a_second_has_what_a_script_plots():
    fields = second_fields(result().seconds[0])
    assert fields["up"] == 8
    assert fields["failed"] == {"486 Busy Here": 1}
    assert fields["mos"] == {"p5": None, "p50": None}
    json.dumps(fields)


def test_people_get_words():
    made = result()
    made.total.dropped["remote"] = 2
    made.total.registrations_failed["403 Forbidden"] = 1
    told = dict(result_figures(made))
    made.total.held_back = 6.25
    assert dict(result_figures(made))["held back by --calls, s"] == "6.2"
    assert made.summary()["calls"]["held_back_s"] == 6.25
    assert told["packets lost"] == "2 (0.200 %)"
    assert failure_causes(made.total) == {
        "486 Busy Here": 2,
        "dropped: remote": 2,
        "register: 403 Forbidden": 1,
    }
    assert told["faults injected"] == "none"
    made.plan = replace(made.plan, faults=FaultSpec(loss=0.05, cut_every=2.0))
    made.total.injected.update({"packet lost": 1200, "connection cut": 3})
    told = dict(result_figures(made))
    assert told["faults injected"] == (
        "loss 5 %, a connection cut every 2 s; packet lost 1,200, connection cut 3"
    )
    assert quantiles_text(made.total.jitter_ms, 0.5, 0.9) == "- / -"


def test_what_no_call_measured_is_null_and_no_zero():
    made = LoadResult(result().plan)
    made.add_second(RunSecond(1.0, tally=Tally(attempted=3)))
    summary = made.summary()
    assert (summary["loss_percent"], summary["cpu_ms_per_call_second"]) == (None, None)
    assert BLANK_LOAD_SUMMARY["loss_percent"] is None
