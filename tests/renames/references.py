"""What the tree says about its own modules outside of import statements that a linter checks.

That is: names in strings, programs for `-c`, targets of `-m`, and in plain text the names and paths
of files that have moved (`docs/renames/moves.txt`).
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import itertools
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("softphone", "codecs", "tests", "bench")
TOPS = ("softphone", "softphone_codecs", "tests", "bench")
DOTTED = re.compile(r"(?<![\w./])(?:softphone|softphone_codecs|tests|bench)(?:\.\w+)+")
PATH = re.compile(r"[\w./-]+\.py\b")
TARGET = re.compile(r"(?<![\w-])-m[ =]((?:softphone|softphone_codecs|tests|bench)(?:\.\w+)*)")
MAIN = 'if __name__ == "__main__":'
IMPORT = re.compile(r"^\s*(?:from|import)\s+(?:softphone|softphone_codecs|tests|bench)\b", re.M)


def python_files() -> list[Path]:
    """List every Python file of the product, its tests and its benches."""
    found = [path for folder in FOLDERS for path in sorted((PROJECT / folder).rglob("*.py"))]
    return [path for path in found if "__pycache__" not in path.parts]


def committed_texts() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every file in the index that holds no NUL."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = PROJECT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            yield name, content.decode(errors="replace")


@functools.cache
def path_of(name: str) -> Path | None:
    """The file or folder of a module or package of ours; None where there is none."""
    top = PROJECT / "codecs" if name.startswith("softphone_codecs") else PROJECT
    place = top.joinpath(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place) if path.exists()), None)


def is_module(name: str) -> bool:
    """Whether there is a module or package of this name."""
    return path_of(name) is not None


@functools.cache
def bound_names(name: str) -> set[str]:
    """What the statements of a module bind, without running them."""
    path = path_of(name)
    file = path / "__init__.py" if path is not None and path.is_dir() else path
    if file is None or not file.exists():
        return set()
    found: set[str] = set()
    for node in _outside_of_functions(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _outside_of_functions(tree: ast.Module) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


@functools.cache
def is_reachable(name: str) -> bool:
    """Whether a dotted name leads to a module, or from a module by attributes to something.

    What a file binds is read from its text.  Only what the text does not tell is imported; where
    that needs an extra that is not installed, the name counts as right.
    """
    parts = name.split(".")
    size = next((n for n in range(len(parts), 0, -1) if path_of(".".join(parts[:n]))), 0)
    if size in (0, len(parts)):
        return size > 0
    if size == len(parts) - 1 and parts[-1] in bound_names(".".join(parts[:-1])):
        return True
    try:
        found = importlib.import_module(".".join(parts[:size]))
        functools.reduce(getattr, parts[size:], found)
    except AttributeError:
        return False
    except ModuleNotFoundError as missing:
        return not (missing.name or "").startswith(TOPS)
    return True


def unreachable(names: Iterable[str]) -> set[str]:
    """Find the names that lead nowhere, in a process of its own: much is imported for it."""
    command = [sys.executable, "-m", "tests.renames.references"]
    asked = "\n".join(sorted(set(names)))
    ended = subprocess.run(
        command, cwd=PROJECT, input=asked, stdout=subprocess.PIPE, text=True, check=True
    )
    return set(ended.stdout.split())


def can_be_started(name: str) -> bool:
    """Whether `python -m name` finds something to run."""
    spec = importlib.util.find_spec(name) if is_module(name) else None
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = importlib.util.find_spec(name) if is_module(name) else None
    if spec is None or spec.origin is None:
        return False
    return name.endswith(".__main__") or MAIN in Path(spec.origin).read_text()


def strings(tree: ast.AST) -> list[str]:
    """List the string constants of a tree, docstrings among them."""
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]


def programs(tree: ast.AST) -> Iterator[ast.Module]:
    """Yield the Python programs among the strings: what imports a module of ours, and parses.

    A brace or a percent sign that is filled in later may keep a program from being one; its names
    are then found by `names_in_text` only.
    """
    for text in strings(tree):
        if IMPORT.search(text):
            try:
                yield ast.parse(textwrap.dedent(text))
            except SyntaxError:
                continue


def imported_names(tree: ast.AST) -> set[str]:
    """Find what import statements of modules of ours name, those inside of functions too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removesuffix(".*") for name in found if name.split(".")[0] in TOPS}


def module_strings(tree: ast.AST) -> set[str]:
    """Find the strings that are a dotted name of ours and nothing else."""
    return {text for text in strings(tree) if DOTTED.fullmatch(text)}


def started_modules(tree: ast.AST) -> set[str]:
    """Find the constants that follow a constant `-m` in a list, a tuple or a call."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Call(args=items):
                values = [item.value if isinstance(item, ast.Constant) else None for item in items]
                pairs = itertools.pairwise(values)
                found |= {str(value) for flag, value in pairs if flag == "-m" and value is not None}
    return {name for name in found if name.split(".")[0] in TOPS}


def targets_in_text(text: str) -> set[str]:
    """Find the modules of ours that a text starts by `-m`."""
    return set(TARGET.findall(text))


def module_of(path: str) -> str:
    """Give the dotted name of a file: softphone_codecs.opus of codecs/softphone_codecs/opus.py."""
    name = path.removeprefix("codecs/").removesuffix(".py").removesuffix("/__init__")
    return name.replace("/", ".")


def read_moves(text: str) -> dict[str, str]:
    """Read lines `old = new`; nothing on the right means that a file stays."""
    lines = [line.partition("#")[0] for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if line.strip()]
    return {old.strip(): new.strip() or old.strip() for old, _, new in pairs}


def old_names(moves: dict[str, str], existing: Iterable[str]) -> set[str]:
    """Give the paths and dotted names that no file, package or exported name has any more.

    A path of the product is looked for without its first folder as well.
    """
    present = set(existing)
    modules = {module_of(path) for path in present}
    modules |= {name.rpartition(".")[0] for name in modules}
    paths = {old for old in moves if old not in present}
    gone = paths | {path.removeprefix("softphone/") for path in paths if path.count("/") > 1}
    return gone | {name for name in map(module_of, paths) if name not in modules}


def names_in_text(text: str, wanted: set[str]) -> set[str]:
    """Find which wanted paths and dotted names a text has, as such or in front of attributes."""
    found: set[str] = set()
    for name in set(DOTTED.findall(text)):
        parts = name.split(".")
        found |= {".".join(parts[:size]) for size in range(2, len(parts) + 1)} & wanted
    for token in set(PATH.findall(text)):
        parts = token.lstrip("./").split("/")
        tails = {"/".join(parts[first:]) for first in range(len(parts))}
        # Without its first folder a path is one only where nothing stands before it.
        found |= {tail for tail in tails & wanted if tail.startswith(FOLDERS)} | ({token} & wanted)
    return found


if __name__ == "__main__":
    print(*(name for name in sys.stdin.read().split() if not is_reachable(name)), sep="\n")
