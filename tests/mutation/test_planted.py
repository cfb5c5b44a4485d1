"""Faults are chosen by a seed, planted one at a time, and taken back."""

from __future__ import annotations

import ast
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.mutation import planted as module
from tests.mutation.planted import (
    KNOWN,
    PROJECT,
    Fault,
    Reach,
    Site,
    ask,
    choose,
    look_for,
    planted,
    print_table,
    sites,
)

SOURCE = b'''"""A module."""

LIMIT = 3


class Gate:
    """One."""

    width: int = 2

    def opens(self, wide: int = 4) -> bool:
        """Two."""
        if wide > self.width and not self.shut:
            raise ValueError(f"{wide + 1} is more")
        self.count += 1
        self.close()
        return wide == 1
'''


def changed(site: Site) -> str:
    return planted(site, SOURCE).decode()


def test_each_kind_of_fault_is_one_change_within_a_function():
    found = {(each.fault.before, each.fault.after) for each in sites("gate.py", SOURCE)}
    assert found == {
        ("wide > self.width and (not self.shut)", "(wide > self.width or not self.shut)"),
        (
            "wide > self.width and (not self.shut)",
            "(not (wide > self.width and (not self.shut)))",
        ),
        ("wide > self.width", "(wide >= self.width)"),
        ("raise ValueError(f'{wide + 1} is more')", "pass"),
        ("self.count += 1", "pass"),
        ("1", "2"),
        ("self.close()", "pass"),
        ("return wide == 1", "return None"),
        ("wide == 1", "(wide != 1)"),
    }


def test_a_planted_file_is_python_and_differs_in_its_place_only():
    for site in sites("gate.py", SOURCE):
        text = changed(site)
        ast.parse(text)
        lines = [(a, b) for a, b in zip(SOURCE.decode().split("\n"), text.split("\n"), strict=True)]
        places = [number for number, (a, b) in enumerate(lines, 1) if a != b]
        assert places == [site.first]


def test_what_looks_alike_in_a_function_is_counted():
    source = b"def f(a):\n    a(1)\n    a(1)\n"
    calls = [each.fault for each in sites("f.py", source) if each.fault.after == "pass"]
    assert [fault.nth for fault in calls] == [0, 1]


def test_a_seed_chooses_the_same_faults_again(tmp_path):
    (tmp_path / "softphone" / "a").mkdir(parents=True)
    for name in ("gate", "a/door"):
        (tmp_path / "softphone" / f"{name}.py").write_bytes(SOURCE)
    assert choose(5, 1, tmp_path) == choose(5, 1, tmp_path)
    assert choose(5, 1, tmp_path) != choose(5, 2, tmp_path)
    assert len(choose(18, 1, tmp_path)) == 18


def test_the_list_is_what_its_seed_chose_as_far_as_it_is_still_there():
    known = json.loads(KNOWN.read_text())
    faults = [Fault(**row) for row in known["faults"]]
    assert len(faults) == module.COUNT
    assert known["seen"] == sum(bool(fault.seen_by) for fault in faults)
    paths = {fault.path for fault in faults if (PROJECT / fault.path).exists()}
    sources = {path: (PROJECT / path).read_bytes() for path in paths}
    there = {site.fault.place for each in sources.items() for site in sites(*each)}
    gone = [str(fault) for fault in faults if fault.place not in there]
    assert len(gone) <= module.COUNT // 10, f"choose anew, and compare before: {gone}"
    for fault in faults:
        path = fault.seen_by.partition("::")[0]
        assert not path or (PROJECT / path).exists(), f"{fault} was seen by a test that is gone"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "gate.py").write_bytes(SOURCE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_gate.py").write_text(
        "import gate\n\n"
        "def test_a_class():\n    assert gate.LIMIT == 3\n\n"
        "def test_opens():\n"
        "    one = gate.Gate()\n    one.shut, one.count, one.close = True, 0, lambda: None\n"
        "    assert one.opens(1) is True\n    assert one.count == 1\n"
    )
    return tmp_path


def look(tree, after):
    site = next(each for each in sites("gate.py", SOURCE) if each.fault.after == after)
    reach = Reach()
    tests = ["tests/test_gate.py::test_a_class", "tests/test_gate.py::test_opens"]
    reach.rounds = lambda _: iter([tests])
    return look_for(site.fault, site, reach, tree)


def test_the_test_that_fails_is_named_and_the_file_is_mended(tree):
    assert look(tree, "(wide != 1)").seen_by == "tests/test_gate.py::test_opens"
    assert (tree / "gate.py").read_bytes() == SOURCE
    assert look(tree, "(wide >= self.width)").seen_by == ""


def test_who_is_no_more_sees_nothing(tree):
    assert ask(tree, ["tests/test_gone.py::test_it"]) == ""
    assert ask(tree, ["tests/test_gate.py::test_gone"]) == ""


def test_the_tests_that_run_a_line_are_asked_its_own_first_and_the_quick_ones(tmp_path):
    folder = tmp_path / "branches"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "data.1")) as base:
        base.executescript(
            "CREATE TABLE context (id, context); CREATE TABLE file (id, path);"
            "CREATE TABLE arc (file_id, context_id, fromno, tono);"
            "INSERT INTO file VALUES (1, '/x/softphone/sdp/media.py'), (2, '/x/softphone/a.py');"
            "INSERT INTO context VALUES (1, ''), (2, 'tests/sip/test_a.py::test_b'),"
            " (3, 'tests/sdp/test_media.py::test_c'), (4, 'tests/sip/test_a.py::test_d');"
            "INSERT INTO arc VALUES (1, 1, 1, 5), (1, 2, 4, 5), (1, 3, 4, 5), (1, 4, 5, 5),"
            " (1, 2, 8, 9), (2, 2, 4, 5);"
        )
    (tmp_path / "report.xml").write_text(
        '<testsuite><testcase classname="tests.sip.test_a" name="test_b" time="3"/>'
        '<testcase classname="tests.sip.test_a" name="test_d" time="0.5"/></testsuite>'
    )
    reach = Reach.read(folder)
    site = Site(Fault("softphone/sdp/media.py", "f", "a", "b"), "b", 5, 5, 0, 1)
    names = ["tests/sdp/test_media.py::test_c", "tests/sip/test_a.py::test_d"]
    assert reach.tests(site) == [*names, "tests/sip/test_a.py::test_b"]
    assert list(reach.rounds(site)) == [reach.tests(site)]


def test_what_was_seen_and_is_no_more_is_told(capsys):
    seen = Fault("softphone/sdp/media.py", "f", "a", "b", seen_by="tests/test_a.py::test_b")
    other = Fault("softphone/sdp/media.py", "f", "c", "d")
    unseen = Fault("softphone/sdp/media.py", "f", "a", "b")
    assert print_table([seen, other], [unseen, other]) == [seen]
    assert print_table([other], [seen]) == []
    assert "softphone/sdp" in capsys.readouterr().out


def test_a_number_that_is_unknown_is_an_error():
    command = [sys.executable, "-m", "tests.mutation.planted", "--only", "many"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "invalid int value" in ended.stderr
