"""The rules of the architecture: layers, sizes, names, what a package says, light imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PRODUCT = ("softphone", "codecs", "bench")
FOLDERS = (*PRODUCT, "tests")
LONGEST_FUNCTION = 50
MOST_POSITIONS = 7
VARIADIC = ("pack", "pack_into", "Table")
"""What takes any number of arguments of one kind: the values of a format, a table's columns."""
MOST_MODULES = 20
FEWEST_WORDS = 25
FORBIDDEN_NAME = re.compile(r"utils?|helpers?|common|misc|core|_[^_].*")
STANDARD = re.compile(
    r"\b(RFC \d+|XEP-\d+|ITU-T|IEEE|NIST|FIPS \d+|X\.\d+|G\.\d+|[Nn]o standard)\b"
)
"""A standard that a package implements, or the words that there is none."""
HEAVY = ("av", "aiortc", "aiohttp", "slixmpp", "sqlalchemy")


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]
    return [path for path in found if "__pycache__" not in path.parts]


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    paths = [PROJECT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_each_layer_imports_only_the_layers_below_it():
    linter = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run([linter], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_function_is_longer_than_50_lines():
    long = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in sources(*FOLDERS)
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_call_has_more_than_seven_arguments_by_position():
    many = [
        f"{relative(path)}:{node.lineno} {ast.unparse(node.func)}"
        for path in sources("softphone", "codecs")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and len(node.args) > MOST_POSITIONS
    ]
    assert [call for call in many if not call.endswith(VARIADIC)] == []


def test_no_file_has_a_forbidden_name():
    allowed = {"softphone/_version.py"}
    names = [relative(path) for path in sources("softphone", "codecs")]
    named = [name for name in names if FORBIDDEN_NAME.fullmatch(Path(name).stem)]
    assert [name for name in named if name not in allowed] == []


def test_no_folder_holds_more_than_20_modules():
    modules = [path for path in sources(*PRODUCT) if path.name != "__init__.py"]
    sizes = Counter(relative(path.parent) for path in modules)
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


def packages() -> list[str]:
    return [relative(path) for path in sources("softphone", "codecs") if path.stem == "__init__"]


@pytest.mark.parametrize("package", packages())
def test_a_package_says_what_it_is_and_is_not_and_by_which_standard(package):
    """Whether the words are right is for readers to judge: that they are there is checked."""
    docstring = ast.get_docstring(ast.parse((PROJECT / package).read_text())) or ""
    assert len(docstring.split()) >= FEWEST_WORDS
    assert len(re.findall(r"\.(?=\s|$)", docstring)) >= 2
    assert STANDARD.search(docstring)


def test_every_test_file_has_tests():
    files = [path for path in sources("tests") if path.name.startswith("test_")]
    empty = [
        path for path in files if not re.search(r"^(async )?def test_\w", path.read_text(), re.M)
    ]
    assert [relative(path) for path in empty] == []


def test_codecs_holds_no_python_file_of_its_own():
    assert list((PROJECT / "codecs").glob("*.py")) == []


def test_every_import_is_absolute():
    relative_imports = [
        f"{relative(path)}:{node.lineno}"
        for path in sources(*FOLDERS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative_imports == []


def test_no_test_is_skipped_silently_or_expected_to_fail():
    marked = [
        f"{relative(path)}:{number}"
        for path in sources("tests")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"mark\.(xfail|skip)\b", line) and path != Path(__file__)
    ]
    assert marked == []


def test_nothing_committed_names_a_path_of_this_machine():
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout: nothing says what is committed")
    places = [f"{PROJECT}/", f"{Path.home()}/", f"{sys.prefix}/"]
    found = [
        f"{relative(path)}: {place}"
        for path in committed()
        for place in places
        if place.encode() in path.read_bytes()
    ]
    assert found == []


def test_the_package_table_of_the_docs_equals_the_tree():
    """The first cell of each row is a package, in backticks."""
    page = (PROJECT / "docs" / "explanation" / "packages.md").read_text()
    listed = re.findall(r"^\| `([\w/.]+?)/?` *\|", page, re.M)
    top = PROJECT / "softphone"
    names = [path.parent.name for path in top.glob("*/__init__.py")]
    names += [path.stem for path in top.glob("*.py") if not path.stem.startswith("_")]
    assert sorted(listed) == sorted([*names, "softphone_codecs"])


PROBE = """
import logging, signal, sys, threading, time
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
started = time.perf_counter()
{statement}
took = time.perf_counter() - started
after = {number: signal.getsignal(number) for number in signal.valid_signals()}
changed = [str(number) for number in before if before[number] is not after[number]]
loggers = [logging.getLogger(name) for name in [None, *logging.root.manager.loggerDict]]
print("took", round(took, 3), file=sys.stderr)
print("heavy", *[name for name in {heavy} if name in sys.modules], file=sys.stderr)
print("threads", threading.active_count(), file=sys.stderr)
print("signals", *changed, file=sys.stderr)
print("handlers", *[type(one).__name__ for logger in loggers for one in logger.handlers
                    if type(one) is not logging.NullHandler], file=sys.stderr)
"""
HELP = """
sys.argv = ["softphone", "--help"]
try:
    from softphone.cli import main
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""


@pytest.mark.parametrize("statement", ["import softphone", HELP], ids=["import", "help"])
def test_importing_and_helping_is_light_and_changes_nothing(statement):
    program = PROBE.replace("{statement}", statement).replace("{heavy}", repr(HEAVY))
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    print(lines[0])
    assert lines[1:] == ["heavy", "threads 1", "signals", "handlers"]
