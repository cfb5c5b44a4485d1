"""The scenarios of `python -m tests.installed_peers`: what each shows, hides, runs and records."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests import installed_peers
from tests.installed_peers import (
    APART,
    IN_FIPS_MODE,
    PACKAGES,
    PROJECT,
    RESULTS,
    SCENARIOS,
    TESTS,
    NotHere,
    Outcome,
    check_machine,
    chosen_packages,
    failed_tests,
    installed_files,
    read_outcome,
    record,
    run_scenario,
    view,
)

LOOKS = re.compile(
    r"shutil\.which\(|needs_openssl|support\.programs import|find_prosody|\"demo\"|sounddevice"
    r"|support\.fips|under_fips"
)
"""What a test says that looks for a program, or is about one that may be there."""
STARTS_LAB = re.compile(
    r"\b(?:Process|start|cli)\(\s*\"lab\"|\blab_process\(|\"softphone\", \"lab\""
)
"""What a test or a fixture says that runs `softphone lab`, which starts Prosody where it is."""
MARKED = re.compile(r"usefixtures\((.*?)\)", re.DOTALL)
ABOUT_CHAT = re.compile(r"chat|prosody|xmpp", re.IGNORECASE)


@dataclass(frozen=True)
class Requests:
    """What the functions of a file ask for: of its tests, and of each of its fixtures.

    `starts` are the fixtures that run `softphone lab`.
    """

    tests: frozenset[str]
    fixtures: Mapping[str, frozenset[str]]
    starts: frozenset[str]


@cache
def starts_lab(path: Path) -> bool:
    """Whether something in a file runs `softphone lab`."""
    text = path.read_text("utf-8")
    return "lab" in text and STARTS_LAB.search(text) is not None


@cache
def requests_of(path: Path) -> Requests:
    """Read a file's functions, their parameters and its marks."""
    text, fixtures, starts = path.read_text("utf-8"), {}, set()
    lines = text.splitlines()
    asked = {name for mark in MARKED.findall(text) for name in re.findall(r"\w+", mark)}
    body = ast.parse(text).body
    body += [inner for each in body if isinstance(each, ast.ClassDef) for inner in each.body]
    for each in body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            names = frozenset(one.arg for one in (*each.args.args, *each.args.kwonlyargs))
            if any("fixture" in ast.unparse(one) for one in each.decorator_list):
                fixtures[each.name] = names
                if STARTS_LAB.search("\n".join(lines[each.lineno - 1 : each.end_lineno])):
                    starts.add(each.name)
            elif each.name.startswith("test_"):
                asked |= names
    return Requests(frozenset(asked), fixtures, frozenset(starts))


def lab_fixtures_reached(path: Path, tests: Path) -> set[str]:
    """The fixtures that run `softphone lab` and that a test of a file asks for, at any remove.

    Each is named by the file that has it and by its name; the nearest definition of a name counts.
    """
    above = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(tests)]
    files = [path, *(each for each in above if each.is_file())]
    if not any(map(starts_lab, files)):
        return set()
    defined = {name: each for each in reversed(files) for name in requests_of(each).fixtures}
    asked, seen, reached = set(requests_of(path).tests), set(), set()
    while asked:
        seen.add(name := asked.pop())
        if name in defined:
            where = defined[name]
            asked |= requests_of(where).fixtures[name] - seen
            if name in requests_of(where).starts:
                reached.add(f"{where.relative_to(tests.parent)}::{name}")
    return reached


def is_listed(name: str) -> bool:
    """Whether a test file is run, or left out with a reason."""
    return name.startswith((*TESTS, *APART))


def test_every_test_that_looks_for_a_program_is_run_or_says_why_not():
    for named in (*TESTS, *APART):
        assert [*PROJECT.glob(named), *PROJECT.glob(f"{named}*")], named
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(PROJECT))
        if name == "tests/test_installed_peers.py":
            continue
        if LOOKS.search(path.read_text("utf-8")) or starts_lab(path):
            assert is_listed(name), f"{name}: add it to TESTS, or to APART with why"


def test_every_fixture_that_starts_the_lab_is_run_and_with_it_what_is_about_chat():
    """`softphone lab` starts Prosody where it is: such a fixture depends on what is installed."""
    reached: dict[str, list[str]] = {}
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(PROJECT))
        for fixture in lab_fixtures_reached(path, PROJECT / "tests"):
            reached.setdefault(fixture, []).append(name)
            if ABOUT_CHAT.search(path.read_text("utf-8")):
                assert is_listed(name), f"{name}: is about chat, too: add it to TESTS or APART"
    assert {"tests/cli/conftest.py::lab", "tests/cli/device/test_boot.py::cluster"} <= set(reached)
    for fixture, files in reached.items():
        assert any(name.startswith(TESTS) for name in files), f"{fixture}: add one of {files}"


def test_a_fixture_that_starts_the_lab_is_found_at_two_removes_and_behind_a_mark(tmp_path):
    tests = tmp_path / "tests"
    inner = tests / "inner"
    inner.mkdir(parents=True)
    head = "import pytest\n@pytest.fixture\n"
    (tests / "conftest.py").write_text(f'{head}def lab():\n    yield Process("lab", 1)\n')
    (inner / "conftest.py").write_text(f"{head}def account(lab): ...\n")
    written = {
        "test_far.py": "def test_it(account): ...\n",
        "test_marked.py": '@pytest.mark.usefixtures("account")\ndef test_it(): ...\n',
        "test_other.py": f"{head}def lab(): ...\ndef test_it(account): ...\n",
        "test_none.py": "def test_it(tmp_path): ...\n",
    }
    found = {}
    for name, text in written.items():
        (inner / name).write_text(text)
        found[name] = lab_fixtures_reached(inner / name, tests)
    lab = {"tests/conftest.py::lab"}
    assert found == {
        "test_far.py": lab,
        "test_marked.py": lab,
        "test_other.py": set(),
        "test_none.py": set(),
    }


def test_a_scenario_is_all_none_or_one_alone():
    assert chosen_packages("all") == PACKAGES
    assert chosen_packages("none") == ()
    assert [chosen_packages(each) for each in PACKAGES] == [(each,) for each in PACKAGES]


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (0, "..s\n3 passed, 1 skipped in 1.20s\n", Outcome("x", 3, 0, 1)),
        (0, "needs the OpenSSL FIPS provider: apt-get install it\n", Outcome("x", 0, 0, 0)),
        (
            1,
            "FAILED tests/a.py::b - assert 2\nERROR tests/c.py - no\n"
            "==== 1 failed, 2 passed, 1 error in 61.00s (0:01:01) ====\nwarned of 9 passed\n",
            Outcome("x", 2, 2, 0, ("FAILED tests/a.py::b", "ERROR tests/c.py")),
        ),
        (32, "mount: no", Outcome("x", 0, 0, 0, ("ended with 32: mount: no",))),
    ],
)
def test_what_pytest_tells_is_read(status, text, expected):
    assert read_outcome(Outcome("x", 0, 0, 0), status, text) == expected


def test_a_test_that_failed_is_named_with_the_blanks_of_its_parameter():
    said = "FAILED tests/a.py::b[call --acc] - assert 2\n1 failed in 1.00s\n"
    none = Outcome("x", 0, 0, 0)
    assert failed_tests(read_outcome(none, 1, said)) == ["tests/a.py::b[call --acc]"]
    assert failed_tests(read_outcome(none, 4, "no tests ran")) == []


def test_a_row_takes_the_place_of_the_one_before(tmp_path):
    results = tmp_path / "installed_peers.json"
    for scenario, passed, mode in (
        ("all", 1, False),
        ("gone", 1, False),
        ("none", 2, False),
        ("all", 3, False),
        ("all", 4, True),
    ):
        record(Outcome(scenario, passed, 0, 0, in_fips_mode=mode), f"at{passed}", results)
    rows = json.loads(results.read_text())["scenarios"]
    told = [(row["scenario"], row["passed"], row["in_fips_mode"], row["commit"]) for row in rows]
    assert told == [("none", 2, False, "at2"), ("all", 3, False, "at3"), ("all", 4, True, "at4")]
    assert set(SCENARIOS) == {"none", "all", *PACKAGES} >= set(IN_FIPS_MODE)


def test_each_row_of_the_record_says_which_commit_it_is_of():
    rows = json.loads(RESULTS.read_text("utf-8"))["scenarios"]
    assert {row["scenario"] for row in rows} <= set(SCENARIOS)
    assert {row["scenario"] for row in rows if row["in_fips_mode"]} <= set(IN_FIPS_MODE)
    for row in rows:
        assert re.fullmatch("[0-9a-f]{7,40}", row["commit"]), row["scenario"]


@dataclass
class Runs:
    """In place of a namespace: which commands are run, and what each says."""

    says: list[tuple[int, str]]
    scripts: list[str]

    def __call__(self, command, **_):
        self.scripts.append(command[-1].splitlines()[-1])
        return subprocess.CompletedProcess(command, *self.says.pop(0), "")


@pytest.mark.parametrize("scenario", IN_FIPS_MODE)
def test_what_runs_in_fips_mode_is_run_and_tried_again_alone(monkeypatch, tmp_path, scenario):
    runs = Runs(
        [
            (0, "2 passed in 1.00s\n"),
            (1, "FAILED tests/a.py::b - slow\n1 failed, 1 passed in 1.00s\n"),
            (0, "1 passed in 1.00s\n"),
        ],
        [],
    )
    monkeypatch.setattr(installed_peers, "installed_files", lambda _: [])
    monkeypatch.setattr(installed_peers, "unpack", lambda package, folder: folder / package)
    monkeypatch.setattr(installed_peers.subprocess, "run", runs)
    plain, under_fips = run_scenario(scenario, ["tests/x"], tmp_path)
    assert (plain.passed, plain.in_fips_mode) == (2, False)
    assert (under_fips.passed, under_fips.failed, under_fips.in_fips_mode) == (2, 0, True)
    assert under_fips.again == ("tests/a.py::b",)
    assert [script.partition("-m ")[2] for script in runs.scripts] == [
        "pytest -q -p no:cacheprovider -rfE tests/x",
        "tests.under_fips -rfE",
        "tests.under_fips -rfE --only tests/a.py::b",
    ]


def test_a_package_counts_with_what_it_is_made_of(monkeypatch, tmp_path):
    """`postgresql` has no program itself."""
    programs = {name: tmp_path / "usr" / "bin" / name for name in ("postgres", "psql", "perl")}
    programs["postgres"].parent.mkdir(parents=True)
    for path in programs.values():
        path.touch()
    packages = {
        "postgresql": ("postgresql-17 (>= 17~)", ()),
        "postgresql-17": ("postgresql-client-17, perl:any, postgresql", ("postgres",)),
        "postgresql-client-17": ("libpq5", ("psql",)),
        "perl": ("", ("perl",)),
    }

    def told(action, *rest):
        depends, files = packages[rest[-1]]
        return depends if action == "--show" else "\n".join(str(programs[one]) for one in files)

    monkeypatch.setattr(installed_peers, "_dpkg_query", told)
    found = installed_files("postgresql")
    assert found == [str(programs["postgres"]), str(programs["psql"])]


def test_a_package_is_shown_and_another_hidden_in_a_namespace_only(tmp_path):
    """The smoke of what `make nightly` runs; a shell stands for the tests."""
    try:
        check_machine()
    except NotHere as error:
        pytest.skip(str(error))
    program = tmp_path / "package" / "usr" / "bin" / "softphone-shown"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho shown\n")
    program.chmod(0o755)
    hidden = installed_files("diffutils")
    assert "/usr/bin/diff" in hidden
    seen = "softphone-shown; command -v unshare; ! command -v diff; test ! -e /usr/bin/diff"
    made = view([tmp_path / "package"], hidden, tmp_path)
    command = ["unshare", "--mount", "sh", "-c", f"{made}\n{seen}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.split()) == (0, ["shown", "/usr/bin/unshare"])
    outside = ["sh", "-c", "command -v softphone-shown; command -v diff"]
    there = subprocess.run(outside, capture_output=True, text=True, check=True)
    assert there.stdout.split() == ["/usr/bin/diff"]
    assert installed_files("no-such-package") == []
