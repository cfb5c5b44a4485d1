"""`softphone agent run`, with a stand-in of a service that is another process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from softphone.cli.agent.options import AgentRunOptions, ServiceOptions
from softphone.cli.agent.realtime import realtime_config, run_realtime
from softphone.cli.console.output import CommandOutput
from softphone.errors import ConfigurationError
from tests.docs.test_json_schema import hold

KEY = "sk-of-the-tests-7f3a91"


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def service():
    """A stand-in of OpenAI Realtime: its process, and its `url`."""
    command = [sys.executable, "-m", "tests.support.realtime_service", "openai"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.url = process.stdout.readline().strip()
        yield process
        process.kill()


def test_a_service_talks_in_a_call_that_comes_in(lab, start, service, key_file, tmp_path):
    instructions = tmp_path / "bot.txt"
    instructions.write_text("Be brief.")
    agent = start(
        *("agent", "run", "--account", lab["bob"], "--realtime", "openai", "--json"),
        *("--key-file", key_file, "--service-url", service.url, "--instructions", instructions),
        *("--greeting", "Hello", "--transcript"),
    )
    agent.until("registered")
    caller = start("call", "bob", "--account", lab["alice"], "--json", "--digits", "7")
    agent.until("agent_said")
    caller.until("digits_sent")
    assert caller.end(signal.SIGINT).summary["audio"]["suite"] == "AEAD_AES_256_GCM"
    outcome = agent.end()
    assert outcome.code == 0
    assert (outcome.summary["calls"], outcome.summary["bot_failures"]) == (1, 0)
    hold("agent", outcome.events)
    (said,) = (each for each in outcome.events if each["event"] == "agent_said")
    assert (said["speaker"], said["text"]) == ("bot", "beep")
    assert KEY not in outcome.out + outcome.err


def test_without_its_service_nobody_is_called(lab, cli, key_file):
    outcome = cli(
        *("agent", "run", "alice", "--account", lab["bob"], "--realtime", "openai", "--json"),
        *("--key-file", key_file, "--service-url", "ws://127.0.0.1:9/", "--service-timeout", "0.1"),
    )
    assert (outcome.code, outcome.summary["result"]) == (1, "failed")
    assert "127.0.0.1:9" in outcome.summary["reason"]
    assert KEY not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"realtime": "other"}, "known are openai, gemini, deepgram"),
        ({"key_file": None}, "OPENAI_API_KEY"),
        ({"tool": ["fly"]}, "--tool fly: known are hang_up"),
        ({"tool": ["none", "transfer"]}, "none alone"),
        ({"sound": "opus"}, "--sound opus"),
        ({"service_url": "wss://elsewhere.example.test/"}, "the key is not sent there"),
        ({"announcement": "missing.wav"}, "missing.wav"),
        ({"instructions": "missing.txt"}, "there is no such file of instructions"),
        ({"service_timeout": 0.0}, "0.1 to 60"),
    ],
)
def test_wrong_options_are_refused(monkeypatch, key_file, tmp_path, options, words):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("announcement", "instructions"):
        if name in options:
            options = {name: tmp_path / options[name]}
    given = {"realtime": "openai", "key_file": key_file, **options}
    with pytest.raises(ConfigurationError, match=words) as caught:
        realtime_config(ServiceOptions(**given))
    assert KEY not in str(caught.value)


def test_a_key_that_others_can_read_is_refused(key_file):
    key_file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        realtime_config(ServiceOptions(realtime="openai", key_file=key_file))


def test_the_key_of_the_environment_and_what_is_chosen(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    made = realtime_config(ServiceOptions(realtime="openai", tool=["none"], sound="pcm"))
    assert made.key.reveal() == KEY.encode()
    assert made.tools == ()
    assert made.coding == "pcm"
    chosen = ServiceOptions(realtime="openai", tool=["transfer", "hang_up"])
    assert [each.value for each in realtime_config(chosen).tools] == ["hang_up", "transfer"]


async def test_a_model_that_may_transfer_needs_a_policy(lab, key_file):
    options = AgentRunOptions(
        account=lab["bob"],
        service=ServiceOptions(realtime="openai", key_file=key_file, tool=["transfer"]),
    )
    with pytest.raises(ConfigurationError, match="dial_policy"):
        await run_realtime(CommandOutput(json=True), options)
