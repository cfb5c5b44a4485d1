"""`softphone im`: exit codes and the archive, without a server; talking is seen with a real one."""

from __future__ import annotations

import json
import subprocess

import pytest

from softphone.messaging import EncryptionScope, HistoryConfig, MessageArchive
from tests.messaging.delivery.test_history import said
from tests.support.chat import ALICE
from tests.support.forked_command import command_line

ACCOUNT = f'[im]\njid = "{ALICE}"\npassword = "long enough"\nserver = "127.0.0.1:1"\n'


def softphone(folder, *words):
    command = [*command_line(), "im", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=90
    )


@pytest.fixture
def account(tmp_path):
    path = tmp_path / "alice.toml"
    path.write_text(ACCOUNT + 'archive = "im.db"\n')
    path.chmod(0o600)
    return path


def test_nobody_there_is_a_failure(account, tmp_path):
    ended = softphone(tmp_path, "send", "bob@x.test", "hi", "--account", str(account), "--json")
    assert ended.returncode == 1
    assert "127.0.0.1 port 1" in ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["result"] == "failed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ACCOUNT + "support_aes = false\nsupport_no_encoding = false\n", "both false"),
        (ACCOUNT, "no archive"),
    ],
)
def test_a_wrong_configuration_is_wrong_usage(account, tmp_path, text, words):
    account.write_text(text)
    ended = softphone(tmp_path, "history", "--account", str(account))
    assert ended.returncode == 2
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("send", "bob@x.test"), "nothing to send"),
        (("fetch", "https://x.test/a", "--from", "bob@x.test", "--into", "a"), "audit table only"),
    ],
)
def test_what_cannot_be_sent_or_fetched_is_wrong_usage(account, tmp_path, words, sentence):
    ended = softphone(tmp_path, *words, "--account", str(account))
    assert ended.returncode == 2, ended.stderr
    assert sentence in ended.stderr
    assert not (tmp_path / "a").exists()


async def test_the_archive_is_shown_with_its_signs(account, tmp_path):
    history = HistoryConfig(archive=f"sqlite+aiosqlite:///{tmp_path}/im.db")
    async with MessageArchive(history, ALICE) as archive:
        await archive.add_message(said("bob@x.test", "to the \x1b[31mserver"))
        await archive.add_message(
            said("bob@x.test", "to the client", EncryptionScope.CLIENT_TO_CLIENT)
        )
    ended = softphone(tmp_path, "history", "--account", str(account))
    assert ended.returncode == 0
    assert "\N{LOCK}" in ended.stdout
    assert "\N{KEY}" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert "in clear" in ended.stderr
    ended = softphone(
        tmp_path, "history", "bob@x.test", "--last", "1", "--account", str(account), "--json"
    )
    message, summary = map(json.loads, ended.stdout.splitlines())
    assert (message["event"], message["sign"], message["body"]) == (
        "message",
        "key",
        "to the client",
    )
    assert (summary["event"], summary["messages"]) == ("summary", 1)
    # The same archive is searched, page by page.
    words = ("search", "CLIENT", "to", "--account", str(account), "--json")
    ended = softphone(tmp_path, *words)
    message, summary = map(json.loads, ended.stdout.splitlines())
    assert (message["body"], summary["messages"]) == ("to the client", 1)
    assert (summary["method"], summary["next"]) == ("by the full-text index", None)
    ended = softphone(tmp_path, "search", "to", "--limit", "1", "--account", str(account))
    assert "1 found, by the full-text index; more of it with --before 2" in ended.stdout
    account.write_text(account.read_text() + "disable_history = true\n")
    ended = softphone(tmp_path, *words)
    assert (ended.returncode, "Disable_IM_History" in ended.stderr) == (2, True)
