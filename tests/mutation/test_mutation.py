"""Faults are planted, missed ones are told from mere texts, and the list of survivors is whole."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.mutation import __main__ as mutation
from tests.mutation.__main__ import (
    GROUPS,
    PROJECT,
    TABLE_HEAD,
    THREATS,
    Survivor,
    is_text,
    known,
    only_difference,
    record,
    recorded,
    row_of,
    table_of,
    unseen,
)


def statements(before: str, after: str) -> tuple[ast.AST, ast.AST]:
    one, other = (ast.parse(f"def f(a, b):\n{text}").body[0] for text in (before, after))
    return only_difference(one, other)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (" raise Refused('a b', 4)", " raise Refused(None, 4)", True),
        (" raise Refused('a b')", " raise Ignored('a b')", False),
        (" log('no such name')", " log('XXno such nameXX')", True),
        (" log('no such name')", " log(None)", True),
        (" value = find('realm')", " value = find('REALM')", True),
        (" value = find('realm')", " value = find('XXrealmXX')", False),
        (" return a < b", " return a <= b", False),
        (" return a and b", " return a or b", False),
        (" return f(a, b)", " return f(a)", False),
        (" return a.strip()", " return a.lstrip()", False),
        (" return 15", " return 16", False),
    ],
)
def test_what_only_a_reader_would_see_is_told_from_a_fault(before, after, text):
    assert is_text(*statements(before, after)) is text


def test_the_difference_is_the_innermost_statement():
    before = " if a:\n  for x in b:\n   do(x)\n   stop()\n return b"
    after = " if a:\n  for x in b:\n   do(None)\n   stop()\n return b"
    one, other = statements(before, after)
    assert (ast.unparse(one), ast.unparse(other)) == ("do(x)", "do(None)")


def test_every_listed_survivor_has_a_reason_and_a_module_that_is_mutated():
    listed, _ = known()
    modules = {
        path.removesuffix(".py").replace("/", ".") for paths, _ in GROUPS.values() for path in paths
    }
    assert {one.module for one in listed} <= modules
    assert [str(one) for one, why in listed.items() if len(why) < 10] == []


def test_every_module_and_test_of_the_groups_is_there():
    for paths, patterns in GROUPS.values():
        assert all((PROJECT / path).is_file() for path in paths)
        assert all(list(PROJECT.glob(pattern)) for pattern in patterns)


def test_a_group_writes_its_own_row_and_no_other(tmp_path, monkeypatch):
    for name, start in (("RESULTS", "{}"), ("THREATS", f"a\n\n{TABLE_HEAD}\n| x |\n\nb\n")):
        monkeypatch.setattr(mutation, name, tmp_path / name)
        (tmp_path / name).write_text(start)
    first = Counter({"killed": 5, "timeout": 1, "survived": 2, "text": 3})
    second = Counter({"killed": 4, "no tests": 1})
    record("lists", row_of({"a": first, "b": second}, 2, 61.4) | {"date": "today"})
    record("keys", row_of({"a": second}, 0, 1) | {"date": "now"})
    rows = json.loads((tmp_path / "RESULTS").read_text())
    assert list(rows) == ["keys", "lists"]
    told = {key: rows["lists"][key] for key in ("mutants", "killed", "text", "survived", "seconds")}
    assert told == {"mutants": 16, "killed": 10, "text": 3, "survived": 3, "seconds": 61}
    assert rows["lists"]["listed"] == 2
    text = (tmp_path / "THREATS").read_text()
    assert text.startswith(f"a\n\n{TABLE_HEAD}\n| --- ")
    assert text.endswith(
        "| keys | 5 | 4 | 0 | 1 | 0 | now |\n| lists | 16 | 10 | 3 | 3 | 2 | today |\n\nb\n"
    )


def test_a_survivor_ends_a_run_unless_it_is_listed_where_it_may_be():
    listed, none_at = known()
    assert unseen(set(listed)) == {}
    module, _, function = none_at[0].rpartition(".")
    strange = Survivor("softphone.security", "below", "a", "b")
    for one in (strange, Survivor(module, function, "a", "b")):
        assert [one] in unseen({one, next(iter(listed))}).values()


def test_the_threat_model_tells_the_results_of_the_groups_that_there_are():
    rows = recorded()
    assert set(rows) <= set(GROUPS)
    for row in rows.values():
        assert row["mutants"] == row["killed"] + row["text"] + row["survived"]
    assert table_of(rows) + "\n\n" in THREATS.read_text(encoding="utf-8")


@pytest.mark.timeout(300)
def test_faults_in_the_hashes_of_digests_are_noticed():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.mutation", "hashes"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert "killed" in ended.stdout


def test_every_listed_survivor_still_stands_in_its_module():
    """One of a line that has changed would hide that the new line's faults are not seen."""
    gone = [str(one) for one in known()[0] if not stands(one)]
    assert gone == []


def stands(survivor: Survivor) -> bool:
    """Say whether what a survivor changes is in its module, however it is laid out there."""
    path = (PROJECT / survivor.module.replace(".", "/")).with_suffix(".py")
    text = path.read_text("utf-8")
    shown = "".join(survivor.before.split()).removeprefix("...").removesuffix("...")
    laid_out = (text, ast.unparse(ast.parse(text)))
    return any(shown in "".join(each.split()) for each in laid_out)
