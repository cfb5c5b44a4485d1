"""`softphone mcp`: started by the SDK's own client, and over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.error
import urllib.request

import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

HERE = __file__
TOKEN = "0123456789abcdef of the tests"


@pytest.fixture
def bot(lab):
    """Alice's account, with a policy that knows the lab's extensions."""
    path = lab["alice"].with_name("bot.toml")
    path.write_text(f'{lab["alice"].read_text()}\n[dial_policy]\ninternal = ["_6XX", "bob"]\n')
    yield path
    path.unlink()


async def converse(account, log, folder):
    """Call and play over the pipes of a process; what the call was, and the questions."""
    questions = []

    async def ask(_, params):
        questions.append(params.message)
        return types.ElicitResult(action="accept", content={"confirmed": True})

    words = ["-m", "softphone", "mcp", "--account", str(account), "--sounds", str(folder)]
    command = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
    async with Client(stdio_client(command, errlog=log), elicitation_callback=ask) as client:
        placed = await client.call_tool("place_call", {"target": "bob"})
        said = await client.call_tool("say", {"call": "1", "file": "tone.wav"})
    return placed.structured_content, said.structured_content, questions


def test_a_client_starts_it_and_its_end_hangs_up(lab, start, bot, tone, tmp_path):
    callee = start("answer", "--account", lab["bob"], "--json")
    callee.until("registered")
    with open(tmp_path / "log.txt", "w") as log:
        placed, said, questions = asyncio.run(converse(bot, log, tone.parent))
    assert questions == ["Call sip:bob@127.0.0.1?"]
    assert (placed["outcome"], placed["encrypted"]) == ("answered", True)
    assert said["finished"]
    outcome = callee.outcome()
    assert outcome.summary["reason"] == "hung up by the far end"
    assert outcome.summary["audio"]["suite"] == "AEAD_AES_256_GCM"
    assert (tmp_path / "log.txt").read_text().splitlines() == [
        "sip:alice@127.0.0.1 is registered",
        "serving a client on standard input and output",
        "the client has left: 1 calls placed, 0 answered",
    ]


def test_over_http_a_signal_ends_it(start, bot, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    served = start(
        *("mcp", "--account", bot, "--json", "--http", "127.0.0.1:0", "--http-token", token)
    )
    url = served.until('"mcp"').partition('"url": "')[2].partition('"')[0]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=20)
    outcome = served.end(signal.SIGTERM)
    assert (outcome.code, outcome.summary["reason"]) == (0, "told to leave")
    assert (outcome.summary["placed"], outcome.summary["answered"]) == (0, 0)
    assert "can be read by others" in outcome.err
    assert TOKEN not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--http", "127.0.0.1:0"], "needs --http-token"),
        (["--http", "0.0.0.0:0", "--http-token", HERE], "TLS"),
        (["--http-key", "x"], "goes with --http"),
        (["--sounds", "missing"], "is no folder"),
        (["--speech-command", "'"], "--speech-command"),
        (["--speech-command", ""], "names no program"),
        (["--speech-rate", "7"], "7 Hz"),
    ],
)
def test_wrong_usage_serves_nothing(cli, bot, options, words):
    outcome = cli("mcp", "--account", bot, *options, "--json")
    assert outcome.code == 2
    assert words in outcome.summary["reason"]


def test_an_account_without_a_policy_is_refused(cli, lab, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    http = ("--http", "127.0.0.1:0", "--http-token", token)
    outcome = cli("mcp", "--account", lab["alice"], *http, "--json")
    assert outcome.code == 2
    assert "dial_policy" in outcome.summary["reason"]
