"""The scenarios of `python -m tests.installed_peers`: what each shows, hides, runs and records."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.installed_peers import (
    APART,
    PACKAGES,
    PROJECT,
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
    view,
)

LOOKS = re.compile(
    r"shutil\.which\(|needs_openssl|support\.programs import|find_prosody|\"demo\"|sounddevice"
    r"|support\.fips|under_fips"
)
"""What a test says that looks for a program, or is about one that may be there."""


def test_every_test_that_looks_for_a_program_is_run_or_says_why_not():
    for named in (*TESTS, *APART):
        assert [*PROJECT.glob(named), *PROJECT.glob(f"{named}*")], named
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        name = str(path.relative_to(PROJECT))
        if name == "tests/test_installed_peers.py" or not LOOKS.search(path.read_text("utf-8")):
            continue
        assert name.startswith((*TESTS, *APART)), f"{name}: add it to TESTS, or to APART with why"


def test_a_scenario_is_all_none_or_one_alone():
    assert chosen_packages("all") == PACKAGES
    assert chosen_packages("none") == ()
    assert [chosen_packages(each) for each in PACKAGES] == [(each,) for each in PACKAGES]


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (0, "..s\n3 passed, 1 skipped in 1.20s\n", Outcome("x", 3, 0, 1)),
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
    assert read_outcome("x", status, text) == expected


def test_a_test_that_failed_is_named_with_the_blanks_of_its_parameter():
    said = "FAILED tests/a.py::b[call --acc] - assert 2\n1 failed in 1.00s\n"
    assert failed_tests(read_outcome("x", 1, said)) == ["tests/a.py::b[call --acc]"]
    assert failed_tests(read_outcome("x", 4, "no tests ran")) == []


def test_a_row_takes_the_place_of_the_one_before(tmp_path):
    results = tmp_path / "installed_peers.json"
    for scenario, passed in (("all", 1), ("none", 2), ("all", 3)):
        record(Outcome(scenario, passed, 0, 0), results)
    rows = json.loads(results.read_text())["scenarios"]
    assert [(row["scenario"], row["passed"]) for row in rows] == [("none", 2), ("all", 3)]
    assert set(SCENARIOS) == {"none", "all", *PACKAGES}


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
    seen = "softphone-shown; command -v unshare; command -v diff || true"
    made = view([tmp_path / "package"], hidden, tmp_path)
    command = ["unshare", "--mount", "sh", "-c", f"{made}\n{seen}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.split()) == (0, ["shown", "/usr/bin/unshare"])
    outside = ["sh", "-c", "command -v softphone-shown; command -v diff"]
    there = subprocess.run(outside, capture_output=True, text=True, check=True)
    assert there.stdout.split() == ["/usr/bin/diff"]
    assert installed_files("no-such-package") == []
