"""What `softphone load` leaves for CI: JUnit XML, annotations, and the exit code beside them."""

from __future__ import annotations

import json
import socket
from collections import Counter
from datetime import datetime, timedelta

import pytest

from softphone.errors import ConfigurationError
from softphone.load import LoadResult
from softphone.load.measure import GeneratorCheck, RunSecond, Tally
from tests.load.report.junit_schema import checked_suite

RUN = ("load", "run", "--target", "600", "--calls", "1")


@pytest.fixture(autouse=True)
def outside_of_ci(monkeypatch, tmp_path):
    """No variable of the CI that these tests themselves run in, and a folder of their own."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "CI_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(cli, lab, monkeypatch):
    """`run("--expect", …)`: a run whose result is given: 3 of 4 calls answered, by default."""
    reasons: list[str] = []
    used: Counter[str] = Counter()

    async def run_plan(plan, workers, watcher, ray, control):
        made = LoadResult(plan)
        tally = Tally(attempted=4, answered=3, sent=1, suites=Counter(used))
        made.add_second(RunSecond(2.0, up=3, tally=tally))
        watcher.second(made.seconds[0])
        for reason in reasons:
            made.add_invalid_reason(reason, GeneratorCheck.SPEED)
        return made

    monkeypatch.setattr("softphone.cli.load.load.run_plan", run_plan)

    def small(*arguments, invalid=(), suites=()):
        reasons[:] = invalid
        used.clear()
        used.update(suites)
        return cli(*RUN, "--account", lab["alice"], *arguments)

    return small


def suite_of(path):
    return checked_suite(path.read_text())


def test_junit_says_what_the_exit_code_says(run, tmp_path):
    file = tmp_path / "load.xml"
    wanted = ("--junit", file, "--expect", "answered>=99%", "--expect", "failed<=1%")
    ended = run(*wanted)
    assert (ended.code, suite_of(file).attrib["failures"]) == (1, "1")
    assert f"the verdicts for CI are {file}" in ended.out
    ended = run(*wanted, invalid=["the machine was busy"])
    suite = suite_of(file)
    assert (ended.code, suite.attrib["errors"], suite.attrib["failures"]) == (4, "1", "0")
    assert suite.find("testcase/error").text == "the machine was busy"
    ended = run("--junit", file, "--expect", "answered>=70%")
    assert (ended.code, suite_of(file).attrib["failures"]) == (0, "0")
    assert list(tmp_path.glob(".load.xml*")) == []


def test_a_run_without_a_result_is_an_error_of_the_run_and_of_every_expectation(cli, tmp_path):
    file, page = tmp_path / "load.xml", tmp_path / "load.html"
    ended = cli(
        *("load", "run", "--target", "sip:a@127.0.0.1", "--calls", "0"),
        *("--junit", file, "--report", page, "--expect", "answered>=99%", "--json"),
    )
    assert ended.code == 2
    suite = suite_of(file)
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("2", "2")
    assert all("0 calls" in error.text for error in suite.findall("testcase/error"))
    (verdict,) = ended.summary["verdicts"]
    assert (verdict["expected"], verdict["met"]) == ("answered>=99%", False)
    assert "0 calls" in verdict["measured"]
    assert page.read_text().count("0 calls: expected 1 to 1,000,000") == 2


def test_a_server_that_is_not_there_is_said_in_every_file(cli, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ended = cli(
            *(*RUN, "--registrar", f"sip:127.0.0.1:{free.getsockname()[1]};transport=tcp"),
            *("--junit", "load.xml", "--report", "load.html", "--expect", "answered>=99%"),
        )
    assert ended.code == 1
    assert ended.err.count("error: ") == 1
    assert "the report is load.html" in ended.out
    suite = suite_of(tmp_path / "load.xml")
    properties = {each.attrib["name"]: each.attrib["value"] for each in suite[0]}
    assert (properties["target"], properties["tolerate_late"]) == ("600", "1.0")
    for error in suite.findall("testcase/error"):
        assert "the run came to no result" in error.text
    page = (tmp_path / "load.html").read_text()
    assert "No result" in page
    assert "<td>answered&gt;=99%</td>" in page


def test_junit_has_when_the_run_began_and_how_long_it_took(run, tmp_path, monkeypatch):
    begun = datetime(2026, 1, 2, 3, 4, 5).astimezone()
    monkeypatch.setattr("softphone.cli.load.load._now", lambda: begun)
    monkeypatch.setattr(
        "softphone.cli.load.artifacts._now", lambda: begun + timedelta(seconds=12.5)
    )
    run("--junit", "load.xml", "--report", "load.html")
    suite = suite_of(tmp_path / "load.xml")
    assert (suite.attrib["timestamp"], suite.attrib["time"]) == ("2026-01-02T03:04:05", "12.500")
    assert "begun at 2026-01-02 03:04:05" in (tmp_path / "load.html").read_text()


def test_a_call_in_clear_fails_the_run_however_busy_the_generator_was(run, tmp_path):
    wanted = ("--expect", "suite=AEAD_AES_256_GCM", "--expect", "answered>=99%")
    files = ("--junit", "load.xml", "--report", "load.html")
    ended = run(*wanted, *files, invalid=["the machine was busy"], suites={"clear": 3})
    assert ended.code == 1
    assert "INVALID: the machine was busy" in ended.out
    assert (
        "FAILED, however busy the generator was: not met: suite=AEAD_AES_256_GCM "
        "(measured: clear 3)\nnot met: answered>=99% (measured: 75%)\n"
    ) in ended.out
    suite = suite_of(tmp_path / "load.xml")
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "1")
    page = (tmp_path / "load.html").read_text()
    assert "however busy the generator was" in page
    ended = run(*wanted[2:], *files, invalid=["the machine was busy"], suites={"clear": 3})
    assert ended.code == 4, "75 % answered may be the generator's doing"
    assert "however busy" not in (tmp_path / "load.html").read_text()


def test_github_gets_errors_on_standard_error_and_a_summary(run, tmp_path, monkeypatch):
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    ended = run("--annotations", "auto", "--expect", "answered>=99%", "--json")
    assert (
        "\n::error title=softphone load%3A answered>=99%25::"
        "not met: answered>=99%25 (measured: 75%25)\n"
    ) in f"\n{ended.err}"
    assert [event["event"] for event in ended.events] == ["second", "summary"]
    assert page.read_text().startswith("before\n### softphone load echo\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    ended = run("--annotations", "github")
    assert ended.code == 1
    assert "cannot be written" in ended.err


def test_an_annotation_steers_no_terminal(run):
    """A reason may have the words of a far end: C1 controls and marks of direction among them."""
    ended = run("--annotations", "github", invalid=["busy \x9b2J\x1b[2J\u202e\udcff"])
    assert "::error title=" in ended.err
    assert "busy ?2J?[2J??" in ended.err


def test_gitlab_gets_a_code_quality_report(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    ended = run("--annotations", "auto", "--expect", "answered>=99%", "--json")
    (entry,) = json.loads((tmp_path / "gl-code-quality-report.json").read_text())
    assert entry["location"]["path"] == ".gitlab-ci.yml"
    assert "::error" not in ended.err
    assert "annotations" in ended.names()
    monkeypatch.setenv("CI_CONFIG_PATH", "ci/load.yml")
    run("--annotations", "gitlab", "--expect", "answered>=99%")
    (entry,) = json.loads((tmp_path / "gl-code-quality-report.json").read_text())
    assert entry["location"]["path"] == "ci/load.yml"


def test_elsewhere_auto_annotates_nothing(run, tmp_path):
    ended = run("--annotations", "auto", "--expect", "answered>=99%")
    assert ended.code == 1
    assert "::error" not in ended.err
    assert list(tmp_path.glob("gl-*")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--annotations", "jenkins"), "expected github, gitlab or auto"),
        (("--junit", "none/load.xml"), "--junit none/load.xml: there is no such folder"),
        (("--junit", "."), "that is a folder"),
        (("--report", "none/load.html"), "--report none/load.html: there is no such folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_sent(run, arguments, words):
    ended = run(*arguments, "--expect", "answered>=99%", "--calls", "0")
    assert (ended.code, words in ended.err) == (2, True)
    assert ended.err.count("error: ") == 1


def test_what_cannot_be_written_in_the_end_does_not_take_the_figures_with_it(run, monkeypatch):
    def full(path, data, *, mode):
        raise ConfigurationError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr("softphone.cli.load.artifacts.write_private", full)
    ended = run("--junit", "load.xml", "--annotations", "gitlab", "--json")
    assert ended.code == 1
    assert ended.err.count("No space left") == 2
    assert ended.summary["calls"]["answered"] == 3


def test_the_seconds_are_written_as_csv(run, tmp_path):
    ended = run("--series", "load.csv")
    assert "the seconds are in load.csv" in ended.out
    header, row = (tmp_path / "load.csv").read_text().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["answered"] == "3"
    assert run("--series", "none/load.csv").code == 2
    ended = run("--series", "/dev/full", "--json")
    assert (ended.code, ended.summary["calls"]["answered"]) == (1, 3)
    assert "/dev/full cannot be written" in ended.err
