"""`softphone bot-test`: what it prints and writes, its exit codes, and wrong usage."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from softphone.bot_test import BotTally, CallMeasures, CallReport, read_script
from softphone.cli.bot_test import bot_test as module
from softphone.cli.bot_test.bot_test import _Progress
from softphone.errors import NoConnection
from softphone.load import LoadResult
from softphone.load.measure import GeneratorCheck, RunSecond, Tally
from tests.load.report.junit_schema import checked_suite

GOOD = CallMeasures(0.4, (0.5,), (0.2,), 0.0, 1.5)


@pytest.fixture(autouse=True)
def outside_of_ci(monkeypatch, tmp_path):
    """No variable of the CI that these tests themselves run in, and a folder with scripts."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "CI_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("order", "menu"):
        (tmp_path / f"{name}.toml").write_text("[[step]]\nlisten = 5\n")


class StandInRunner:
    """A runner whose calls have been made: `problems` of them, in order, and `reasons`."""

    problems: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    error: BaseException | None = None
    plans: list = []  # noqa: RUF012 - of the tests

    def __init__(self, plan, *, on_call):
        self.plans.append(plan)
        self.plan, self.on_call = plan, on_call

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def run(self):
        if self.error is not None:
            raise self.error
        load = LoadResult(self.plan.load_plan())
        load.add_second(RunSecond(1.0, tally=Tally(attempted=2, answered=2, sent=9)))
        for reason in self.reasons:
            load.add_invalid_reason(reason, GeneratorCheck.SPEED)
        result = SimpleNamespace(plan=self.plan, load=load, tally=BotTally(), reports=[])
        for number in range(self.plan.calls):
            script = self.plan.scripts[number % len(self.plan.scripts)]
            report = CallReport(number, script, answered=True, measures=GOOD, end_cause="local")
            report.end_right = True
            if number < len(self.problems) and self.problems[number]:
                report.problem, report.failed_step = self.problems[number], 1
                report.measures = None
            if number == 1:
                report.transcripts.append(("hello <there>", "hello"))
            result.tally.add_call(report)
            result.reports.append(report)
            self.on_call(report)
        return result


@pytest.fixture
def run(cli, lab, monkeypatch):
    """`run("--expect", ..., problems=..., reasons=...)`: a run of two scripts."""
    monkeypatch.setattr(StandInRunner, "plans", [])
    monkeypatch.setattr(module, "BotTestRunner", StandInRunner)

    def made(*arguments, problems=(), reasons=(), error=None):
        monkeypatch.setattr(StandInRunner, "problems", problems)
        monkeypatch.setattr(StandInRunner, "reasons", reasons)
        monkeypatch.setattr(StandInRunner, "error", error)
        account = ("--account", lab["alice"], "--target", "bob")
        return cli("bot-test", "order.toml", "menu.toml", *account, *arguments)

    return made


def cases_of(path):
    return {
        (case.get("classname"), case.get("name")): [child.tag for child in case]
        for case in checked_suite(path.read_text()).iter("testcase")
    }


def test_a_test_whose_verdicts_are_met_ends_with_0_and_says_so(run, tmp_path):
    outcome = run("--calls", "20", "--expect", "response_p95<800ms")
    assert outcome.code == 0
    assert "valid, every verdict met: 20 calls of bob" in outcome.out
    assert "response p50 / p95 / max, ms" in outcome.out
    assert "completed>=100%" in outcome.out
    assert "10 of 20: menu: ran to its end" in outcome.err


def test_lines_for_scripts_are_as_the_schema_says(run):
    outcome = run("--calls", "2", "--json", "--expect", "word_errors<=50%")
    assert outcome.code == 0
    assert outcome.names() == ["call", "call", "summary"]
    assert outcome.events[0]["response_ms"] == [500]
    assert outcome.summary["bot"]["completed"] == 2
    assert outcome.summary["plan"]["scripts"] == ["order", "menu"]


def test_a_verdict_that_is_not_met_ends_with_1_and_stands_in_the_files(run, tmp_path):
    outcome = run(
        *("--calls", "4", "--junit", "bot.xml", "--report", "bot.html", "--json"),
        *("--expect", "response_p50<0.4s", "--annotations", "gitlab"),
        problems=("listen: the bot said <nothing>", "", ""),
    )
    assert outcome.code == 1
    assert outcome.summary["result"] == "failed"
    assert "not met: response_p50<0.4s (measured: 500 ms)" in outcome.err
    assert {"report", "junit", "annotations"} <= set(outcome.names())
    cases = cases_of(tmp_path / "bot.xml")
    assert cases["softphone-bot-test.expect", "response_p50<0.4s"] == ["failure"]
    assert cases["softphone-bot-test.expect", "completed>=100%"] == ["failure"]
    assert cases["softphone-bot-test.script", "order"] == ["failure"]
    assert cases["softphone-bot-test.script", "menu"] == []
    assert cases["softphone-bot-test.generator", "the generator kept up"] == []
    page = (tmp_path / "bot.html").read_text()
    assert "<b>Failed:</b> 2 of 2 verdicts" in page
    assert "step 1, listen: the bot said &lt;nothing&gt;" in page
    assert "prefers-color-scheme:dark" in page
    assert "<script" not in page


def test_a_machine_that_was_too_busy_ends_with_4_and_judges_nobody(run, tmp_path):
    outcome = run(
        *("--calls", "2", "--junit", "bot.xml", "--report", "bot.html"),
        problems=("listen: late",),
        reasons=("it was slow",),
    )
    assert outcome.code == 4
    assert "INVALID: it was slow" in outcome.out
    cases = cases_of(tmp_path / "bot.xml")
    assert cases["softphone-bot-test.script", "order"] == ["skipped"]
    assert cases["softphone-bot-test.expect", "completed>=100%"] == ["skipped"]
    assert cases["softphone-bot-test.generator", "the generator kept up"] == ["error"]


def test_a_script_of_which_no_call_was_made_is_skipped(run, tmp_path):
    assert run("--junit", "bot.xml").code == 0
    cases = cases_of(tmp_path / "bot.xml")
    assert cases["softphone-bot-test.script", "menu"] == ["skipped"]


def test_without_a_result_the_files_say_why(run, tmp_path):
    files = ("--junit", "bot.xml", "--report", "bot.html", "--json")
    outcome = run(*files, error=NoConnection("the server is away"))
    assert outcome.code == 1
    assert outcome.summary["bot"] is None
    assert "the server is away" in outcome.summary["invalid_because"][0]
    assert cases_of(tmp_path / "bot.xml")["softphone-bot-test.expect", "completed>=100%"] == [
        "error"
    ]
    assert "the server is away" in (tmp_path / "bot.html").read_text()


def test_options_become_the_plan(run, tmp_path):
    options = ("--calls", "7", "--at-once", "3", "--rate", "2", "--seed", "5", "--ports")
    more = ("42000-42999", "--answer-timeout", "9", "--tolerate-late", "20", "--host", "127.0.0.1")
    commands = ("--tts-command", "piper 'a b'", "--transcriber", "whisper {file}")
    assert run(*options, *more, *commands).code == 0
    (plan,) = StandInRunner.plans
    assert (plan.calls, plan.at_once, plan.rate, plan.seed) == (7, 3, 2.0, 5)
    assert (plan.ports, plan.answer_timeout) == ((42000, 42999), 9.0)
    assert (plan.tolerate_late, plan.host) == (20.0, "127.0.0.1")
    assert plan.text_to_speech == ("piper", "a b")
    assert plan.transcriber == ("whisper", "{file}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--expect", "nothing<3"), "nothing is unknown"),
        (("--calls", "0"), "0 calls"),
        (("--rate", "0"), "--rate 0"),
        (("--ports", "1-2"), "--ports 1-2"),
        (("--junit", "no/bot.xml"), "there is no such folder"),
        (("--annotations", "jenkins"), "--annotations jenkins"),
        (("--tts-command", "'"), "--tts-command"),
        (("order.toml",), "two scripts have the same name"),
        (("none.toml",), "there is no such script"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_sent(run, arguments, said):
    outcome = run(*arguments)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert StandInRunner.plans == []


def test_a_file_that_cannot_be_written_at_the_end_is_a_failure(run, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()

    async def removed(self):
        (tmp_path / "gone").rmdir()
        return await real(self)

    real = StandInRunner.run
    monkeypatch.setattr(StandInRunner, "run", removed)
    assert run("--report", "gone/bot.html").code == 1


def test_the_screen_has_a_bar_and_the_latest_call():
    said = []
    output = SimpleNamespace(draws=True, progress=said.append)
    progress = _Progress(output, 2)
    script = read_script(Path("order.toml"))
    progress.add_call(CallReport(0, script, answered=True))
    progress.add_call(CallReport(1, script, problem="listen: no", failed_step=1))
    made = Console(file=io.StringIO(), width=60)
    made.print(progress.view())
    assert "2 of 2: order: step 1, listen: no   1 with a problem" in made.file.getvalue()
    assert said == ["2 of 2: order: step 1, listen: no"]


def test_an_interruption_leaves_files_that_say_so(run, tmp_path):
    outcome = run("--junit", "bot.xml", error=asyncio.CancelledError())
    assert outcome.code == 130
    assert "interrupted" in (tmp_path / "bot.xml").read_text()
