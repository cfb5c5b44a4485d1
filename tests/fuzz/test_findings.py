"""What fuzzing led by coverage found once never fails again, and the fuzzer itself works."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from tests.fuzz.coverage_guided import (
    FINDINGS,
    PROJECT,
    RESULTS,
    Outcome,
    folder_name,
    names,
    record,
    run_kernel,
)
from tests.fuzz.full import targets

CHECKS = {folder_name(target.name): target.check for target in targets()}
FOUND = sorted(path for path in FINDINGS.glob("*/*") if path.is_file())


def test_what_was_found_once_is_handled():
    for path in FOUND:
        CHECKS[path.parent.name](path.read_bytes())


def test_every_target_has_been_run_and_its_row_is_kept():
    """`python -m tests.fuzz.coverage_guided --record TARGET` runs a new one."""
    rows = json.loads(RESULTS.read_text("utf-8"))["targets"]
    assert [row["name"] for row in rows] == names()
    assert all(row["held"] and row["runs"] > 1000 and row["seconds"] >= 100 for row in rows)


def test_a_row_takes_the_place_of_the_one_before_and_the_others_stay(tmp_path):
    results = tmp_path / "fuzz.json"
    for name, runs in (("b", 1), ("gone", 2), ("a", 3), ("b", 4)):
        record(Outcome(name, runs, 0, 0, True, 100, 1), ["a", "b", "gone"], results)
    record(Outcome("a", 5, 0, 0, False, 100, 1), ["a", "b"], results)
    rows = json.loads(results.read_text())["targets"]
    assert [(row["name"], row["runs"], row["held"]) for row in rows] == [
        ("a", 5, False),
        ("b", 4, True),
    ]


def test_a_run_of_the_kernel_that_cannot_be_compiled_has_not_held(monkeypatch, capsys):
    monkeypatch.setenv("CC", "no-such-compiler")
    outcome = run_kernel(1, 7)
    assert outcome == Outcome("media kernel", 0, 0, 0, False, 1, 7)
    assert "gcc with its sanitizers is needed" in capsys.readouterr().err


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not here: pip install -e '.[test]' (it has no wheel for this machine)",
)
def test_a_second_under_libfuzzer_reaches_the_parser():
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", "--minutes", "0.05"]
    ended = subprocess.run(
        [*command, "TVS messages"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "held" in ended.stdout
