"""Floors of branch coverage: what counts to a package, what is recorded, and what fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from coverage import CoverageData

from tests.coverage_report import (
    PROJECT,
    Branches,
    faults,
    floor_of,
    lowest,
    package_of,
    read_floors,
    table,
    written_floors,
)
from tests.support.branch_coverage import UNRECORDED, Recorder

FOUND = {"softphone.sip.message": Branches(190, 200), "softphone": Branches(3, 4)}


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("softphone/security.py", "softphone"),
        ("softphone/sip/endpoint.py", "softphone.sip"),
        ("softphone/sip/message/uri.py", "softphone.sip.message"),
        ("softphone/sip/message/deeper/uri.py", "softphone.sip.message"),
        ("codecs/softphone_codecs/opus.py", "softphone_codecs"),
    ],
)
def test_a_file_counts_to_its_folder_two_levels_deep_at_most(path, package):
    assert package_of(path) == package


def test_branches_are_added_up():
    both = Branches(1, 4) + Branches(2, 2)
    assert (both, both.percent) == (Branches(3, 6), 50.0)
    assert Branches().percent == 100.0


def test_of_several_runs_the_lowest_counts():
    runs = [{"a": Branches(3, 4), "b": Branches(1, 2)}, {"a": Branches(2, 4), "b": Branches(2, 2)}]
    assert lowest(runs) == {"a": Branches(2, 4), "b": Branches(1, 2)}


@pytest.mark.parametrize(
    ("branches", "floor"),
    [
        (Branches(9769, 10000), 96.6),
        (Branches(400, 400), 99.0),
        (Branches(4, 400), 0.0),
        (Branches(45, 50), 86.0),  # a point is less than two branches
        (Branches(2, 2), 0.0),
        (Branches(), 99.0),
    ],
)
def test_a_floor_is_a_point_or_two_branches_below_what_was_measured(branches, floor):
    assert floor_of(branches) == pytest.approx(floor)


def test_written_floors_are_read_again_and_hold():
    python, floors = read_floors(written_floors(FOUND))
    assert python == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert floors == {"softphone": 25.0, "softphone.sip.message": 94.0}
    assert faults(FOUND, floors) == []


def test_a_package_under_its_floor_without_one_or_gone_is_a_fault():
    wrong = faults(FOUND, {"softphone": 75.1, "softphone.gone": 1.0})
    again = "(run python -m tests.coverage_report --write-floors)"
    assert wrong == [
        f"softphone.gone: is no package {again}",
        f"softphone.sip.message: has no floor {again}",
        "softphone: 75.00 % of the branches, under its floor of 75.1 %",
    ]


def test_the_table_has_a_line_for_each_package():
    assert table(FOUND, {"softphone": 74.0, "softphone.gone": 1.0}).splitlines() == [
        "package                branches  covered    floor  difference",
        "softphone                     4   75.0 %   74.0 %        +1.0",
        "softphone.gone                -        -    1.0 %           -",
        "softphone.sip.message       200   95.0 %        -           -",
    ]


def test_what_goes_without_recording_is_there_and_what_comes_after_it_is_recorded_again():
    assert [path for path in UNRECORDED if not (PROJECT / path).exists()] == []
    steps: list[str] = []
    recorder = Recorder.__new__(Recorder)
    recorder.recording = True
    recorder.coverage = SimpleNamespace(
        start=lambda: steps.append("start"),
        stop=lambda: steps.append("stop"),
        switch_context=steps.append,
    )
    names = ("renames/test_a.py", "test_names.py", "sdp/test_media.py", "renamesakes/test_a.py")
    for name in names:
        steps.append(name)
        item = SimpleNamespace(path=PROJECT / "tests" / name, nodeid=f"test of {name}")
        recorder.pytest_runtest_protocol(item)
    expected = [names[0], "stop", names[1], names[2], "start", f"test of {names[2]}"]
    assert steps == [*expected, names[3], f"test of {names[3]}"]


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "workers"])
def test_tests_record_what_they_run_of_the_product_from_its_import_on(workers, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers]
    # Whoever runs this test may be a worker itself: those that it starts are none.
    kept = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    ended = subprocess.run(
        [*command, "tests/test_version.py"],
        cwd=PROJECT,
        env=kept | {"SOFTPHONE_COVERAGE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    arcs: dict[str, set[tuple[int, int]]] = {}
    for path in tmp_path.iterdir():
        data = CoverageData(str(path))
        data.read()
        for name in data.measured_files():
            where = Path(name).relative_to(PROJECT).as_posix()
            arcs.setdefault(where, set()).update(data.arcs(name) or ())
        data.close(force=True)
    assert {"softphone/__init__.py", "softphone/errors.py"} <= set(arcs)
    assert not [name for name in arcs if not name.startswith(("softphone/", "codecs/"))]
    assert any(start < 0 for start, _ in arcs["softphone/errors.py"])
