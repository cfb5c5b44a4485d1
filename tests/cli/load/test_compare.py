"""`softphone load compare` and `--baseline`: tables, rules, pages and exit codes."""

from __future__ import annotations

import json

import pytest

from softphone.load import LoadResult
from tests.load.compare.runs import result, write_run


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Files of runs in the working folder: two of the same, and one that is slower."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a.jsonl", 1)
    write_run(tmp_path / "b.jsonl", 2)
    write_run(tmp_path / "slow.jsonl", 3, setup_ms=30.0)
    return tmp_path


def compare(cli, *arguments):
    return cli("load", "compare", *arguments)


def test_two_runs_are_a_table_and_a_rule_is_an_exit_code(cli, runs):
    ended = compare(cli, "a.jsonl", "slow.jsonl")
    assert ended.code == 0
    assert "a.jsonl and slow.jsonl" in ended.out
    assert "setup_p99" in ended.out
    assert "worse" in ended.out
    assert "no rule was asked for (--fail-on)" in ended.out
    ended = compare(cli, "a.jsonl", "slow.jsonl", "--fail-on", "setup_p50>10%")
    assert ended.code == 1
    assert "not met: setup_p50 worse than before by no more than 10% (measured: " in ended.out
    ended = compare(cli, "a.jsonl", "b.jsonl", "--fail-on", "regression")
    assert (ended.code, "every rule is kept" in ended.out) == (0, True)


def test_too_few_calls_are_neither_met_nor_a_failure(cli, runs):
    write_run(runs / "few.jsonl", 1, calls=20)
    write_run(runs / "fewer.jsonl", 2, calls=20, mos=3.0)
    ended = compare(cli, "few.jsonl", "fewer.jsonl", "--fail-on", "regression")
    assert "not judged, too few calls: " in ended.out
    assert "mos_p5 not worse than before" in ended.out.partition("not judged, too few")[2]
    assert ended.code == 1, "mos_p50 says it"
    write_run(runs / "same.jsonl", 2, calls=20)
    ended = compare(cli, "few.jsonl", "same.jsonl", "--fail-on", "regression", "--report", "p.html")
    assert (ended.code, "every other rule is kept" in ended.out) == (0, True)
    page = (runs / "p.html").read_text()
    assert '<td>mos_p5 not worse than before</td><td class="note">not judged (too few)' in page


def test_a_script_that_fails_says_why_on_standard_error(cli, runs):
    ended = compare(cli, "a.jsonl", "slow.jsonl", "--fail-on", "setup_p50>10%", "--json")
    assert (ended.code, ended.names()) == (1, ["summary"])
    assert "not met: setup_p50 worse than before by no more than 10% (measured: " in ended.err
    assert compare(cli, "a.jsonl", "b.jsonl", "--fail-on", "regression", "--json").err == ""


def test_where_nothing_could_be_judged_the_exit_code_is_4(cli, runs, monkeypatch):
    from softphone.load.plan import ExpectationVerdict

    unjudged = ExpectationVerdict("mos_p5 not worse than before", False, "3", judged=False)
    monkeypatch.setattr("softphone.cli.load.compare.judge_changes", lambda *_: [unjudged])
    ended = compare(cli, "a.jsonl", "b.jsonl", "--fail-on", "regression")
    assert ended.code == 4
    assert "INVALID: not judged, too few calls: mos_p5 not worse than before" in ended.out


def test_a_script_gets_each_comparison_with_the_first(cli, runs):
    ended = compare(
        cli, "a.jsonl", "b.jsonl", "slow.jsonl", "--fail-on", "regression", "--json",
        "--report", "compare.html",
    )  # fmt: skip
    assert ended.code == 1
    assert ended.names() == ["report", "summary"]
    same, slow = ended.summary["comparisons"]
    assert (ended.summary["base"], slow["run"]) == ("a.jsonl", "slow.jsonl")
    figures = {each["figure"]: each for each in slow["figures"]}
    assert figures["setup_p50"]["verdict"] == "worse"
    assert figures["setup_p50"]["low"] > 0
    assert figures["setup_p50"]["values"] == [1000, 1000]
    assert all(each["met"] for each in same["verdicts"])
    assert "<h2>slow.jsonl</h2>" in (runs / "compare.html").read_text()


def test_a_folder_is_several_runs_of_one_version(cli, runs):
    for name, seeds in (("before", (1, 2, 3)), ("after", (4, 5, 6))):
        (runs / name).mkdir()
        for seed in seeds:
            write_run(runs / name / f"{seed}.jsonl", seed)
    ended = compare(
        cli, "before", "after", "slow.jsonl", "--fail-on", "regression", "--json",
        "--report", "compare.html",
    )  # fmt: skip
    assert ended.code == 1
    same, slow = ended.summary["comparisons"]
    assert [same["runs"], slow["runs"]] == [[3, 3], [3, 1]]
    assert all(each["met"] or not each["judged"] for each in same["verdicts"])
    assert "the mean of the runs of its side" in (runs / "compare.html").read_text()
    (runs / "empty").mkdir()
    ended = compare(cli, "before", "empty")
    assert (ended.code, "empty holds 0 files" in " ".join(ended.err.split())) == (2, True)


def test_why_there_is_no_interval_is_told(cli, runs):
    write_run(runs / "few.jsonl", 1, calls=20)
    ended = compare(cli, "few.jsonl", "few.jsonl", "--json")
    figures = {each["figure"]: each for each in ended.summary["comparisons"][0]["figures"]}
    assert figures["setup_p95"]["no_interval"] == "too few values"
    assert figures["setup_p50"]["no_interval"] == ""


def test_runs_that_prove_nothing_are_exit_code_4(cli, runs):
    made = result()
    made.invalid_because.append("the machine was busy")
    (runs / "busy.json").write_text(json.dumps(made.summary()))
    ended = compare(cli, "a.jsonl", "busy.json", "--fail-on", "regression")
    assert ended.code == 4
    assert "busy.json proves nothing: the machine was busy" in ended.err
    assert "INVALID: busy.json proves nothing" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.jsonl",), "give two files or more"),
        (("a.jsonl", "none.jsonl"), "none.jsonl cannot be read: No such file"),
        (("a.jsonl", "text"), "text is no summary of a run"),
        (("a.jsonl", "b.jsonl", "--fail-on", "speed>1%"), "speed is unknown; accepted are"),
        (("a.jsonl", "b.jsonl", "--report", "no/x.html"), "there is no such folder"),
    ],
)
def test_wrong_usage_is_exit_code_2(cli, runs, arguments, words):
    (runs / "text").write_text("hello\n")
    ended = compare(cli, *arguments)
    assert (ended.code, words in ended.err) == (2, True), ended.err


def test_a_page_that_cannot_be_written_is_exit_code_1(cli, runs, monkeypatch):
    from softphone.errors import ConfigurationError

    def full(*_, **__):
        raise ConfigurationError("no space left")

    monkeypatch.setattr("softphone.cli.load.compare.write_comparison", full)
    ended = compare(cli, "a.jsonl", "b.jsonl", "--report", "x.html")
    assert (ended.code, "no space left" in ended.err) == (1, True)


@pytest.fixture
def run(cli, lab, monkeypatch):
    """`run("--baseline", …)`: a run that gives the result of the last `run.result = …`."""

    async def run_plan(plan, workers, watcher, ray, control):
        return LoadResult(plan, seconds=run.result.seconds, total=run.result.total)

    monkeypatch.setattr("softphone.cli.load.load.run_plan", run_plan)

    def run(*arguments, command="run"):
        account = ("--account", lab["alice"], "--target", "600")
        return cli("load", command, *account, *arguments)

    run.result = result(2)
    return run


def test_a_run_is_judged_against_its_baseline(run, runs):
    ended = run("--baseline", "a.jsonl")
    assert (ended.code, "every verdict met" in ended.out) == (0, True)
    run.result = result(3, setup_ms=30.0)
    ended = run("--baseline", "a.jsonl", "--junit", "load.xml")
    assert ended.code == 1
    assert "not met: setup_p50 not worse than before" in ended.out
    assert 'name="setup_p50 not worse than before"' in (runs / "load.xml").read_text()
    ended = run("--baseline", "a.jsonl", "--fail-on", "setup_p50>90%", "--json")
    assert ended.code == 0
    (verdict,) = ended.summary["verdicts"]
    assert verdict["expected"] == "setup_p50 worse than before by no more than 90%"
    ended = run("--baseline", "a.jsonl", "--calls", "3")
    assert "the baseline is of another run: calls 1 and 3" in ended.err


def test_a_baseline_that_proves_nothing_is_refused_before_anything_is_sent(run, runs):
    made = result()
    made.interrupted = True
    (runs / "half.json").write_text(json.dumps(made.summary()))
    for arguments, words in (
        (("--baseline", "half.json"), "half.json proves nothing: it was interrupted"),
        (("--baseline", "none.json"), "none.json cannot be read"),
        (("--fail-on", "regression"), "say against which run (--baseline FILE)"),
    ):
        ended = run(*arguments)
        assert (ended.code, words in ended.err) == (2, True), ended.err
    ended = run("--baseline", "a.jsonl", "--expect", "answered>=9%", command="find-capacity")
    assert (ended.code, "another number of calls" in ended.err) == (2, True)
