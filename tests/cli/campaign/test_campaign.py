"""`softphone campaign`: a run, a kill in the middle, signals, the screen, and wrong usage."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import select
import signal
import stat
from collections import Counter
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace

import pytest
from rich.console import Console

from softphone.campaign import CampaignRules, Journal, ListedNumber, Outcome, RetryRule, Scheduler
from softphone.campaign.campaign import CallProgress
from softphone.cli.campaign.campaign import _rules
from softphone.cli.campaign.options import PaceOptions
from softphone.cli.campaign.screen import CampaignScreen
from softphone.errors import SoftphoneError
from softphone.lab import LabConfig, LabServer
from softphone.lab.config import LabUser, Login
from softphone.phone import Phone
from softphone.sans_io import Transport
from tests.docs.test_json_schema import hold
from tests.support import calling
from tests.support.forked_command import command_line
from tests.support.terminal import Terminal
from tests.support.waiting import until

USERS = tuple(f"u{n}" for n in range(7))


def listed(tmp_path, *rows, head="number"):
    path = tmp_path / "list.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def journal_of(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["event"], line.get("number"), line.get("outcome")) for line in lines]


def test_a_list_is_called_and_each_attempt_is_written(lab, cli, tone, tmp_path):
    (tmp_path / "dnc.txt").write_text("602\n")
    (tmp_path / "mine.py").write_text(
        "async def later(campaign_call):\n    return campaign_call.number.variables['order']\n"
    )
    numbers = listed(
        tmp_path, "601,=A,Europe/Berlin,7", "nobody,B,,8", "602,C,,9", head="number,name,zone,order"
    )
    call = (
        *("campaign", numbers, "--account", lab["alice"], "--results", tmp_path / "r.jsonl"),
        *("--hours", "mon-sun 00:00-24:00", "--zone", "UTC", "--calls", "3", "--rate", "0"),
        *("--no-amd", "--on", f"answered=play:{tone}", "--csv", tmp_path / "r.csv"),
        *("--on", f"not_found={tmp_path}/mine.py:later", "--do-not-call", tmp_path / "dnc.txt"),
        *("--retry", "busy=1x1s", "--metrics", "127.0.0.1:0", "--json"),
    )
    outcome = cli(*call)
    assert outcome.code == 0, outcome.err
    hold("campaign", outcome.events)
    attempts = {each["number"]: each for each in outcome.events if each["event"] == "attempt"}
    assert {name: each["outcome"] for name, each in attempts.items()} == {
        **{"601": "answered", "nobody": "not_found", "602": "do_not_call"}
    }
    assert (attempts["601"]["detail"], attempts["nobody"]["detail"]) == ("played", "8")
    assert (attempts["601"]["line"], attempts["nobody"]["status"]) == (2, 404)
    assert outcome.summary["outcomes"] == {"answered": 1, "not_found": 1, "do_not_call": 1}
    assert (outcome.summary["numbers"], outcome.summary["waiting"]) == (3, 0)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_bytes().decode())))
    assert {row["number"]: row["name"] for row in rows}["601"] == "'=A"
    assert stat.S_IMODE((tmp_path / "r.jsonl").stat().st_mode) == 0o600
    again = cli(*call[:-1])
    assert again.code == 0
    assert "3 numbers, 0 of them to be called" in again.out
    assert "the list is done" in again.out


async def run_command(*arguments):
    """The command as a process; its standard output is read line by line."""
    return await asyncio.create_subprocess_exec(
        *(*command_line(), *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
    )


async def callees(stack, server, counts, gate):
    """Phones of all users, which count each call; from the fourth on they ring until `gate`."""
    phone = await stack.enter_async_context(Phone())

    async def serve(name):
        account = await calling.account_of(server, phone, name)

        async def answer_one(incoming, number):
            if number > 3:
                await gate.wait()
            # A caller who was killed acknowledges nothing.
            with suppress(SoftphoneError):
                await incoming.answer()

        async def answer():
            async for incoming in account.incoming():
                counts[name] += 1
                tasks.append(asyncio.ensure_future(answer_one(incoming, counts.total())))

        tasks.append(asyncio.ensure_future(answer()))

    tasks: list[asyncio.Future[object]] = []
    for name in USERS:
        await serve(name)
    stack.callback(lambda: [task.cancel() for task in tasks])


async def test_after_a_kill_nobody_is_called_twice(tmp_path, tone):
    """Counted where the calls arrive: what was cut off is unknown, until it is asked for."""
    numbers, results = listed(tmp_path, *USERS), tmp_path / "r.jsonl"
    users = (
        LabUser("alice", Login(Transport.TLS, certificate=True)),
        *(LabUser(name, Login(Transport.TLS)) for name in USERS),
    )
    counts: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        config = LabConfig(users=users)
        server = await stack.enter_async_context(LabServer(tmp_path / "lab", config))
        gate = asyncio.Event()
        await callees(stack, server, counts, gate)
        command = (
            *("campaign", numbers, "--account", server.accounts["alice"], "--results", results),
            *("--hours", "any", "--calls", "2", "--rate", "0", "--no-amd", "--json"),
            *("--on", f"answered=play:{tone}"),
        )
        first = await run_command(*command)
        await until(lambda: results.exists() and results.read_text().count('"dialing"') == 5)
        first.kill()
        await first.communicate()
        gate.set()
        events = Counter(event for event, *_ in journal_of(results))
        open_ones = events["dialing"] - events["ended"]
        assert open_ones == 2
        second = await run_command(*command)
        out, _ = await second.communicate()
        assert second.returncode == 0
        assert max(counts.values()) == 1
        unknown = [number for event, number, outcome in journal_of(results) if outcome == "unknown"]
        assert len(unknown) == open_ones
        assert set(USERS) - set(counts) <= set(unknown)
        summary = json.loads(out.splitlines()[-1])
        assert summary["outcomes"]["unknown"] == open_ones
        assert summary["outcomes"]["answered"] >= 3
        assert sum(summary["outcomes"].values()) == len(USERS)
    with Journal(results, aor="sip:alice@127.0.0.1") as journal:
        again = Scheduler(
            CampaignRules(retry_unknown=True),
            [ListedNumber(f"{name}@127.0.0.1", name) for name in USERS],
            journal.histories(),
        )
    assert again.waiting == open_ones


def wait_for(terminal, words):
    """Wait until a terminal has shown something."""
    for _ in range(2000):
        if words in terminal.look():
            return
        select.select([terminal.master], [], [], 0.02)
    raise AssertionError(terminal.look())


def test_a_signal_drains_and_the_same_command_goes_on(lab, start, cli, tone, tmp_path):
    numbers, results = listed(tmp_path, "601", "602", "603"), tmp_path / "r.jsonl"
    command = (
        *("campaign", numbers, "--account", lab["alice"], "--results", results),
        *("--hours", "any", "--no-amd", "--on", f"answered=play:{tone}", "--json"),
    )
    process = start(*command)
    process.until('"attempt"')
    process.process.send_signal(signal.SIGTERM)
    outcome = process.outcome()
    assert outcome.code == 0
    hold("campaign", outcome.events)
    assert "draining" in outcome.names()
    assert outcome.summary["waiting"] in (1, 2)
    assert "the same command goes on" in outcome.summary["reason"]
    rest = cli(*command)
    assert rest.summary["outcomes"] == {"answered": 3}


def test_a_terminal_has_a_screen_and_a_second_signal_hangs_up_at_once(lab, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import asyncio\nasync def talk(campaign_call):\n    await asyncio.sleep(100)\n"
    )
    numbers, results = listed(tmp_path, "601", "602"), tmp_path / "r.jsonl"
    with Terminal() as terminal:
        process = terminal.run(
            *("campaign", numbers, "--account", lab["alice"], "--results", results),
            *("--hours", "any", "--no-amd", "--on", f"answered={tmp_path}/mine.py:talk"),
        )
        for words in ("attempt", "told to leave"):
            wait_for(terminal, words)
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        text = terminal.look()
    assert "to be called" in text
    assert "601: interrupted" not in text  # the screen has it
    assert journal_of(results)[-1] == ("ended", "601", "interrupted")


def test_whoever_finds_no_bot_has_been_abandoned(lab, cli, tmp_path):
    outcome = cli(
        *("campaign", listed(tmp_path, "601"), "--account", lab["alice"], "--json"),
        *("--results", tmp_path / "r.jsonl", "--hours", "any", "--no-amd", "--agents", "1"),
        *("--on", "answered=bot", "--bot", "ws://127.0.0.1:9/", "--bot-timeout", "0.1"),
    )
    assert outcome.code == 0
    assert (outcome.summary["live"], outcome.summary["abandoned"]) == (1, 1)
    assert outcome.summary["outcomes"] == {"abandoned": 1}


def test_without_the_do_not_call_list_it_stops(lab, cli, tmp_path):
    guard = tmp_path / "dnc.txt"
    guard.write_text("602\n")
    (tmp_path / "mine.py").write_text(
        f"import os\nasync def talk(campaign_call):\n    os.unlink({str(guard)!r})\n"
    )
    numbers, results = listed(tmp_path, "601", "603"), tmp_path / "r.jsonl"
    outcome = cli(
        *("campaign", numbers, "--account", lab["alice"], "--results", results, "--rate", "0"),
        *("--hours", "any", "--no-amd", "--on", f"answered={tmp_path}/mine.py:talk", "--json"),
        *("--do-not-call", guard),
    )
    assert outcome.code == 1
    hold("campaign", outcome.events)
    assert "dnc.txt: No such file" in outcome.summary["reason"]
    assert (outcome.summary["result"], outcome.summary["waiting"]) == ("failed", 1)


def test_the_options_are_the_rules():
    made = _rules(
        PaceOptions(
            hours="any",
            calls=3,
            rate=0.5,
            agents=2,
            abandoned=1.0,
            retry=["busy=3x15m", "no_answer=1x1h"],
            retry_unknown=True,
        )
    )
    assert made == CampaignRules(
        calls=3,
        rate=0.5,
        agents=2,
        abandoned_share=0.01,
        retries={Outcome.BUSY: RetryRule(3, 900), Outcome.NO_ANSWER: RetryRule(1, 3600)},
        retry_unknown=True,
    )


HUMAN = ("--on", "human=hangup")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hours", "9-17", *HUMAN), "expected 'any'"),
        (("--hours", "mon 09:00-17:00", *HUMAN), "list.csv:2: no zone"),
        (("--hours", "any", "--on", "busy=hangup"), "--on human=ACTION is missing"),
        (("--hours", "any", "--no-amd", *HUMAN), "--on answered=ACTION is missing"),
        (("--hours", "any", "--on", "human"), "expected OUTCOME=ACTION"),
        (("--hours", "any", "--on", "cat=hangup"), "outcomes are human"),
        (("--hours", "any", *HUMAN, *HUMAN), "human has an action already"),
        (("--hours", "any", "--on", "human=bot"), "--bot URL and --on OUTCOME=bot go together"),
        (("--hours", "any", *HUMAN, "--bot", "wss://h/"), "go together"),
        (("--hours", "any", "--on", "human=play:none.wav"), "--on human=play:none.wav: "),
        (("--hours", "any", "--on", "human=transfer:"), "--on human=transfer:: function"),
        (("--hours", "any", "--on", "human=none.py:f"), "there is no file none.py"),
        (("--hours", "any", *HUMAN, "--on", "busy=transfer:600"), "busy: there is no call"),
        (("--hours", "any", *HUMAN, "--calls", "0"), "0 calls at a time"),
        (("--hours", "any", *HUMAN, "--abandoned", "101"), "abandoned calls"),
        (("--hours", "any", *HUMAN, "--retry", "busy"), "OUTCOME=TIMESxDELAY"),
        (("--hours", "any", *HUMAN, "--timeout", "0"), "--timeout 0"),
        (("--hours", "any", *HUMAN, "--do-not-call", "none.txt"), "none.txt: No such file"),
        (("--hours", "any", *HUMAN, "--csv", "none/r.csv"), "cannot be written"),
    ],
)
def test_wrong_usage_calls_nobody(lab, cli, tmp_path, options, words):
    outcome = cli(
        *("campaign", listed(tmp_path, "601"), "--account", lab["alice"], "--json"),
        *("--results", tmp_path / "r.jsonl", *options),
    )
    assert outcome.code == 2
    assert words in outcome.summary["reason"]
    assert "registered" not in outcome.names()


# The screen


def screen(*, calls=0, outcomes=(), wall=1_800_000_000.0, **rules):
    numbers = [
        ListedNumber(f"k{n}", f"+4930{n:07}", f"Müller \x1b[2J{n}", line=n) for n in range(200)
    ]
    scheduler = Scheduler(CampaignRules(calls=100, rate=0.0, **rules), numbers)
    progress = {}
    for n in range(calls + len(outcomes)):
        number = scheduler.next_number(wall)
        if n < len(outcomes):
            scheduler.attempt_ended(number, outcomes[n], wall)
        else:
            progress[number.key] = CallProgress(number, 1, "dialing", wall - n)
    campaign = SimpleNamespace(scheduler=scheduler, calls=progress)
    return CampaignScreen(campaign, "list\x1b.csv", 200, wall=lambda: wall)


def shown(made, width=80):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(made.view(width))
    return console.file.getvalue()


def test_the_screen_shows_the_calls_and_what_became_of_the_others():
    ended = [Outcome.HUMAN] * 30 + [Outcome.ABANDONED, Outcome.NO_ANSWER]
    made = screen(calls=10, outcomes=ended)
    text = shown(made)
    assert "\x1b" not in text
    for words in ("32 of 200", "+49300000039", "1 (3.2 %)", "no answer", "and 2 more", "dialing"):
        assert words in text, text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert all(len(line) <= 50 for line in shown(made, 50).splitlines())
    assert made.line() == ("32 of 200 numbers done, 10 in call: 30 human, 1 no answer, 1 abandoned")


def test_the_screen_says_when_the_next_call_is():
    made = screen(outcomes=[Outcome.POSTPONED])
    assert "next call at" not in shown(made)  # in 5 s
    made._wall = lambda: 1_800_000_000.0 - 60
    assert "next call at" in shown(made)
    assert screen().line() == "0 of 200 numbers done, 0 in call"
