"""`softphone load` against a lab: figures, verdicts, reports and exit codes."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import urllib.request
from dataclasses import replace

import pytest

from softphone.call import AudioStream
from softphone.errors import ConfigurationError
from softphone.load import LoadResult
from softphone.load.measure import RunSecond, Tally
from tests.support.waiting import PATIENCE

RUN = ("load", "run", "--target", "600", "--calls", "3", "--rate", "20", "--duration", "1")


@pytest.fixture
def run(cli, lab, worker_id):
    """`run("--expect", …)`: a small run as alice, with media ports of its own."""
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 50000 + number % 9 * 200

    def small(*arguments, scenario=RUN):
        ports = f"{first}-{first + 199}"
        return cli(*scenario, "--account", lab["alice"], "--ports", ports, *arguments)

    return small


def test_json_has_an_object_a_second_and_the_summary(run):
    ended = run("--json", "--suite", "AEAD_AES_256_GCM", "--expect", "suite=AEAD_AES_256_GCM")
    assert set(ended.names()) == {"second", "summary"}
    assert ended.names().count("second") >= 2
    summary = ended.summary
    assert summary["calls"]["attempted"] == summary["calls"]["answered"] == 3
    assert summary["suites"] == {"AEAD_AES_256_GCM": 3}
    assert summary["verdicts"][0]["met"]
    assert summary["packets"]["sent"] == sum(
        event["packets"]["sent"] for event in ended.events[:-1]
    )
    assert ended.code == (0 if summary["valid"] else 4)


def test_a_verdict_that_is_not_met_is_exit_code_1_with_the_reason(run, monkeypatch):
    monkeypatch.setattr(
        "softphone.load.run.runner.BottleneckDetector.invalid_reasons", lambda watch: ()
    )
    ended = run("--expect", "setup_p99<=0.01ms", "--expect", "answered>=99%")
    assert ended.code == 1
    assert "not met: setup_p99<=0.01ms (measured: " in ended.out
    assert "not met: answered" not in ended.out
    assert "calls attempted" in ended.out
    assert "valid" not in ended.out.replace("INVALID", "")


def test_a_script_reads_on_standard_error_why_a_run_failed(run, monkeypatch):
    monkeypatch.setattr(
        "softphone.load.run.runner.BottleneckDetector.invalid_reasons", lambda watch: ()
    )
    ended = run("--expect", "setup_p99<=0.01ms", "--json")
    assert ended.code == 1
    assert "not met: setup_p99<=0.01ms (measured: " in ended.err
    assert ended.summary["verdicts"][0]["judged"]
    assert "not met" not in run("--expect", "answered>=99%", "--json").err


def test_a_valid_run_says_what_came_about(run, monkeypatch):
    monkeypatch.setattr(
        "softphone.load.run.runner.BottleneckDetector.invalid_reasons", lambda watch: ()
    )
    ended = run("--expect", "answered>=99%")
    assert ended.code == 0
    assert "valid, every verdict met: 3 of 3 calls were answered" in ended.out
    ended = run("--target", "nobody")
    assert ended.code == 0
    assert "no verdict was asked for (--expect): 0 of 3 calls were answered" in ended.out
    ended = run("--scenario", "register-storm", "--rate", "20")
    assert "(--expect): 1 of 1 users registered" in ended.out


def test_an_invalid_run_has_an_exit_code_of_its_own_whatever_the_verdicts(run, monkeypatch):
    monkeypatch.setattr("softphone.load.run.bottleneck.TOO_LATE_MS", -1.0)
    ended = run("--json", "--expect", "answered>=99%")
    assert ended.code == 4
    assert ended.summary["valid"] is False
    assert ended.summary["verdicts"][0]["met"]
    reason = ended.summary["invalid_because"][0]
    assert "--workers" in reason or "another machine" in reason
    ended = run("--expect", "setup_p99<=0.01ms")
    assert ended.code == 4
    assert "INVALID: " in ended.out


def test_late_packets_may_be_borne_and_that_is_said(run, monkeypatch):
    monkeypatch.setattr("softphone.load.run.bottleneck.TOO_LATE_MS", -1.0)
    monkeypatch.setattr("softphone.load.run.bottleneck.BEHIND", 99.0)
    ended = run("--tolerate-late", "99.9", "--json")
    assert ended.summary["tolerate_late"] == 99.9
    assert ended.code == 4, "every packet is late"
    monkeypatch.setattr("softphone.load.run.bottleneck.TOO_LATE_MS", 5000.0)
    ended = run("--tolerate-late", "50")
    assert ended.code == 0, ended.out
    assert "own packets to be borne late" in ended.out
    assert "--tolerate-late: up to 50 % of our packets were borne late" in ended.out
    assert "valid, and no verdict was asked for" in ended.out
    for wrong in ("-1", "100", "nan"):
        ended = run("--tolerate-late", wrong)
        assert ended.code == 2
        assert "expected a share from 0" in ended.err


def test_an_answer_without_media_is_a_failure(run, monkeypatch):
    """Extension 600 sends back what it hears; here we hear nothing of it."""
    monkeypatch.setattr(
        "softphone.load.run.runner.BottleneckDetector.invalid_reasons", lambda watch: ()
    )
    monkeypatch.setattr("softphone.load.run.call_tracker.SILENT_PACKETS", 20)
    real = AudioStream.statistics.fget
    monkeypatch.setattr(
        AudioStream,
        "statistics",
        property(lambda audio: replace(real(audio), packets_received=0, mos=None)),
    )
    ended = run("--expect", "answered>=99%", "--checks", "0", "--json")
    assert ended.code == 1
    assert ended.summary["calls"]["failed"] == {"no_media": 3}
    assert ended.summary["mos"] == {"p5": None, "p50": None}
    ended = run("--checks", "0")
    assert "no_media: answered, and not one packet came" in ended.out
    assert "3 of 3 calls were answered, 3 of them without a packet of media" in ended.out


def test_without_a_terminal_progress_is_told_on_standard_error(run, monkeypatch):
    monkeypatch.setattr("softphone.cli.load.screen.LINE_EVERY", 1.0)
    told = re.compile(
        r"\d+ s: \d of 3 calls up, \d of \d answered, 0 failed, 0 dropped, MOS p5 \S+", re.MULTILINE
    )
    # A machine that is busy is warned of in lines between.
    assert told.search(run().err)
    assert not told.search(run("--json").err)


def test_a_bad_expectation_is_exit_code_2_with_what_is_accepted(run):
    ended = run("--expect", "quality>=5")
    assert ended.code == 2
    assert "accepted are answered" in ended.err


def test_a_report_is_written(run, tmp_path):
    file = tmp_path / "report.html"
    ended = run("--report", file)
    assert f"the report is {file}" in ended.out
    assert "AEAD_AES_256_GCM 3" in file.read_text()
    assert run("--report", tmp_path / "none" / "r.html").code == 2
    ended = run("--report", tmp_path)
    assert ended.code == 2
    assert "that is a folder" in ended.err


def test_a_report_that_cannot_be_written_in_the_end_does_not_take_the_figures_with_it(
    run, monkeypatch
):
    def full(*_, **__):
        raise ConfigurationError("r.html cannot be written: No space left on device")

    monkeypatch.setattr("softphone.cli.load.artifacts.write_report", full)
    monkeypatch.setattr(
        "softphone.load.run.runner.BottleneckDetector.invalid_reasons", lambda watch: ()
    )
    ended = run("--report", "r.html", "--json")
    assert ended.code == 1
    assert "No space left" in ended.err
    assert ended.summary["calls"]["answered"] == 3
    assert ended.summary["valid"]


def test_a_run_that_is_refused_is_invalid_for_the_reason_that_is_told(run):
    ended = run("--workers", "9", "--json")
    assert ended.code == 2
    (reason,) = ended.summary["invalid_because"]
    assert reason == f"the run came to no result: {ended.summary['reason']}"
    assert "--workers 9: each needs a call" in reason


def test_workers_share_the_run_and_each_sends_its_signaling_to_homer(run):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        collector.settimeout(20)
        port = collector.getsockname()[1]
        ended = run("--workers", "2", "--json", "--hep", f"127.0.0.1:{port}")
        # Each of the three calls has an INVITE, its 200, ACK, BYE and its 200, at the least.
        seen = [collector.recv(65535) for _ in range(15)]
    assert ended.summary["workers"]["started"] == 2
    assert ended.summary["calls"]["answered"] == 3
    assert all(packet.startswith(b"HEP3") for packet in seen)
    assert not any(re.search(rb"inline:[^*]", packet) for packet in seen)
    assert run("--workers", "0").code == 2
    assert run("--workers", "9").code == 2


def test_a_search_finds_what_the_lab_holds(run, tmp_path):
    file = tmp_path / "capacity.html"
    scenario = ("load", "find-capacity", "--target", "600", "--rate", "40", "--duration", "0.5")
    options = ("--calls", "1", "--most", "2", "--confirm", "1", "--checks", "0")
    ended = run(
        *options, "--expect", "answered>=99%", "--report", file, "--json", scenario=scenario
    )
    trials = [event for event in ended.events if event["event"] == "trial"]
    assert trials[0]["calls"] == 1
    capacity = ended.summary["capacity"]
    assert [t["calls"] for t in capacity["trials"]] == [t["calls"] for t in trials]
    if all(trial["valid"] for trial in trials):
        assert (ended.code, capacity["calls"], capacity["confirmed"]) == (0, 2, True)
    assert "Capacity" in file.read_text()
    refused = run("--json", scenario=scenario)
    assert refused.code == 2, "without a verdict there is no capacity"
    assert list(refused.summary["capacity"]) == list(capacity)
    assert (refused.summary["capacity"]["calls"], refused.summary["capacity"]["trials"]) == (0, [])
    for option, value, words in (
        ("--most", "1", "--most 1: expected at least 10, with which the search begins (--calls)"),
        ("--confirm", "0", "--confirm 0: expected 1 or more"),
        ("--precision", "1", "--precision 1: expected a share between 0 and 1"),
    ):
        wrong = run("--expect", "answered>=9%", option, value, scenario=scenario)
        assert (wrong.code, words in wrong.err) == (2, True)


def test_a_search_tells_of_each_trial_apart(run, monkeypatch):
    async def run_plan(plan, workers, watcher, ray, control):
        tally = Tally(attempted=plan.calls, answered=plan.calls, sent=1)
        made = LoadResult(plan)
        made.add_second(RunSecond(10.0, up=plan.calls, tally=tally))
        watcher.second(made.seconds[0])
        return made

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    scenario = ("load", "find-capacity", "--target", "600", "--calls", "1", "--most", "2")
    ended = run("--confirm", "2", "--expect", "answered>=99%", scenario=scenario)
    assert [line.partition(", MOS")[0] for line in ended.err.splitlines()] == [
        f"trial with {calls}, 10 s: {n} of {n} calls up, {n} of {n} answered, 0 failed, 0 dropped"
        for calls, n in (("1 call", 1), ("2 calls", 2), ("2 calls", 2))
    ]
    assert ended.out.splitlines()[:3] == [
        "1 call: held",
        "2 calls: held",
        "2 calls: held again (2 times; confirmed by 2)",
    ]
    missed = run("--expect", "mos_p5>=4", scenario=scenario)
    assert "1 call: not held: mos_p5>=4 (measured: nothing, since no call had media" in missed.out


def test_repeated_trials_give_an_interval(run, monkeypatch):
    async def run_plan(plan, workers, watcher, ray, control):
        made = LoadResult(plan)
        tally = Tally(attempted=plan.calls, answered=min(plan.calls, 5), sent=1)
        made.add_second(RunSecond(10.0, up=plan.calls, tally=tally))
        return made

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    scenario = ("load", "find-capacity", "--target", "600", "--calls", "2", "--most", "20")
    asked = ("--confirm", "1", "--expect", "answered>=100%")
    ended = run(*asked, "--repeat", "4", scenario=scenario)
    assert ended.code == 0
    assert ended.out.count("for the interval)") == 4
    assert ": held (repeated trial 1, for the interval)" in ended.out
    assert "; half of all trials hold 5 calls (95 %: " in ended.out
    summary = run(*asked, "--repeat", "4", "--json", scenario=scenario).summary["capacity"]
    assert (summary["calls"], summary["repeats"]) == (5, 4)
    assert summary["interval"]["low"] <= 5 <= summary["interval"]["high"]
    assert "; its interval is unknown: that takes" in run(*asked, scenario=scenario).out
    refused = run(*asked, "--repeat", "-1", scenario=scenario)
    assert (refused.code, "--repeat -1: expected 0 to 1000" in refused.err) == (2, True)


@pytest.mark.parametrize(("too_late", "warned"), [(5, 0), (500, 1)])
def test_a_late_moment_is_no_warning_and_a_run_that_becomes_invalid_by_them_is(
    run, monkeypatch, too_late, warned
):
    async def run_plan(plan, workers, watcher, ray, control):
        logging.getLogger("softphone.media").warning("media was 90 ms late: of the loop")
        made = LoadResult(plan)
        for at in (10.0, 11.0, 12.0):
            tally = Tally(attempted=1, answered=1)
            tally.count_lateness(1.0, 1000 - too_late)
            tally.count_lateness(90.0, too_late)
            made.add_second(RunSecond(at, up=1, tally=tally))
            watcher.second(made.seconds[-1])
        return made

    monkeypatch.setattr("softphone.cli.load.load.run_plan", run_plan)
    ended = run()
    assert "media was" not in ended.err
    sentence = "warning: if it stays so, this run is invalid: 50.0% of our packets left more than"
    assert ended.err.count(sentence) == ended.err.count("warning: ") == warned


def test_prometheus_is_served_while_it_runs_and_ctrl_c_keeps_the_figures(start, lab, worker_id):
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 52000 + number % 9 * 200
    process = start(
        *RUN,
        *("--duration", "600", "--prometheus", "0", "--json"),
        *("--account", lab["alice"], "--ports", f"{first}-{first + 199}"),
    )
    url = json.loads(process.until("prometheus"))["url"]
    assert url.startswith("http://127.0.0.1:")
    process.until('"second"')
    process.until('"second"')
    page = urllib.request.urlopen(url, timeout=PATIENCE).read().decode()
    assert "softphone_load_calls_answered_total 3\n" in page
    ended = process.end(signal.SIGINT)
    assert ended.code == 130
    assert ended.summary["interrupted"] is True
    assert ended.summary["calls"]["ended"] == {"local": 3}


def test_ctrl_c_ends_a_search_with_what_it_has(start, lab, worker_id):
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 52000 + number % 9 * 200
    process = start(
        *("load", "find-capacity", "--target", "600", "--rate", "40", "--calls", "2", "--json"),
        *("--duration", "600", "--expect", "answered>=99%", "--checks", "0"),
        *("--account", lab["alice"], "--ports", f"{first}-{first + 199}"),
    )
    process.until('"up": 2')
    ended = process.end(signal.SIGINT)
    assert ended.code == 130
    assert ended.summary["capacity"]["calls"] == 0
    assert [trial["why"] for trial in ended.summary["capacity"]["trials"]] == ["interrupted"]
    assert ended.summary["interrupted"] is True
