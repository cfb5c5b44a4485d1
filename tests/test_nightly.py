"""Each part of the nightly run can be started, and its row says what it came to."""

from __future__ import annotations

import json
import sys

import pytest

from tests import nightly
from tests.nightly import RESULTS, Part, parts, read_rows, record, run
from tests.renames.references import can_be_started


def test_every_part_starts_a_module_that_is_there():
    commands = [command for part in parts() for command in part.commands]
    names = {command[0] for command in commands}
    assert {name for name in names if not can_be_started(name)} == {"pytest"}


def test_names_are_unique_and_the_results_have_no_other():
    names = [part.name for part in parts()]
    assert len(set(names)) == len(names)
    assert set(read_rows(RESULTS)) <= set(names)


def test_a_part_keeps_its_worst_status_and_its_last_lines(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(nightly, "LOGS", tmp_path)
    part = Part("some", [("no.such.module",), ("platform",)])
    status, said = run(part)
    assert status != 0
    assert said
    assert f"{sys.platform}".capitalize()[:5] in capfd.readouterr().out
    assert (tmp_path / "some.log").read_text()


def test_a_row_is_replaced_and_the_others_stay(tmp_path):
    results = tmp_path / "nightly.json"
    first, second = (part.name for part in parts()[:2])
    results.write_text(json.dumps({"gone": {}, second: {"status": 0}}))
    record(first, {"status": 1}, results)
    assert json.loads(results.read_text()) == {first: {"status": 1}, second: {"status": 0}}


def test_a_part_that_is_not_there_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as left:
        nightly.main(["no such part"])
    assert left.value.code == 2
    assert "there is no part no such part; known are wheels" in capsys.readouterr().err


def test_a_failed_part_is_told_and_ends_with_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nightly, "RESULTS", tmp_path / "nightly.json")
    monkeypatch.setattr(nightly, "run", lambda part: (3, ["it failed"]))
    assert nightly.main(["wheels"]) == 1
    assert "FAILED (3)" in capsys.readouterr().out
    row = json.loads(nightly.RESULTS.read_text())["wheels"]
    assert (row["status"], row["said"]) == (3, ["it failed"])
    assert {"date", "commit", "seconds", "python", "processors"} < set(row)
