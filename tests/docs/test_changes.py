"""The changes of the page "Changing the code" are made on a copy of the tree, and what each adds of
tests passes there.

Each section that has `diff` blocks is one change.  At most two files of the product may be touched:
more is a reason to look at where its facts are kept.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "explanation" / "changing.md"
PRODUCT = ("softphone/", "codecs/")
COPIED = ("softphone", "codecs", "tests/support")
SINGLE_FILES = ("pyproject.toml", "tests/conftest.py")
SECTION = re.compile(r"^## (?P<title>[^\n]+)\n(?P<text>.*?)(?=^## |\Z)", re.M | re.S)
BLOCK = re.compile(r"^```diff\n(?P<diff>.*?)^```$", re.M | re.S)
TOUCHED = re.compile(r"^\+\+\+ b/(\S+)$", re.M)
TASKS = ("codec", "header field", "crypto suite", "option", "jitter", "session timer")


@dataclass(frozen=True)
class Change:
    """One section: its title, and each block of its diff with the line where that begins."""

    title: str
    blocks: tuple[tuple[int, str], ...]

    @property
    def touched(self) -> list[str]:
        """Every file that it changes or adds."""
        return [file for _, diff in self.blocks for file in TOUCHED.findall(diff)]


def changes_of(page: str) -> list[Change]:
    """The sections of a page that have diffs."""
    found = [
        Change(
            section["title"],
            tuple(
                (page.count("\n", 0, section.start("text") + block.start()) + 1, block["diff"])
                for block in BLOCK.finditer(section["text"])
            ),
        )
        for section in SECTION.finditer(page)
    ]
    return [change for change in found if change.blocks]


CHANGES = changes_of(PAGE.read_text())


def apply_diff(tree: Path, diff: str) -> str:
    """What git has to say against a diff; nothing where it was applied."""
    ended = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        cwd=tree,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)},
        input=diff,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stderr if ended.returncode else ""


@pytest.fixture
def tree(tmp_path):
    """A copy of what changes touch and their tests need, byte code included."""
    copy = tmp_path / "tree"
    for name in COPIED:
        shutil.copytree(PROJECT / name, copy / name)
    for name in SINGLE_FILES:
        shutil.copy2(PROJECT / name, copy / name)
    return copy


def test_the_page_has_the_changes_that_a_stranger_is_likely_to_make():
    titles = [change.title for change in CHANGES]
    assert len(titles) == len(TASKS)
    for title, task in zip(titles, TASKS, strict=True):
        assert task in title


def test_a_diff_that_no_longer_fits_is_told_from_one_that_does(tmp_path):
    (tmp_path / "a.py").write_text("one\ntwo\n")
    change = changes_of(
        "# Page\n\n## A change\n\ntext\n\n```diff\n--- a/a.py\n+++ b/a.py\n"
        "@@ -1,2 +1,2 @@\n one\n-two\n+three\n```\n\n## Prose\n\nnothing\n"
    )[0]
    ((line, diff),) = change.blocks
    assert (change.title, line, change.touched) == ("A change", 7, ["a.py"])
    assert apply_diff(tmp_path, diff) == ""
    assert (tmp_path / "a.py").read_text() == "one\nthree\n"
    assert "does not apply" in apply_diff(tmp_path, diff)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.title)
def test_a_change_touches_two_files_of_the_product_and_brings_a_test(change):
    product = {file for file in change.touched if file.startswith(PRODUCT)}
    assert 1 <= len(product) <= 2
    assert [file for file in change.touched if file.startswith("tests/")]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.title)
def test_a_change_can_be_made_and_does_what_its_test_says(change, tree):
    for line, diff in change.blocks:
        refusal = apply_diff(tree, diff)
        assert not refusal, f"{PAGE.relative_to(PROJECT)}:{line}: the diff does not fit: {refusal}"
    tests = [file for file in change.touched if file.startswith("tests/")]
    # What runs there is none of this tree: its coverage is not ours.
    environment = {name: v for name, v in os.environ.items() if name != "SOFTPHONE_COVERAGE"}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env=environment | {"PYTHONPATH": os.pathsep.join([str(tree), str(tree / "codecs")])},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
