"""The suite tells what failed and what was skipped, and a bare machine is one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests import suite
from tests.suite import Group, counts, failed_tests, pytest_group, rest_group, slowest, tell
from tests.support import bare_machine
from tests.support.bare_machine import can_be_made, environment_of_user, on_bare_machine

REPORT = """<testsuites><testsuite tests="6" failures="1" errors="2" skipped="1">
<testcase classname="tests.sip.test_target" name="test_a[x.y]" time="2"><failure/></testcase>
<testcase classname="tests.sip.test_target" name="test_b" time="1"><error/></testcase>
<testcase classname="tests.sip.test_target" name="test_b" time="1"><error/></testcase>
<testcase classname="" name="tests.sip.test_gone" time="0"><error/></testcase>
<testcase classname="tests.sip.test_target" name="test_c" time="4"><skipped/></testcase>
<testcase classname="tests.sip.test_target" name="test_d" time="3"/>
</testsuite></testsuites>"""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "WORK", tmp_path)
    monkeypatch.setattr(suite, "CHANGES", tmp_path / "changes")
    return tmp_path


def test_what_failed_is_named_as_pytest_takes_it_each_once(tmp_path):
    report = tmp_path / "report.xml"
    assert failed_tests(report) == []
    report.write_text(REPORT)
    assert failed_tests(report) == [
        "tests/sip/test_target.py::test_a[x.y]",
        "tests/sip/test_target.py::test_b",
        "tests/sip/test_gone.py",
    ]


def test_what_was_skipped_on_the_bare_machine_is_run_and_counted_once(work):
    bare, peers = Group("bare machine", []), type("Peers", (), {"state": work / "peers.json"})
    bare.skipped.write_text(json.dumps({"tests/a.py::test_b[c d]": "x", "tests/e.py": "y"}))
    rest = rest_group(bare, peers)
    (names,) = [word for word in rest.argv if word.startswith("@")]
    assert (work / "rest.txt").read_text() == "tests/a.py::test_b[c d]\ntests/e.py\n"
    assert names == f"@{work / 'rest.txt'}"
    case = '<testsuite tests="%d" failures="0" errors="0" skipped="%d"/>'
    bare.report.write_text(case % (10, 2))
    rest.report.write_text(case % (2, 1))
    assert counts([bare, rest]) == {"passed": 9, "failed": 0, "skipped": 1}


def test_a_group_that_failed_a_little_is_tried_again_and_says_so(work, capsys):
    group = pytest_group("some", sys.executable)
    group.alone = [sys.executable, "-c", "print('again')"]
    text = REPORT.replace("'", "")
    write = f"open({str(group.report)!r}, 'w').write({text!r}); raise SystemExit(1)"
    group.argv = [sys.executable, "-c", write]
    group.run()
    assert group.status == 0
    assert len(group.second_try) == 3
    assert tell([group], 0.0) == 0
    said = capsys.readouterr().out
    assert "passed at the second try only, alone: tests/sip/test_gone.py" in said
    assert slowest([group], 1) == [(4.0, "tests.sip.test_target::test_c [some]")]


def test_a_group_that_fails_twice_fails_the_suite(capsys):
    group = Group("a tool", [sys.executable, "-c", "print('why'); raise SystemExit(3)"])
    group.run()
    assert tell([group], 0.0) == 1
    assert "== a tool: FAILED (3), its last lines\nwhy" in capsys.readouterr().out


def test_a_user_has_no_word_of_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PEERS", "install")
    monkeypatch.setenv("OTHER", "stays")
    assert environment_of_user()["OTHER"] == "stays"
    assert not {"CI", "PEERS"} & set(environment_of_user())


@pytest.mark.skipif(not can_be_made(), reason="a bare machine needs root and Linux's namespaces")
def test_a_bare_machine_has_no_programs_and_a_user_without_privileges(tmp_path, monkeypatch):
    program = tmp_path / "bin"
    program.mkdir()
    (tmp_path / "view").mkdir()
    hidden = tmp_path / "installed"
    (hidden / "bonsai").mkdir(parents=True)
    monkeypatch.setattr(bare_machine, "INSTALLED", hidden)
    before = on_bare_machine(tmp_path / "view")
    look = f"id -u; command -v curl tshark openssl gcc; ls {hidden}; touch {program}/x && echo ours"
    said = subprocess.run([*before, "sh", "-c", look], capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["1000", "ours"], said.stderr
