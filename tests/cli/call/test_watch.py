"""`softphone watch`, and `softphone call --pickup`."""

from __future__ import annotations

import asyncio
import json
import re
import select
from asyncio.subprocess import PIPE
from unittest.mock import create_autospec

import pytest

from softphone.account.watch import PresenceWatch, Watch
from softphone.cli.call.watch import WatchTable
from softphone.config import load_account
from softphone.events import CallState, Presence, WatchChanged, WatchedDialog
from softphone.phone import Phone
from tests.support.calling import next_call
from tests.support.forked_command import command_line
from tests.support.terminal import Terminal, lines_shown
from tests.support.waiting import PATIENCE


def test_calls_of_others_are_told(cli, lab, start):
    watch = start("watch", "bob", "--account", lab["dave"], "--json")
    watch.until('"active": true')
    bob = start("answer", "--account", lab["bob"], "--json")
    bob.until('"registered"')
    outcome = cli("call", "bob", "--account", lab["alice"], "--duration", 0.5)
    assert outcome.code == 0
    watch.until('"terminated"')
    ended = watch.end()
    assert ended.code == 130
    told = [e for e in ended.events if e["event"] == "dialog"]
    assert {e["user"] for e in told} == {"sip:bob@127.0.0.1"}
    assert {e["remote"] for e in told} == {"sip:1001@127.0.0.1"}
    assert [e["state"] for e in told][-2:] == ["confirmed", "terminated"]
    assert ended.summary["reason"] == "interrupted"


def test_what_is_told_to_a_person(cli, lab):
    outcome = cli("watch", "bob", "nobody", "--account", lab["dave"], "--duration", 1)
    assert outcome.code == 0
    assert "watching sip:bob@127.0.0.1" in outcome.out
    assert "sip:nobody@127.0.0.1 is not watched: 404 Not Found" in outcome.out


def test_a_terminal_shows_a_table_that_stays_at_the_end(lab):
    with Terminal() as terminal:
        process = terminal.run("watch", "bob", "nobody", "--account", lab["dave"], "--duration", 1)
        while process.poll() is None:
            select.select([terminal.master], [], [], 0.1)
            terminal.look()
        shown = "\n".join(lines_shown(terminal.look()))
    assert process.returncode == 0
    assert re.search(r"sip:bob@127\.0\.0\.1 +│ no call +│", shown)
    assert re.search(r"sip:nobody@127\.0\.0\.1 +│ not watched +│ 404 Not Found", shown)
    assert "is not watched" not in shown
    assert shown.count("sip:bob@127.0.0.1") == 1


def dialog(state=CallState.CONFIRMED, **fields):
    return WatchedDialog(id="1", state=state, **fields)


def watched(kind, **state):
    """A watch that knows this."""
    return create_autospec(kind, instance=True, user="sip:bob@h", **state)


@pytest.mark.parametrize(
    ("watch", "rows"),
    [
        (watched(Watch, active=False), [("asking", "")]),
        (watched(Watch, active=True, dialogs=()), [("no call", "")]),
        (
            watched(
                Watch,
                active=True,
                dialogs=(
                    dialog(direction="recipient", remote_name="Ann"),
                    dialog(CallState.EARLY, direction="initiator", remote_uri="sip:c@h"),
                    dialog(CallState.TRYING),
                ),
            ),
            [("talks", "called by Ann"), ("rings", "having called sip:c@h"), ("calls", "")],
        ),
        (watched(PresenceWatch, active=True, presence=None), [("nothing known", "")]),
        (
            watched(PresenceWatch, active=True, presence=Presence(True, True, "back at 2")),
            [("available, on the phone", "back at 2")],
        ),
        (
            watched(PresenceWatch, active=True, presence=Presence(False)),
            [("not available", "")],
        ),
    ],
)
def test_the_table_has_a_row_a_call_and_one_for_who_has_none(watch, rows):
    _, columns, found = WatchTable([watch]).content()
    assert columns == ("user", "state", "details")
    assert found == [("sip:bob@h", *row) for row in rows]


def test_the_table_says_why_somebody_is_not_watched_until_that_changes():
    watch = watched(Watch, active=False)
    table = WatchTable([watch])
    table.note(WatchChanged("sip:bob@h", False, 503, "Busy", retry_in=4.0))
    expected = ("sip:bob@h", "not watched", "503 Busy; trying again in 4 s")
    assert table.content()[2] == [expected]
    table.note(WatchChanged("sip:bob@h", True))
    assert table.content()[2] == [("sip:bob@h", "asking", "")]


def test_nobody_left_to_watch_is_exit_1(cli, lab):
    outcome = cli("watch", "nobody", "--account", lab["dave"])
    assert outcome.code == 1
    assert "nobody left to watch" in outcome.err


def test_a_bad_address_is_wrong_usage(cli, lab):
    outcome = cli("watch", "tel:1", "--account", lab["dave"])
    assert outcome.code == 2


def test_where_nothing_rings_nothing_is_picked_up(lab, start, cli):
    bob = start("register", "--account", lab["bob"], "--json")
    bob.until('"registered"')
    outcome = cli("call", "bob", "--account", lab["dave"], "--pickup", "--json")
    assert outcome.code == 1
    assert "no call rings at sip:bob@127.0.0.1" in outcome.summary["reason"]


async def test_a_ringing_call_is_picked_up(lab):
    async with Phone() as phone:
        alice, bob = [
            await phone.register(load_account(lab[name]).config) for name in ("alice", "bob")
        ]
        calling = asyncio.create_task(alice.dial("bob").answered(timeout=PATIENCE))
        (await next_call(bob)).ring()
        command = ("call", "bob", "--account", lab["dave"], "--pickup", "--duration", "0.5")
        process = await asyncio.create_subprocess_exec(
            *command_line(), *map(str, command), "--json", stdout=PIPE
        )
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        events = [json.loads(line) for line in said.splitlines()]
        assert process.returncode == 0
        levels = [e["security"]["level"] for e in events if e["event"] == "answered"]
        assert levels == ["encrypted"]
        await asyncio.wait_for((await calling).ended(), PATIENCE)


@pytest.mark.parametrize("code", ["*8{user", "*8@{user}", "", "{name}"])
def test_a_feature_code_that_cannot_be_dialed_is_refused(cli, lab, tmp_path, code):
    account = tmp_path / "dave.toml"
    account.write_text(f'aor = "sip:dave@h"\nregistrar = "sips:h"\npickup = "{code}"\n')
    account.chmod(0o600)
    outcome = cli("call", "bob", "--account", account, "--pickup")
    assert outcome.code == 2
    assert "pickup" in outcome.err
