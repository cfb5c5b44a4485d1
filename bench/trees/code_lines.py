"""Counts the lines of code in a tree: `python bench/trees/code_lines.py [--against TREE]`.

A line counts if it has a token of code or a part of one.  Docstrings (those of attributes too),
comments and blank lines do not count.  `--against` compares with an older checkout, and leaves out
each `__init__` that only the newer tree has: the exports of a new package are not written code.
Each package under the paths is a row.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
PATHS = ("softphone", "codecs")
NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


def docstring_lines(source: bytes) -> set[int]:
    """Return the numbers of the lines of docstrings: strings that are statements."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def code_lines(source: bytes) -> int:
    """Return the number of lines of code.  Raises SyntaxError for a source that is not Python."""
    lines: set[int] = set()
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstring_lines(source))


def count_tree(tree: Path, paths: tuple[str, ...] = PATHS) -> dict[Path, int]:
    """Return the lines of code of each Python file under `paths`, by its path in `tree`."""
    return {
        file.relative_to(tree): code_lines(file.read_bytes())
        for path in paths
        for file in sorted((tree / path).rglob("*.py"))
    }


def package_of(file: Path) -> str:
    """Return the first two parts of a path: a package, or a module directly in `softphone`."""
    return "/".join(file.parts[:2])


def by_package(files: dict[Path, int]) -> Counter[str]:
    """Return the lines of code of each package."""
    counts: Counter[str] = Counter()
    for file, lines in files.items():
        counts[package_of(file)] += lines
    return counts


def without_new_exports(after: dict[Path, int], before: dict[Path, int]) -> dict[Path, int]:
    """Return `after` without each `__init__.py` that is not in `before`."""
    return {
        file: lines for file, lines in after.items() if file.name != "__init__.py" or file in before
    }


def comparison(before: dict[Path, int], after: dict[Path, int]) -> Table:
    """Return a table with a row for each package, the largest first, and the sums."""
    older, newer = by_package(before), by_package(without_new_exports(after, before))
    table = Table("package", show_footer=True)
    table.columns[0].footer = "all"
    sums = older.total(), newer.total()
    table.add_column("before", justify="right", footer=f"{sums[0]:,}")
    table.add_column("after", justify="right", footer=f"{sums[1]:,}")
    table.add_column("change", justify="right", footer=f"{sums[1] - sums[0]:+,}")
    for package, _ in (older | newer).most_common():
        pair = older[package], newer[package]
        table.add_row(package, f"{pair[0]:,}", f"{pair[1]:,}", f"{pair[1] - pair[0]:+,}")
    return table


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", default=PATHS, help="folders, relative to the tree")
    parser.add_argument("--tree", type=Path, default=PROJECT, help="the tree (this one)")
    parser.add_argument("--against", type=Path, metavar="TREE", help="an older checkout")
    options = parser.parse_args(arguments)
    trees = [tree for tree in (options.tree, options.against) if tree is not None]
    paths = tuple(options.paths)
    for tree in trees:
        for path in paths:
            if not (tree / path).is_dir():
                parser.error(f"{tree} has no folder {path}")
    after = count_tree(options.tree, paths)
    console = Console()
    if options.against is not None:
        console.print(comparison(count_tree(options.against, paths), after))
        return
    table = Table("package", show_footer=True)
    table.columns[0].footer = "all"
    table.add_column("files", justify="right", footer=f"{len(after):,}")
    table.add_column("lines", justify="right", footer=f"{sum(after.values()):,}")
    files = Counter(package_of(file) for file in after)
    for package, lines in by_package(after).most_common():
        table.add_row(package, f"{files[package]:,}", f"{lines:,}")
    console.print(table)


if __name__ == "__main__":
    main()
