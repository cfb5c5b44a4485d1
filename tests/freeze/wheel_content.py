"""What a wheel has: its files, its metadata, its entry points; and the comparison of two."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from email import message_from_string
from pathlib import Path

from tests.freeze.rename_map import RenameMap

__all__ = ["Wheel", "WheelChanges", "build", "compare", "read"]

LEFT_OUT = {"RECORD"}
"""Hashes of everything: they change with each line of code."""


@dataclass
class Wheel:
    """Files outside of `.dist-info`, and the texts in it by name."""

    files: set[str]
    texts: dict[str, str]


@dataclass
class WheelChanges:
    """What differs; `new_packages` and `notes` are allowed."""

    differences: list[str] = field(default_factory=list)
    new_packages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def build(tree: Path) -> Wheel:
    """Builds the wheel of a tree; nothing is written into the tree."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check"]
        command += ["--no-deps", "-w", folder, str(tree)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the wheel was not built:\n{done.stdout}{done.stderr}")
        (wheel,) = Path(folder).glob("softphone-*.whl")
        return read(wheel)


def read(path: Path) -> Wheel:
    """Reads a wheel."""
    files, texts = set(), {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            folder, _, inner = name.partition("/")
            if folder.endswith(".dist-info"):
                texts[inner] = archive.read(name).decode()
            else:
                files.add(name)
    return Wheel(files, texts)


def compare(old: Wheel, new: Wheel, renames: RenameMap) -> WheelChanges:
    """Compares two wheels; files of the old one are looked for where the map has them."""
    changes = WheelChanges()
    expected = {_mapped(target) for name in old.files for target in _targets(name, renames)}
    for name in sorted(expected - new.files):
        changes.differences.append(f"file lost: {name}")
    for name in sorted(new.files - expected):
        if name.endswith("/__init__.py"):
            changes.new_packages.append(name)
        else:
            changes.differences.append(f"file added: {name}")
    for name in sorted((old.texts.keys() | new.texts.keys()) - LEFT_OUT):
        was, now = old.texts.get(name), new.texts.get(name)
        if was is None or now is None:
            changes.differences.append(f".dist-info/{name}: {'added' if was is None else 'lost'}")
        elif name in ("METADATA", "WHEEL"):
            _compare_headers(name, was, now, changes)
        elif was != now:
            changes.differences.append(f".dist-info/{name}: differs: {was!r} -> {now!r}")
    return changes


def _targets(name: str, renames: RenameMap) -> tuple[str, ...]:
    """A file of the wheel by its path in the tree, moved."""
    in_codecs = name.startswith("softphone_codecs/")
    return renames.files(f"codecs/{name}" if in_codecs else name)


def _mapped(path: str) -> str:
    return path.removeprefix("codecs/")


def _compare_headers(name: str, was: str, now: str, changes: WheelChanges) -> None:
    """Compares the fields of METADATA or WHEEL; what only tests need is a note."""
    old, new = message_from_string(was), message_from_string(now)
    for header in sorted({*old.keys(), *new.keys()}):
        before, after = (sorted(each.get_all(header, [])) for each in (old, new))
        gone = [value for value in before if value not in after]
        come = [value for value in after if value not in before]
        for sign, value in [*(("-", one) for one in gone), *(("+", one) for one in come)]:
            line = f".dist-info/{name}: {sign} {header}: {value}"
            of_tests = header == "Requires-Dist" and "extra == 'test'" in value.replace('"', "'")
            (changes.notes if of_tests or header == "Generator" else changes.differences).append(
                line
            )
    if old.get_payload() != new.get_payload():
        changes.notes.append(f".dist-info/{name}: the description (README) differs")
