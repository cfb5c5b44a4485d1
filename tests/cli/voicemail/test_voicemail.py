"""`softphone voicemail` against the lab's mailboxes."""

from __future__ import annotations

import re
import stat
import wave
from dataclasses import replace

import pytest

from softphone.config import load_account
from softphone.lab.unity_connection import lab_messages
from softphone.voicemail import VoicemailClient

BOX = {
    name: lab_messages(number) for number, name in enumerate(("alice", "bob", "dave", "carol"), 1)
}


def ids(name):
    return [each.id for each in BOX[name]]


def listed(cli, account, *options):
    ended = cli("voicemail", "list", "--account", account, "--json", *options)
    assert ended.code == 0, ended.err
    return [event for event in ended.events if event["event"] == "voicemail"], ended.summary


def test_messages_are_listed_new_ones_first(cli, lab):
    found, summary = listed(cli, lab["alice"])
    assert [each["id"] for each in found] == ids("alice")
    assert [each["secure"] for each in found] == [False, True, False]
    assert found[0]["peer"] == "Bob Example"
    assert (summary["messages"], summary["new"], summary["more"]) == (3, 2, False)
    unread, summary = listed(cli, lab["alice"], "--unread", "--limit", "1")
    assert [each["id"] for each in unread] == ids("alice")[:1]
    assert summary["more"] is True


def test_a_person_sees_who_is_not_verified_and_what_is_secure(cli, lab, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ended = cli("voicemail", "list", "--account", lab["alice"])
    assert ended.code == 0
    text = " ".join(ended.out.split())
    for words in ("Bob Example", "new, urgent, secure", "not verified", "2 of them new"):
        assert words in text
    assert [f"{n} {each}" for n, each in enumerate(ids("alice"), 1)] == [
        line for line in ended.out.splitlines() if line.partition(" ")[2].startswith("0:")
    ]


def test_a_message_becomes_read_and_new_and_is_deleted(cli, lab):
    first, _, last = ids("bob")
    account = lab["bob"]
    assert cli("voicemail", "read", first, "--account", account).code == 0
    assert listed(cli, account)[1]["new"] == 1
    assert cli("voicemail", "read", first, last, "--unread", "--account", account).code == 0
    assert listed(cli, account)[1]["new"] == 3
    assert cli("voicemail", "delete", last, "--account", account).code == 0
    assert listed(cli, account)[1]["messages"] == 2
    (kept,) = listed(cli, account, "--folder", "deleted")[0]
    assert kept["id"] == last
    assert cli("voicemail", "delete", last, "--permanently", "--account", account).code == 0
    assert listed(cli, account, "--folder", "deleted")[1]["messages"] == 0
    gone = cli("voicemail", "read", last, "--account", account)
    assert gone.code == 1
    assert "404" in gone.err


def test_a_sound_is_fetched_for_its_owner_and_over_no_file(cli, lab, tmp_path):
    path = tmp_path / "message.wav"
    command = ("voicemail", "fetch", ids("carol")[0], "--into", path, "--account", lab["carol"])
    ended = cli(*command, "--json")
    assert (ended.code, ended.summary["size"]) == (0, path.stat().st_size)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == BOX["carol"][0].sound
    again = cli(*command)
    assert again.code == 2
    assert "not overwritten" in again.err
    assert cli(*command, "--force").code == 0


def test_a_secure_message_is_not_stored_and_the_exit_code_is_3(cli, lab, tmp_path):
    into = tmp_path / "message.wav"
    ended = cli("voicemail", "fetch", ids("dave")[1], "--into", into, "--account", lab["dave"])
    assert ended.code == 3
    assert "secure" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_secure_message_is_not_played_to_somebody_else(cli, lab):
    ended = cli("voicemail", "play", ids("dave")[1], "--call", "600", "--account", lab["dave"])
    assert ended.code == 3
    assert "nobody was called" in ended.err


@pytest.mark.parametrize("change", ["secure", "private"])
def test_a_message_that_is_not_for_others_any_more_is_played_to_nobody(
    cli, lab, monkeypatch, change
):
    read, seen = VoicemailClient.message, []

    async def message(self, identity):
        seen.append(await read(self, identity))
        return seen[-1] if len(seen) == 1 else replace(seen[-1], **{change: True})

    monkeypatch.setattr(VoicemailClient, "message", message)
    first = ids("dave")[0]
    ended = cli("voicemail", "play", first, "--call", "600", "--account", lab["dave"])
    assert ended.code == 3
    assert f"{first}: a {change} message is not played to somebody else" in ended.err
    assert "calling" not in ended.out
    assert len(seen) == 2


def test_a_message_is_played_to_who_is_called(start, cli, lab, tmp_path):
    heard = tmp_path / "heard.wav"
    answering = start("answer", "--account", lab["bob"], "--record", heard, "--json")
    answering.until("registered")
    ended = cli(
        "voicemail", "play", ids("dave")[0], "--call", "bob", "--account", lab["dave"], "--json"
    )
    assert ended.code == 0, ended.err
    assert ended.names()[:1] == ["playing"]
    assert "answered" in ended.names()
    assert answering.outcome().code == 0
    with wave.open(str(heard)) as file:
        assert file.getnframes() > 0.3 * file.getframerate()


def test_a_secure_message_is_played_here_and_leaves_no_core_dump(cli, lab, monkeypatch):
    played, forbidden = [], []

    async def play(source, device):
        played.append((device, source.read(48_000).size))

    module = "softphone.cli.voicemail.voicemail"
    monkeypatch.setattr(f"{module}.play_sound", play)
    monkeypatch.setattr(f"{module}.forbid_core_dumps", lambda: forbidden.append(True))
    account = lab["dave"]
    for message, words in zip(ids("dave")[:2], ("message", "not stored"), strict=True):
        command = ("voicemail", "play", message, "--device", "3", "--account", account)
        ended = cli(*command)
        assert ended.code == 0, ended.err
        assert (words in ended.out) is (words == "not stored")
    assert played == [("3", pytest.approx(24_000, abs=100))] * 2
    # For the secure one: before its sound is asked for, and once more when it has come.
    assert forbidden == [True, True]


def test_without_a_sound_card_it_says_so(cli, lab, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    ended = cli("voicemail", "play", ids("dave")[0], "--account", lab["dave"])
    assert ended.code == 2
    assert "sounddevice" in ended.err


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("", ""), 0, "3 messages"),
        (
            (r'user = "dave"\npassword_file = ".*', 'user = "dave"\npassword = "unseen"'),
            1,
            "401",
        ),
        (
            (r"\[voicemail.tls\]\nca.*", '[voicemail.tls]\npin = "sha256:' + "0f" * 32 + '"'),
            3,
            "pin",
        ),
        ((r"\[voicemail\]\n(.*\n)*", ""), 2, "no table [voicemail]"),
        ((r"\[voicemail\]", "[voicemail]\npages = 3"), 2, "there is no such key"),
    ],
)
def test_what_is_wrong_with_an_account_is_a_sentence(cli, lab, change, code, words):
    copy = lab["dave"].with_name("changed.toml")
    copy.write_text(re.sub(*change, lab["dave"].read_text()))
    copy.chmod(0o600)
    ended = cli("voicemail", "list", "--account", copy)
    assert ended.code == code, ended.err
    assert words in ended.out + ended.err
    assert "unseen" not in ended.out + ended.err


def test_an_unknown_folder_is_wrong_usage(cli, lab):
    ended = cli("voicemail", "list", "--folder", "outbox", "--account", lab["dave"])
    assert ended.code == 2
    assert "inbox, sent, deleted" in ended.err


def test_the_account_file_of_the_lab_is_one_for_calls_too(lab):
    assert load_account(lab["alice"]).config.aor_uri.user == "alice"
