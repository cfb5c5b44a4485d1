"""The house's rules, checked: floors, sizes, names, the mirror of tests, light imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FOLDERS = ("softphone", "codecs", "tests", "bench")
LONGEST_FILE = 500
LONGEST_FUNCTION = 50
FORBIDDEN_NAME = re.compile(r"utils?|helpers?|common|managers?|handlers?|base_.*|misc|core|_[^_].*")
HEAVY = ("av", "aiortc", "aiohttp", "slixmpp", "sqlalchemy")
TABLES: dict[str, str] = {}
"""Files that may be longer, each with its reason: tables of headers, grammar or constants."""
COVERED_BY: dict[str, str] = {}
"""Source files without a test file of their own: the test file of a neighbour that covers each."""


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


def test_each_floor_imports_only_the_floors_below_it():
    linter = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run([linter], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_file_is_longer_than_500_lines():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in sources(*FOLDERS)}
    long = {name: length for name, length in lengths.items() if length > LONGEST_FILE}
    assert {name: length for name, length in long.items() if name not in TABLES} == {}


def test_no_function_is_longer_than_50_lines():
    long = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in sources(*FOLDERS)
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_file_has_a_forbidden_name():
    allowed = {"softphone/_version.py"}
    names = [relative(path) for path in sources("softphone", "codecs")]
    named = [name for name in names if FORBIDDEN_NAME.fullmatch(Path(name).stem)]
    assert [name for name in named if name not in allowed] == []


def mirror_of(source: str) -> str:
    """Where the tests of a source file are: `softphone/sip/message/uri.py` ->
    `tests/sip/message/test_uri.py`."""
    inner = Path(source.replace("codecs/softphone_codecs", "softphone/codecs", 1))
    room = inner.relative_to("softphone").parent
    return COVERED_BY.get(
        source, f"tests/{room}/test_{inner.stem.strip('_')}.py".replace("/./", "/")
    )


def public_names(path: Path) -> set[str]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)}


def mirrored() -> list[str]:
    found = [relative(path) for path in sources("softphone", "codecs/softphone_codecs")]
    return [name for name in found if not name.endswith("/__init__.py")]


def test_every_source_file_has_its_test_file():
    assert [name for name in mirrored() if not (PROJECT / mirror_of(name)).is_file()] == []


def test_every_test_file_has_tests():
    files = [path for path in sources("tests") if path.name.startswith("test_")]
    empty = [
        path for path in files if not re.search(r"^(async )?def test_\w", path.read_text(), re.M)
    ]
    assert [relative(path) for path in empty] == []


def test_a_neighbours_test_file_names_what_it_covers():
    for source, mirror in COVERED_BY.items():
        names = public_names(PROJECT / source) | {Path(source).stem}
        text = (PROJECT / mirror).read_text()
        assert any(re.search(rf"\b{name}\b", text) for name in names), (source, mirror)


def test_every_exception_of_these_rules_is_still_needed():
    assert [name for name in (*TABLES, *COVERED_BY) if not (PROJECT / name).is_file()] == []
    assert [name for name in TABLES if len((PROJECT / name).read_text().splitlines()) <= 500] == []


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


def test_the_room_table_of_the_readme_equals_the_tree():
    """The table under "## Rooms": the first cell of each row is a room, in backticks."""
    readme = (PROJECT / "README.md").read_text()
    section = re.search(r"^## Rooms\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    assert section, 'README.md has no section "## Rooms"'
    told = re.findall(r"^\| `([\w/.]+?)/?` *\|", section[1], re.M)
    package = PROJECT / "softphone"
    rooms = [path.parent.name for path in package.glob("*/__init__.py")]
    rooms += [path.stem for path in package.glob("*.py") if not path.stem.startswith("_")]
    assert sorted(told) == sorted([*rooms, "softphone_codecs"])


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
