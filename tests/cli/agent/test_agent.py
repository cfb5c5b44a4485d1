"""`softphone agent serve` and `agent call`, with a bot that is another process."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import urllib.request

import pytest

from softphone.agents.signature import sign_url
from tests.docs.test_json_schema import hold
from tests.support.waiting import PATIENCE

HERE = __file__
TOKEN = "0123456789abcdef of the tests"


@pytest.fixture
def bot():
    """A bot that echoes: its process, and its `url`."""
    command = [sys.executable, "-m", "tests.support.echo_bot"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.url = process.stdout.readline().strip()
        yield process
        process.kill()


def kinds(outcome):
    return [each["kind"] for each in outcome.events if each["event"] == "agent_call"]


def test_a_call_is_served_and_a_signal_drains(lab, start, bot, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    agent = start(
        *("agent", "serve", "--account", lab["bob"], "--bot", bot.url, "--json"),
        *("--bot-token", token, "--parameter", "who={from}", "--metrics", "127.0.0.1:0"),
    )
    url = agent.until('"metrics"').partition('"url": "')[2].partition('"')[0]
    agent.until("registered")
    caller = start("call", "bob", "--account", lab["alice"], "--json", "--digits", "7")
    agent.until('"joined"')
    caller.until("digits_sent")
    with urllib.request.urlopen(url, timeout=PATIENCE) as page:
        figures = page.read().decode()
    assert 'softphone_calls{state="confirmed"} 1\n' in figures
    assert "softphone_agent_streams 1\n" in figures
    assert 'softphone_agent_reports_total{kind="joined"} 1\n' in figures
    assert 'softphone_agent_reports_total{kind="bot_failed"} 0\n' in figures
    agent.process.send_signal(signal.SIGTERM)
    agent.until("draining")
    assert caller.end(signal.SIGINT).summary["audio"]["suite"] == "AEAD_AES_256_GCM"
    outcome = agent.outcome()
    assert outcome.code == 0
    assert kinds(outcome) == ["joined", "ended"]
    assert (outcome.summary["calls"], outcome.summary["bot_failures"]) == (1, 0)
    hold("agent", outcome.events)
    said = [(each["event"], each.get("state")) for each in outcome.events]
    assert [each for each in said if "regist" in each[0]] == [
        ("registered", None),
        ("registration", "unregistered"),
    ]
    assert "can be read by others" in outcome.err
    assert TOKEN not in outcome.out + outcome.err
    said = [bot.stdout.readline() for _ in range(5)]
    assert said[0] == f"signature {sign_url(bot.url, TOKEN.encode())}\n"
    assert [line.partition('"event": "')[2].partition('"')[0] for line in said[1:]] == [
        "connected",
        "start",
        "dtmf",
        "stop",
    ]


def test_without_calls_a_signal_ends_it_at_once(lab, start, bot):
    agent = start("agent", "serve", "--account", lab["bob"], "--bot", bot.url, "--json")
    agent.until("registered")
    outcome = agent.end()
    assert (outcome.code, outcome.summary["result"]) == (0, "completed")
    assert outcome.summary["calls"] == 0


def test_it_is_served_with_an_application_its_programs_and_a_webhook(lab, cli, tmp_path):
    """Each of them is checked and started; nothing of what is secret is told."""
    secret = tmp_path / "secret"
    secret.write_text(base64.b64encode(TOKEN.encode()).decode())
    secret.chmod(0o600)
    outcome = cli(
        *("agent", "serve", "--account", lab["bob"], "--bot", "ws://127.0.0.1:9/", "--json"),
        *("--voice-url", "http://127.0.0.1:9/voice", "--voice-token", secret),
        *("--webhook", "http://127.0.0.1:9/hook", "--webhook-secret", secret),
        *("--rest", "127.0.0.1:0", "--rest-token", secret, "--duration", "0.2"),
    )
    assert outcome.code == 0
    (rest,) = (each for each in outcome.events if each["event"] == "rest")
    assert rest["account_sid"].startswith("AC")
    hold("agent", outcome.events)
    assert secret.read_text() not in outcome.out + outcome.err


def test_its_time_ends_it(lab, cli, bot):
    outcome = cli(
        *("agent", "serve", "--account", lab["bob"], "--bot", bot.url, "--duration", "0.2")
    )
    assert outcome.code == 0
    assert "0 calls were joined" in outcome.out


def test_an_agent_calls_somebody(lab, start, cli, bot):
    callee = start("answer", "--account", lab["bob"], "--json", "--duration", "0.3")
    callee.until("registered")
    outcome = cli("agent", "call", "bob", "--account", lab["alice"], "--bot", bot.url, "--json")
    assert (outcome.code, outcome.summary["reason"]) == (0, "hung up by the far end")
    assert kinds(outcome) == ["joined", "ended"]
    assert callee.outcome().code == 0


def test_a_call_of_the_agent_is_hung_up_when_its_time_is_over(lab, start, cli, bot):
    callee = start("answer", "--account", lab["bob"], "--json")
    callee.until("registered")
    called = ("agent", "call", "bob", "--account", lab["alice"], "--bot", bot.url, "--json")
    outcome = cli(*called, "--duration", "0.3")
    assert (outcome.code, outcome.summary["reason"]) == (0, "hung up by us")
    assert kinds(outcome) == ["joined", "ended"]
    assert callee.outcome().summary["reason"] == "hung up by the far end"


def test_who_is_not_there_is_a_failure(lab, cli, bot):
    outcome = cli("agent", "call", "nobody", "--account", lab["alice"], "--bot", bot.url, "--json")
    assert (outcome.code, outcome.summary["status"]) == (1, 404)


def test_the_dial_policy_judges_the_number(lab, cli, bot):
    account = lab["alice"].with_name("alice-careful.toml")
    account.write_text(f'{lab["alice"].read_text()}\n[dial_policy]\nallow = ["+49*"]\n')
    try:
        outcome = cli(
            *("agent", "call", "+44900123", "--account", account, "--bot", bot.url, "--json")
        )
    finally:
        account.unlink()
    assert (outcome.code, outcome.summary["result"]) == (3, "refused")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--bot", "http://h/"], "wss://HOST"),
        (["--bot", "ws://192.0.2.1/"], "loopback"),
        (["--bot", "wss://h/", "--bot-certificate", "x.pem"], "go together"),
        (["--bot", "wss://h/", "--bot-token", "missing"], "there is no such token file"),
        (["--bot", "wss://h/", "--parameter", "x"], "NAME=VALUE"),
        (["--bot", "wss://h/", "--parameter", "x={y}"], "stands for nothing"),
        (["--bot", "wss://h/", "--announcement", "missing.wav"], "missing.wav"),
        (["--bot", "wss://h/", "--account-sid", "7"], "hex digits"),
        (["--bot", "wss://h/", "--reconnects", "-1"], "outside 0 to 100"),
        (["--bot", "wss://h/", "--dialect", "plivo"], "known are twilio, telnyx"),
        (["--bot", "wss://h/", "--sound", "opus"], "known are pcmu, pcma, pcm"),
        (["--bot", "wss://h/", "--sample-rate", "16000"], "pcmu at 8000 Hz only"),
        (["--bot", "wss://h/", "--bots", "missing.toml"], "missing.toml"),
        (["--bot", "wss://h/", "--metrics-key", "x"], "goes with --metrics"),
        (["--bot", "wss://h/", "--voice-url", "https://h/"], "needs --voice-token"),
        (["--bot", "wss://h/", "--voice-ca", "x"], "goes with --voice-url"),
        (["--bot", "wss://h/", "--rest", "127.0.0.1:0"], "needs --rest-token"),
        (["--bot", "wss://h/", "--rest", "0.0.0.0:0"], "TLS"),
        (["--bot", "wss://h/", "--rest-key", "x"], "goes with --rest"),
        (["--bot", "wss://h/", "--webhook-ca", "x"], "goes with --webhook"),
        (["--bot", "wss://h/", "--webhook", "https://h/"], "needs --webhook-secret"),
        (["--bot", "wss://h/", "--voice-url", "ws://h/", "--voice-token", HERE], "https://HOST"),
        (["--bot", "wss://h/", "--webhook", "https://h/", "--webhook-secret", HERE], "not base64"),
    ],
)
def test_wrong_usage_sends_nothing(lab, cli, options, words):
    outcome = cli("agent", "serve", "--account", lab["bob"], *options, "--json")
    assert outcome.code == 2
    assert words in outcome.summary["reason"]
