from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.freeze.rename_map import RenameMap
from tests.freeze.wheel_content import Wheel, WheelChanges, compare, read

METADATA = """Metadata-Version: 2.4
Name: softphone
Requires-Dist: numpy>=2.0
Requires-Dist: pytest>=8.3; extra == 'test'

# softphone
"""
ENTRY_POINTS = "[console_scripts]\nsoftphone = softphone.cli:main\n"
OLD = Wheel(
    {"softphone/__init__.py", "softphone/a.py", "softphone_codecs/b.py", "softphone/py.typed"},
    {"METADATA": METADATA, "entry_points.txt": ENTRY_POINTS, "RECORD": "softphone/a.py,sha256=1"},
)
NEW = Wheel(
    {"softphone/__init__.py", "softphone/c/a.py", "softphone_codecs/d/b.py", "softphone/py.typed"},
    OLD.texts | {"RECORD": "softphone/c/a.py,sha256=1"},
)
RENAMES = RenameMap(
    moves={
        "softphone/a.py": ("softphone/c/a.py",),
        "codecs/softphone_codecs/b.py": ("codecs/softphone_codecs/d/b.py",),
    }
)


def test_a_wheel_is_read_with_its_texts(tmp_path: Path):
    path = tmp_path / "softphone-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("softphone/__init__.py", "")
        archive.writestr("softphone-0.1.0.dist-info/METADATA", METADATA)
    assert read(path) == Wheel({"softphone/__init__.py"}, {"METADATA": METADATA})


def test_files_that_moved_by_the_map_are_no_difference():
    assert compare(OLD, NEW, RENAMES) == WheelChanges()


def test_files_lost_and_added_are_found():
    found = compare(OLD, NEW, RenameMap())
    assert found.differences == [
        "file lost: softphone/a.py",
        "file lost: softphone_codecs/b.py",
        "file added: softphone/c/a.py",
        "file added: softphone_codecs/d/b.py",
    ]


def test_data_that_was_left_out_is_found():
    found = compare(OLD, replace(NEW, files=NEW.files - {"softphone/py.typed"}), RENAMES)
    assert found.differences == ["file lost: softphone/py.typed"]


def test_a_new_package_is_allowed_and_named():
    found = compare(OLD, replace(NEW, files=NEW.files | {"softphone/c/__init__.py"}), RENAMES)
    assert found == WheelChanges(new_packages=["softphone/c/__init__.py"])


@pytest.mark.parametrize(
    ("name", "old", "new", "difference"),
    [
        ("METADATA", "numpy>=2.0", "numpy>=2.1", "- Requires-Dist: numpy>=2.0"),
        ("METADATA", "Name: softphone", "Name: telephone", "+ Name: telephone"),
        ("entry_points.txt", "cli:main", "cli.commands:main", ".dist-info/entry_points.txt"),
    ],
)
def test_other_metadata_is_found(name, old, new, difference):
    changed = replace(NEW, texts=NEW.texts | {name: NEW.texts[name].replace(old, new)})
    assert any(difference in line for line in compare(OLD, changed, RENAMES).differences)


def test_entry_points_that_are_gone_are_found():
    texts = {name: text for name, text in NEW.texts.items() if name != "entry_points.txt"}
    found = compare(OLD, replace(NEW, texts=texts), RENAMES)
    assert found.differences == [".dist-info/entry_points.txt: lost"]


def test_what_only_tests_need_and_the_readme_are_notes():
    text = METADATA.replace("pytest>=8.3", "pytest>=9").replace("# softphone", "# Softphone")
    found = compare(OLD, replace(NEW, texts=NEW.texts | {"METADATA": text}), RENAMES)
    assert found.differences == []
    assert len(found.notes) == 3
