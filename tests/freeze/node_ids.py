"""The names of all tests with their parameters, as pytest collects them, and their comparison."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.freeze.rename_map import RenameMap

__all__ = ["Names", "TestChanges", "by_file", "collect", "compare"]

Names = dict[str, Counter[str]]
"""By file: how often there is a test of this name (with class and parameters, as pytest has it)."""


@dataclass
class TestChanges:
    """What became of tests; `lost` alone is a failure."""

    __test__ = False

    lost: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Not in the file where the map has them, but one of this name is new in another."""
    merged: list[str] = field(default_factory=list)
    """Their parameters named files that are one file now."""
    withdrawn: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def by_file(lines: list[str]) -> Names:
    """Sorts node ids by file; other lines of pytest's output are left out."""
    names: Names = defaultdict(Counter)
    for line in lines:
        file, separator, name = line.partition("::")
        if separator and file.endswith(".py") and " " not in file:
            names[file][name] += 1
    return dict(names)


def collect(tree: Path) -> Names:
    """Collects a tree's tests on this interpreter; nothing is written into the tree."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {
            "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'codecs'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": scratch,
        }
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        errors = done.stdout[max(0, done.stdout.find("= ERRORS =")) :]
        raise SystemExit(f"pytest could not collect:\n{errors}{done.stderr}")
    return by_file(done.stdout.splitlines())


def compare(old: Names, new: Names, renames: RenameMap) -> TestChanges:
    """Finds every old test among the new ones, each of these once."""
    changes = TestChanges()
    left = {file: counts.copy() for file, counts in new.items()}
    missing: list[tuple[str, str, list[str]]] = []
    for file, counts in old.items():
        places = sorted(renames.test_files(file))
        for name in sorted(counts.elements()):
            wanted = _called_today(file, name, renames)
            if not wanted:
                changes.withdrawn.append(f"{file}::{name}")
            elif not _take(left, places, wanted):
                missing.append((file, name, wanted))
    for file, name, wanted in missing:
        test = f"{file}::{name}"
        places = sorted(renames.test_files(file))
        if any(new.get(place, Counter())[each] for place in places for each in wanted[1:]):
            changes.merged.append(test)
        elif place := _take(left, sorted(left), wanted):
            changes.elsewhere.append(f"{test} -> {place}")
        else:
            changes.lost.append(test)
    changes.new = [
        f"{file}::{name}" for file in sorted(left) for name in sorted(left[file].elements())
    ]
    return changes


def _called_today(file: str, name: str, renames: RenameMap) -> list[str]:
    """The names that a test may have today, the likeliest first; none if it was withdrawn."""
    bare, bracket, parameters = name.partition("[")
    renamed = renames.tests.get(f"{file}::{bare}", bare)
    if not renamed:
        return []
    spelled = renames.spellings(parameters) if bracket else [""]
    return [f"{renamed}{bracket}{each}" for each in spelled]


def _take(left: Names, places: list[str], names: list[str]) -> str | None:
    """Takes one of the names out of one of the files; gives the file."""
    for place in places:
        for name in names:
            if left.get(place, Counter())[name] > 0:
                left[place][name] -= 1
                return place
    return None
