"""What people and scripts see, and what a hostile far end cannot make them see."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.text import Text

from softphone.cli.console.output import (
    CommandOutput,
    local_time,
    printable,
    security_line,
    to_json_value,
)
from softphone.events import Direction
from softphone.security import (
    CryptoSuite,
    KeyExchange,
    MediaSecurity,
    SecurityLevel,
    SecurityState,
    SignalingSecurity,
)
from tests.support.terminal import lines_shown

TLS = SignalingSecurity("TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=lab", "chain", "good")
AUDIO = MediaSecurity("audio", "RTP/SAVP", CryptoSuite.AEAD_AES_256_GCM, KeyExchange.SDES)
CLEAR = MediaSecurity("audio", "RTP/AVP")


@pytest.mark.parametrize(
    ("state", "direct", "words"),
    [
        (
            SecurityState(TLS, (AUDIO,), SecurityLevel.ENCRYPTED),
            False,
            "\N{LOCK} encrypted to the"
            " server, and by its word to the far end (signaling TLSv1.3, media AEAD_AES_256_GCM)",
        ),
        (
            SecurityState(TLS, (AUDIO,), SecurityLevel.ENCRYPTED),
            True,
            "\N{LOCK} encrypted end to"
            " end, the far end's certificate verified by us (signaling TLSv1.3",
        ),
        (SecurityState(TLS, (AUDIO,), None), False, "\N{OPEN LOCK} encrypted to the server (sig"),
        (SecurityState(TLS, (AUDIO,), SecurityLevel.NOT_SECURE), False, "\N{OPEN LOCK} not secure"),
        (SecurityState(SignalingSecurity(), (CLEAR,), None), False, "media in clear): the sig"),
        (SecurityState(TLS, (AUDIO,), None), True, "\N{OPEN LOCK} encrypted to the next hop (sig"),
        (SecurityState(TLS, (), None), False, "\N{HORIZONTAL ELLIPSIS} not known yet (sig"),
        (SecurityState(SignalingSecurity(), (), None), True, "not known yet (signaling in clear"),
    ],
)
def test_the_line_says_how_secure_a_call_is_and_on_whose_word(state, direct, words):
    state = replace(state, direct=direct)
    assert words in security_line(state)
    assert security_line(state).endswith(f" {state}")


def test_a_lock_is_shown_with_the_lock_only():
    for far_end in (None, *SecurityLevel):
        state = SecurityState(TLS, (AUDIO,), far_end)
        assert ("\N{LOCK}" in security_line(state)) is state.lock


def test_only_an_encrypted_call_is_called_encrypted():
    for signaling in (TLS, SignalingSecurity()):
        for media in ((), (AUDIO,), (CLEAR,), (AUDIO, CLEAR)):
            for far_end in (None, *SecurityLevel):
                for direct in (False, True):
                    state = SecurityState(signaling, media, far_end, direct=direct)
                    line = security_line(state)
                    said = "encrypted to" in line or "encrypted end" in line
                    assert said is (state.level is SecurityLevel.ENCRYPTED), line


def test_a_script_sees_that_nothing_is_known_yet():
    assert to_json_value(SecurityState(TLS))["level"] == "unknown"
    assert to_json_value(SecurityState(TLS))["lock"] is False


def test_what_steers_a_terminal_is_taken_out(capsys):
    face = CommandOutput(json=False)
    face.event("x", "486 \x1b]0;owned\x07\x1b[2J[red]Busy[/red]\u202e")
    face.warn("\x1b[31mred")
    face.table("", ("a",), [("\x1b[2J[bold]x",)])
    seen = capsys.readouterr()
    assert "\x1b" not in seen.out + seen.err
    assert "\u202e" not in seen.out
    assert "[red]Busy[/red]" in seen.out
    assert "[bold]x" in seen.out
    assert printable("a\nb") == "a\nb"


def test_an_address_is_shown_as_it_is(capsys):
    face = CommandOutput(json=False)
    face.event("x", "sip:[fe80::a:b:1]:5060")
    face.warn("ab:cd:ef")
    face.table("\x1b[2J[/b].tlv", ("a",), [("fe80::a:b:1",)])
    seen = capsys.readouterr()
    assert seen.out.startswith("sip:[fe80::a:b:1]:5060\n")
    assert "?[2J[/b].tlv" in seen.out
    assert "fe80::a:b:1" in seen.out
    assert seen.err == "warning: ab:cd:ef\n"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_cuts_nothing_off(width):
    face = CommandOutput(json=False)
    face.stdout_console = Console(file=io.StringIO(), width=width)
    identity = "sip:somebody.with.a.long.name@telephones.example.test"
    face.table("", ("user", "identity"), [("alice", identity)])
    text = face.stdout_console.file.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    cells = [
        line.split("\N{BOX DRAWINGS LIGHT VERTICAL}")[2].strip()
        for line in text.splitlines()
        if line.startswith("\N{BOX DRAWINGS LIGHT VERTICAL}")
    ]
    assert "".join(cells) == identity


@pytest.mark.parametrize(("width", "whole"), [(80, True), (30, False)])
def test_names_that_are_to_be_whole_are_wrapped_last(width, whole):
    face = CommandOutput(json=False)
    face.stdout_console = Console(file=io.StringIO(), width=width)
    name, text = "corner-request-in-many-datagrams", "word " * 30
    rows = [(name, text, text, "passed")]
    face.table("", ("case", "expected", "came", "verdict"), rows, whole=("case",))
    shown = face.stdout_console.file.getvalue()
    assert (name in shown) is whole
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown


def test_with_json_there_are_lines_of_objects_and_nothing_else(capsys):
    face = CommandOutput(json=True, summary={"video": None})
    face.event("one", "a sentence", direction=Direction.SENDONLY, text="\N{LOCK}")
    face.table("t", ("a",), [("b",)])
    with face.waiting("for a while") as show:
        show("longer")
    face.summary("done", result="completed")
    face.summary("twice", result="failed")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"event": "one", "direction": "sendonly", "text": "\N{LOCK}"},
        {"event": "summary", "result": "completed", "video": None},
    ]


def test_waiting_shows_nothing_where_there_is_no_terminal(capsys):
    with CommandOutput(json=False).waiting("for a call") as show:
        show("still")
    assert capsys.readouterr() == ("", "")


def test_waiting_is_shown_on_a_terminal():
    face = CommandOutput(json=False)
    face.stdout_console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with face.waiting("waiting for a call"):
        pass
    assert "waiting for a call" in face.stdout_console.file.getvalue()


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    face = CommandOutput(json=False)
    face.stderr_console = Console(file=io.StringIO(), force_terminal=True, width=80)
    face.error("wrong", 2)
    assert "\x1b[31m" not in face.stderr_console.file.getvalue()


def test_a_failure_is_told_once_on_each_stream(capsys):
    face = CommandOutput(json=True, summary={})
    assert face.failed("it broke", 1, result="failed", status=503) == 1
    seen = capsys.readouterr()
    assert seen.err == "error: it broke\n"
    assert [json.loads(line)["event"] for line in seen.out.splitlines()] == ["error", "summary"]


def test_values_are_made_plain():
    state = SecurityState(TLS, (AUDIO,), SecurityLevel.ENCRYPTED)
    assert to_json_value({"a": (b"x", [CryptoSuite.AEAD_AES_128_GCM])}) == {
        "a": ["x", ["AEAD_AES_128_GCM"]]
    }
    assert to_json_value(state)["lock"] is True
    assert to_json_value(AUDIO)["suite"] == "AEAD_AES_256_GCM"


@pytest.fixture
def drawn():
    """Output to one terminal by both streams, and what that terminal shows."""
    seen = io.StringIO()
    face = CommandOutput(json=False)
    face.stdout_console = Console(file=seen, force_terminal=True, width=60)
    face.stderr_console = Console(file=seen, force_terminal=True, width=60)
    return face, lambda: [line for line in lines_shown(seen.getvalue()) if line]


def test_a_warning_does_not_run_into_what_is_shown_as_waited_for(drawn):
    face, shown = drawn
    with face.waiting("waiting for a call"):
        face.warn("the disk is full")
        warning, waiting = shown()
    assert warning == "warning: the disk is full"
    assert waiting.endswith(" waiting for a call")
    assert shown() == ["warning: the disk is full"]


def test_warnings_stand_above_a_screen_and_take_nothing_from_it(drawn):
    face, shown = drawn
    table = [f"{number} of four lines" for number in range(4)]
    with face.screen(Text("\n".join(table))) as show:
        for number in range(3):
            face.warn(f"number {number} " + "goes on and on " * 8)
            face.event("trial", f"trial {number}")
            show(Text("\n".join([*table, f"{number} warnings"])))
        face._status.refresh()  # instead of waiting for its time
        lines = shown()
        assert lines[-5:] == [*table, "2 warnings"]
        assert lines.count(table[0]) == 1
    for number in range(3):
        assert f"trial {number}" in lines
        assert sum(f"warning: number {number} " in line for line in shown()) == 1
        assert sum("goes on and on" in line for line in shown()) == 3 * 3
    assert not set(table) & set(shown())


def test_a_warning_to_a_file_leaves_the_screen_alone():
    seen, log = io.StringIO(), io.StringIO()
    face = CommandOutput(json=False)
    face.stdout_console = Console(file=seen, force_terminal=True, width=80)
    face.stderr_console = Console(file=log, width=80)
    with face.screen(Text("25 calls up")):
        before = seen.getvalue()
        face.warn("the disk is full")
        assert seen.getvalue() == before
    assert log.getvalue() == "warning: the disk is full\n"


def test_of_a_screen_that_changes_a_terminal_shows_the_last(drawn):
    face, shown = drawn
    with face.screen(Text("0 calls up")) as show:
        for number in range(25):
            show(Text(f"{number} calls up\nand more"))
        face._status.refresh()
        face.warn("the disk is full")
        assert shown() == ["warning: the disk is full", "24 calls up", "and more"]


def test_a_screen_shows_nothing_where_there_is_no_terminal(capsys):
    with CommandOutput(json=False).screen(Text("0 calls up")) as show:
        show(Text("1 call up"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("zone", "there"), [("Asia/Tokyo", "09:00"), ("America/New_York", "19:00"), ("UTC", "00:00")]
)
def test_a_time_at_the_end_of_the_calendar_is_shown(monkeypatch, zone, there):
    """Somebody else's message may have any, and an archive may hold one."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert local_time(datetime.max.replace(tzinfo=UTC)).startswith("9999-12-31 ")
        assert local_time(datetime.min.replace(tzinfo=UTC), "%R")
        assert local_time(datetime(2026, 1, 1, tzinfo=UTC), "%R") == there
    finally:
        monkeypatch.undo()
        time.tzset()
