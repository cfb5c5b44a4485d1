"""`softphone mcp`: started by the SDK's own client, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from softphone.cli.console.output import CommandOutput
from softphone.cli.mcp.mcp import serve_mcp
from softphone.cli.mcp.options import HttpOptions, McpOptions
from softphone.config import load_account
from softphone.events import EndedBy
from softphone.phone import Phone
from tests.docs.test_json_schema import hold
from tests.support.calling import answer_one
from tests.support.waiting import patiently

HERE = __file__
TOKEN = "0123456789abcdef of the tests"


@pytest.fixture
def bot(lab):
    """Alice's account, with a policy that knows the lab's extensions."""
    path = lab["alice"].with_name("bot.toml")
    path.write_text(f'{lab["alice"].read_text()}\n[dial_policy]\ninternal = ["_6XX", "bob"]\n')
    yield path
    path.unlink()


async def converse(account, callee, log, folder):
    """Call and play over the pipes of a process; what was told, asked and seen at the other end."""
    questions = []

    async def ask(_, params):
        questions.append(params.message)
        return types.ElicitResult(action="accept", content={"confirmed": True})

    words = ["-m", "softphone", "mcp", "--account", str(account), "--sounds", str(folder)]
    command = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
    async with Phone() as phone:
        bob = await phone.register(load_account(callee).config)
        answering = asyncio.create_task(answer_one(bob))
        async with Client(stdio_client(command, errlog=log), elicitation_callback=ask) as client:
            placed = await client.call_tool("place_call", {"target": "bob"})
            said = await client.call_tool("say", {"call": "1", "file": "tone.wav"})
            call = await answering
            suite = call.audio.security.suite
        ended = await patiently(call.ended())
    return placed.structured_content, said.structured_content, questions, suite, ended


def test_a_client_starts_it_and_its_end_hangs_up(lab, bot, tone, tmp_path):
    with open(tmp_path / "log.txt", "w") as log:
        seen = asyncio.run(converse(bot, lab["bob"], log, tone.parent))
    placed, said, questions, suite, ended = seen
    assert questions == ["Call sip:bob@127.0.0.1?"]
    assert (placed["outcome"], placed["encrypted"]) == ("answered", True)
    assert said["finished"]
    assert (str(suite), ended.by) == ("AEAD_AES_256_GCM", EndedBy.REMOTE)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    # On a busy machine it warns that media was late.
    assert [line for line in lines if not line.startswith("warning: media was ")] == [
        "sip:alice@127.0.0.1 is registered",
        "serving a client on standard input and output",
        "the client has left: 1 calls placed, 0 answered",
    ]


async def status_at(url):
    """The status of a request without a token."""
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /mcp HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    line = await patiently(reader.readline())
    writer.close()
    return int(line.split()[1])


def test_over_http_a_signal_ends_it(bot, capsys, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    output = CommandOutput(json=True, summary={})
    options = McpOptions(account=bot, http=HttpOptions(http="127.0.0.1:0", http_token=token))
    statuses, print_event = [], output.event

    async def ask_and_end(url):
        statuses.append(await status_at(url))
        os.kill(os.getpid(), signal.SIGTERM)

    async def serve():
        asking = []

        def event(name, sentence="", /, **fields):
            print_event(name, sentence, **fields)
            if name == "mcp":  # the handler of the signal is there by now
                asking.append(asyncio.ensure_future(ask_and_end(fields["url"])))

        output.event = event
        code = await serve_mcp(output, options)
        await asyncio.gather(*asking)
        return code

    assert asyncio.run(serve()) == 0
    seen = capsys.readouterr()
    lines = [json.loads(line) for line in seen.out.splitlines()]
    hold("mcp", lines)
    assert statuses == [401]
    assert (lines[-1]["reason"], lines[-1]["placed"]) == ("told to leave", 0)
    assert "can be read by others" in seen.err
    assert TOKEN not in seen.out + seen.err


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
