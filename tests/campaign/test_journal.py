"""The results on disk: what survives a kill, whose they are, and cells that are no formulas."""

from __future__ import annotations

import csv
import io
import json
import os
import stat

import pytest

from softphone.campaign import AttemptResult, Journal, JournalError, ListedNumber, Outcome
from softphone.campaign.results_table import COLUMNS, ResultsTable, neutral_cell
from softphone.errors import ConfigurationError

NUMBER = ListedNumber("+49301", "030 1", "Müller", line=2)
AOR = "sip:bot@pbx.test"
NOW = 1_700_000_000.25


def result(outcome=Outcome.HUMAN, **values):
    given = {
        **{"key": "+49301", "number": "030 1", "name": "Müller", "line": 2, "attempt": 1},
        **{"outcome": outcome, "started": NOW, "ended": NOW + 9, "seconds": 4.5},
    }
    return AttemptResult(**given | values)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_call_is_on_disk_before_it_begins(tmp_path, monkeypatch):
    path, synced = tmp_path / "r.jsonl", []
    with Journal(path, aor=AOR) as journal:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        monkeypatch.setattr(os, "fsync", lambda handle: synced.append(path.read_text()))
        await journal.add_dialing(NUMBER, 1, NOW)
        assert json.loads(synced[0].splitlines()[-1]) == {
            **{"event": "dialing", "key": "+49301", "number": "030 1", "name": "Müller"},
            **{"line": 2, "attempt": 1, "started": "2023-11-14T22:13:20.250+00:00"},
        }
        journal.add_ended(result())
    assert [line["event"] for line in lines(path)] == ["campaign", "dialing", "ended"]


async def test_what_was_cut_off_is_unknown_and_stays_so(tmp_path):
    path = tmp_path / "r.jsonl"
    with Journal(path, aor=AOR) as journal:
        await journal.add_dialing(NUMBER, 1, NOW)
        journal.add_ended(result(Outcome.BUSY))
        await journal.add_dialing(NUMBER, 2, NOW + 60)
    for _ in range(2):
        with Journal(path, aor=AOR) as journal:
            assert [each.outcome for each in journal.results] == [Outcome.BUSY, Outcome.UNKNOWN]
            (history,) = journal.histories().values()
            assert (history.last, history.ended, history.attempts) == (
                *(Outcome.UNKNOWN, NOW + 60),
                2,
            )
    assert lines(path)[-1]["outcome"] == "unknown"


async def test_results_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "r.jsonl"
    written = result(Outcome.FAILED, status=503, reason="no\n\ud800", detail="=x", call_id="a@b")
    with Journal(path) as journal:
        journal.add_ended(written)
    with Journal(path) as journal:
        (read,) = journal.results
    assert read == result(Outcome.FAILED, status=503, reason="no\n?", detail="=x", call_id="a@b")


async def test_a_line_that_a_crash_has_cut_is_dropped(tmp_path):
    path = tmp_path / "r.jsonl"
    with Journal(path) as journal:
        journal.add_ended(result())
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "dialing", "key": "+4930')
    with Journal(path) as journal:
        assert len(journal.results) == 1
    assert path.read_bytes() == whole


def test_two_campaigns_do_not_share_a_file(tmp_path):
    path = tmp_path / "r.jsonl"
    with (
        Journal(path),
        pytest.raises(ConfigurationError, match="another campaign writes to it"),
        Journal(path),
    ):
        pass


DIALING = {
    "event": "dialing",
    "key": "1",
    "number": "1",
    "name": "",
    "line": 2,
    "attempt": 1,
    "started": "2026-11-02T09:00:00.000+00:00",
}
ENDED = {"event": "ended", "outcome": "busy", "ended": "2026-11-02T09:00:01.000+00:00"}
HEAD = '{"event": "campaign", "format": 1, "account": ""}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("my own notes", "r.jsonl:1: this is no journal"),
        ("my own notes\nmore", "r.jsonl:1: this is no journal"),
        ("[]\n", "r.jsonl:1: this is no journal"),
        ("[" * 100_000 + "\n", "r.jsonl:1: this is no journal"),
        (HEAD.replace("1", "2"), "r.jsonl:1: this is no journal"),
        (HEAD.replace('""', '"sip:other@h"'), "these are results of sip:other@h"),
        (HEAD + "{}\n", "r.jsonl:2: this is no journal"),
        (HEAD + '{"event": "other", "key": "1"}\n', "r.jsonl:2: this is no journal"),
        (HEAD + '{"event": "ended", "key": "1"}\n', "r.jsonl:2: this is no journal"),
        (HEAD + '{"event": "dialing", "key": "1", "started": "noon"}\n', "r.jsonl:2"),
        (HEAD + '{"event": "dialing", "key": ["1"], "started": "noon"}\n', "r.jsonl:2"),
        (HEAD + json.dumps(DIALING | {"attempt": None}) + "\n", "r.jsonl:2"),
        (HEAD + json.dumps(DIALING | {"attempt": "x"}) + "\n", "r.jsonl:2"),
        (HEAD + json.dumps(DIALING | {"name": 1}) + "\n", "r.jsonl:2"),
        (HEAD + json.dumps(DIALING | {"started": "0001-01-01T00:00:00+23:59"}) + "\n", "jsonl:2"),
        (HEAD + json.dumps(DIALING | ENDED | {"seconds": "x"}) + "\n", "r.jsonl:2"),
        (HEAD + json.dumps(DIALING | ENDED | {"status": True}) + "\n", "r.jsonl:2"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path, text, words):
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match=words), Journal(path):
        pass
    assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o644


async def test_other_rules_for_numbers_know_who_was_called(tmp_path):
    with Journal(tmp_path / "r.jsonl") as journal:
        journal.add_ended(result(key="0301234567@pbx.test", number="0301234567"))
        journal.add_ended(result(key="bob@pbx.test", number="bob"))

    def key_of(number):
        if number == "bob":
            raise ConfigurationError("no number")
        return "+49" + number[1:]

    with Journal(tmp_path / "r.jsonl", key_of=key_of) as journal:
        assert list(journal.histories()) == ["+49301234567", "bob@pbx.test"]


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="is no file"), Journal(tmp_path / "pipe"):
        pass


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"), Journal(tmp_path / "a" / "b"):
        pass
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError), Journal(tmp_path / "link"):
        pass
    assert not (tmp_path / "elsewhere").exists()


async def test_nobody_is_called_on_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write = os.write
    with Journal(tmp_path / "r.jsonl") as journal:
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(JournalError, match="No space left") as refused:
                await journal.add_dialing(NUMBER, 1, NOW)
            assert refused.value.hint
            patched.setattr(os, "write", lambda handle, data: write(handle, data[:9]))
            with pytest.raises(JournalError, match="no space"):
                journal.add_ended(result())
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(JournalError, match="No space left"):
                await journal.add_dialing(NUMBER, 1, NOW)
        journal.add_ended(result())
    with Journal(tmp_path / "r.jsonl") as journal:
        assert [each.outcome for each in journal.results] == [Outcome.HUMAN]


# The table


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(first):
    assert neutral_cell(f"{first}1+1") == f"'{first}1+1"
    assert neutral_cell(f"a{first}") == f"a{first}"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('x;=HYPERLINK("u")', 'x;\'=HYPERLINK("u")'),
        ("x,@A1|-1\t+1", "x,'@A1|'-1\t'+1"),
        ("x; =1", "x;' =1"),
        ('x;"=1"', 'x;\'"=1"'),
        ("x\r\n=1", "x\r\n'=1"),
        (" =1+1", "' =1+1"),
        ("\N{NO-BREAK SPACE}@A1", "'\N{NO-BREAK SPACE}@A1"),
        ("a-b, c; d+e=f@g", "a-b, c; d+e=f@g"),
    ],
)
def test_nothing_within_a_cell_is_a_formula(text, cell):
    assert neutral_cell(text) == cell


def test_the_table_has_the_earlier_rows_and_those_that_come(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("something else")
    bad = result(name='=HYPERLINK("x")', reason='a"b,c\r\nd', number="+49301")
    with ResultsTable(path, [result(Outcome.UNKNOWN)]) as table:
        table.add(bad)
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert rows[0] == list(COLUMNS)
    assert [row[4] for row in rows[1:]] == ["unknown", "human"]
    assert rows[2][1:3] == ["'+49301", '\'=HYPERLINK("x")']
    assert 'a"b,c\r\nd' in rows[2]


def test_a_table_that_cannot_be_written_is_said(tmp_path):
    with (
        pytest.raises(ConfigurationError, match="cannot be written"),
        ResultsTable(tmp_path / "a" / "b"),
    ):
        pass
    table = ResultsTable(tmp_path / "r.csv")
    with table, open("/dev/full", "ab", buffering=0) as full:
        table._file.close()
        table._file = full
        with pytest.raises(JournalError, match="No space left"):
            table.add(result())
