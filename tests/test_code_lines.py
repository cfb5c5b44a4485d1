"""What the counter of code lines takes for code, and how it compares two trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.trees import code_lines as counter
from bench.trees.code_lines import code_lines, count_tree, main

SOURCE = '''\
"""A module.

Of three lines.
"""

import os  # 1: code beside a comment

# a comment

LIMIT = 3  # 2
"""What an attribute is for."""

TEXT = """3
4: a string that is used
5"""


class Name:  # 6
    """A class."""

    def method(  # 7
        self,  # 8
    ) -> int:  # 9
        """A method

        of two paragraphs."""
        return os.getpid()  # 10
'''


def test_lines_that_hold_code_are_counted_and_no_others() -> None:
    assert code_lines(SOURCE.encode()) == 10


@pytest.mark.parametrize("source", ["", "\n\n", '"""Only a docstring."""\n', "# a comment\n"])
def test_without_code_nothing_is_counted(source: str) -> None:
    assert code_lines(source.encode()) == 0


def write(tree: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tree


def test_packages_are_compared_and_the_exports_of_a_new_one_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    old = write(
        tmp_path / "old",
        {
            "softphone/fax/__init__.py": "A = 1\n",
            "softphone/fax/page.py": "A = 1\nB = 2\nC = 3\n",
            "softphone/errors.py": "A = 1\n",
        },
    )
    new = write(
        tmp_path / "new",
        {
            "softphone/fax/__init__.py": "A = 1\nB = 2\n",
            "softphone/fax/page/__init__.py": "A = 1\nB = 2\n",
            "softphone/fax/page/parser.py": "A = 1\n",
            "softphone/errors.py": "A = 1\n",
        },
    )
    assert count_tree(new, ("softphone",))[Path("softphone/fax/page/__init__.py")] == 2
    main(["softphone", "--tree", str(new), "--against", str(old)])
    printed = [
        [cell.strip() for cell in line.strip("│┃").split("│")]
        for line in capsys.readouterr().out.splitlines()
        if "│" in line
    ]
    assert printed == [
        ["softphone/fax", "4", "3", "-1"],
        ["softphone/errors.py", "1", "1", "+0"],
        ["all", "5", "4", "-1"],
    ]


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["softphone", "--tree", str(tmp_path)])
    assert stopped.value.code == 2
    assert f"{tmp_path} has no folder softphone" in capsys.readouterr().err


def test_this_tree_can_be_counted() -> None:
    counts = count_tree(counter.PROJECT)
    assert counts[Path("softphone/__main__.py")] == 4
    assert sum(counts.values()) > 50_000
