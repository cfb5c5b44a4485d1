"""Compares a frozen tree with this one: `python -m tests.freeze FROZEN_TREE`.

What must not change while files move and names get better: the public names of `softphone`
(`--api`), the tests (`--tests`), the content of the wheel (`--wheel`); without a choice all three.
What the lists of renames explain is no difference (`rename_map.py`; they are in `docs/renames/`).
Nothing is imported from or written into either tree.  The exit status is 1 if there are
differences, 0 if there are none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.freeze import api, node_ids, wheel_content
from tests.freeze.rename_map import LISTS, RenameMap

PROJECT = Path(__file__).resolve().parents[2]
WIDTH = 60
"""Characters of a facet that are shown."""
Row = tuple[str, str, str, str]


def check_api(frozen: Path, renames: RenameMap, *, reachable: bool = False) -> int:
    """Compares the public names; gives the number of differences."""
    old, new = api.Tree(frozen), api.Tree(PROJECT)
    found = api.compare(old, new, renames, reachable=reachable)
    compared = api.describe(new, reachable=reachable)
    exported = len(new.public.exports or ())
    print(f"\n== public API: {exported} names, {len(compared)} with members")
    rows = [(one.name, one.facet, *shortened(one.old, one.new)) for one in found]
    print_table(("name", "what", "was (as it is called today)", "is"), rows)
    return len(found)


def print_table(head: Row, rows: list[Row]) -> None:
    """Prints rows in columns; nothing without rows."""
    if rows:
        widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
        for row in (head, *rows):
            cells = zip(row, widths, strict=True)
            print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())


def shortened(*texts: str) -> tuple[str, str]:
    """As much of two texts as is shown, from shortly before they differ."""
    old, new = texts
    if max(len(old), len(new)) <= WIDTH:
        return old, new
    pairs = enumerate(zip(old, new, strict=False))
    at = next((at for at, (one, two) in pairs if one != two), min(len(old), len(new)))
    begin = max(0, at - WIDTH // 4)
    mark = "…" if begin else ""
    return mark + old[begin : begin + WIDTH], mark + new[begin : begin + WIDTH]


def check_tests(frozen: Path, renames: RenameMap) -> int:
    """Compares the names of the tests; gives the number of those that are lost or misplaced."""
    old, new = node_ids.collect(frozen), node_ids.collect(PROJECT)
    found = node_ids.compare(old, new, renames)
    counts = [sum(sum(names.values()) for names in side.values()) for side in (old, new)]
    print(f"\n== tests: {counts[0]:,} then, {counts[1]:,} now")
    for title, names in (
        ("lost or renamed", found.lost),
        ("not where the map has them", found.elsewhere),
        ("one with another, as their files are", found.merged),
        ("withdrawn", found.withdrawn),
        ("new", found.new),
    ):
        show(title, names)
    return len(found.lost) + len(found.elsewhere)


def check_wheel(frozen: Path, renames: RenameMap) -> int:
    """Compares the wheels; gives the number of differences."""
    old, new = wheel_content.build(frozen), wheel_content.build(PROJECT)
    found = wheel_content.compare(old, new, renames)
    print(f"\n== wheel: {len(old.files)} files then, {len(new.files)} now")
    show("differences", found.differences)
    show("new packages", found.new_packages)
    show("notes", found.notes)
    return len(found.differences)


def show(title: str, lines: list[str]) -> None:
    """Prints a list with its length."""
    if lines:
        print(f"{title}: {len(lines)}")
        for line in lines:
            print(f"    {line}")


def parse() -> argparse.Namespace:
    """Parses the options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.freeze", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("frozen", type=Path, metavar="FROZEN_TREE")
    for name, text in (
        ("api", "compare the public names"),
        ("tests", "compare the names of the tests"),
        ("wheel", "compare the wheels"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument(
        "--reachable",
        action="store_true",
        help="compare also what public names give back, such as events",
    )
    parser.add_argument(
        "--renames", type=Path, default=PROJECT / "docs" / "renames", help="the folder of the lists"
    )
    for name in LISTS:
        # `--tests` is taken.
        option = "--test-names" if name == "tests" else f"--{name}"
        parser.add_argument(
            option, dest=f"{name}_file", type=Path, metavar="FILE", help=f"another {name}.txt"
        )
    return parser.parse_args()


def main() -> int:
    """Runs what was chosen; gives 1 if anything differs."""
    options = parse()
    lists = {
        name: getattr(options, f"{name}_file") or options.renames / f"{name}.txt" for name in LISTS
    }
    renames = RenameMap.load(**lists)
    frozen = options.frozen.resolve()
    every = not (options.api or options.tests or options.wheel)
    count = 0
    if options.api or every:
        count += check_api(frozen, renames, reachable=options.reachable)
    if options.tests or every:
        count += check_tests(frozen, renames)
    if options.wheel or every:
        count += check_wheel(frozen, renames)
    print(f"\n{count} differences" if count else "\nno differences")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
