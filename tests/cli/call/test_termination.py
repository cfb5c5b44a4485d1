"""SIGTERM while a call is up: it may end by itself; a second signal, or the time, ends it."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request

import pytest

from tests.support.waiting import PATIENCE


@pytest.fixture
def answering(lab, start):
    """`answering(drain=…)`: an answered call; gives the callee's and the caller's process."""
    made = []

    def answer(*options, drain):
        account = lab["bob"].with_name("bob-drained.toml")
        account.write_text(f"{lab['bob'].read_text()}\n[drain]\ntimeout = {drain}\n")
        made.append(account)
        callee = start("answer", "--account", account, "--json", "--ladder", *options)
        callee.until("registered")
        caller = start("call", "bob", "--account", lab["alice"], "--json", "--ladder")
        callee.until("answered")
        caller.until("answered")
        return callee, caller

    yield answer
    for account in made:
        account.unlink()


def test_the_call_goes_on_and_its_end_ends_the_command(answering):
    callee, caller = answering(drain=60)
    callee.process.send_signal(signal.SIGTERM)
    assert '"timeout": 60' in callee.until("draining")
    assert caller.end(signal.SIGINT).code == 130
    outcome = callee.outcome()
    summary = outcome.summary
    ended = (outcome.code, summary["result"], summary["status"], summary["reason"])
    assert ended == (0, "completed", 200, "hung up by the far end"), outcome.err
    assert outcome.err.count("REGISTER (") >= 2


def test_when_the_time_is_over_it_hangs_up(answering):
    callee, caller = answering(drain=0.3)
    outcome = callee.end(signal.SIGTERM)
    assert (outcome.code, outcome.summary["result"]) == (0, "completed")
    assert "draining" in outcome.names()
    assert " BYE " in outcome.err
    assert caller.outcome().summary["reason"] == "hung up by the far end"


def test_a_second_signal_ends_it_at_once(answering):
    callee, caller = answering(drain=3600)
    callee.process.send_signal(signal.SIGTERM)
    callee.until("draining")
    outcome = callee.end(signal.SIGTERM)
    assert outcome.code == 130
    assert outcome.summary["reason"] == "interrupted"
    assert " BYE " in outcome.err
    assert caller.outcome().summary["reason"] == "hung up by the far end"


def test_health_and_figures_are_served_while_it_runs(answering):
    servers = ("--health", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--hep", "127.0.0.1:9")
    callee, caller = answering(*servers, drain=60)
    told = {
        name: next(line for line in callee.read if f'"{name}"' in line)
        for name in ("health", "metrics")
    }
    health, metrics = (line.partition('"url": "')[2].partition('"')[0] for line in told.values())
    assert page(f"{health}ready") == (200, "ready\n")
    assert 'softphone_calls{state="confirmed"} 1\n' in page(metrics)[1]
    callee.process.send_signal(signal.SIGTERM)
    callee.until("draining")
    assert page(f"{health}ready") == (503, "draining\n")
    assert page(f"{health}live") == (200, "live\n")
    caller.end(signal.SIGINT)
    assert callee.outcome().code == 0


def page(url):
    """The status and the text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metrics", "9464"), "expected ADDRESS:PORT"),
        (("--metrics", "0.0.0.0:9464"), "not loopback"),
        (("--metrics-token", "nothing"), "goes with --metrics"),
        (("--metrics", "127.0.0.1:0", "--metrics-key", "nothing"), "go together"),
        (("--health", "somewhere:1"), "--health somewhere:1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(cli, lab, options, message):
    outcome = cli("answer", "--account", lab["bob"], *options, "--json")
    assert outcome.code == 2
    assert message in outcome.summary["reason"]


def test_a_short_token_is_refused_and_not_shown(cli, lab, tmp_path):
    token = tmp_path / "token"
    token.write_text("swordfish\n")
    token.chmod(0o600)
    outcome = cli(
        "answer",
        "--account",
        lab["bob"],
        "--metrics",
        "127.0.0.1:0",
        "--metrics-token",
        token,
        "--json",
    )
    assert outcome.code == 2
    assert "16 or more" in outcome.summary["reason"]
    assert "swordfish" not in outcome.out + outcome.err
