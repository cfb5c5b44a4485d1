"""After the move of every file: what names a module or a file of ours names one that is there."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.renames.references import (
    DOTTED,
    PROJECT,
    can_be_started,
    committed_texts,
    imported_names,
    is_module,
    is_reachable,
    module_of,
    module_strings,
    names_in_text,
    old_names,
    programs,
    python_files,
    read_moves,
    started_modules,
    targets_in_text,
    unreachable,
)

MOVES = "docs/renames/moves.txt"
PRODUCT = re.compile(r"(softphone|codecs|bench)/.*\.py")
HERE = "tests/renames/"
OLD_NAMES_ALLOWED_IN = (
    *("docs/renames/", HERE, "tests/freeze/"),
    "tests/docs/test_json_schema.py",
)
"""Where old names stand on purpose, or files below softphone/cli look like them."""
EXTRAS = {
    *("asyncpg", "bonsai", "gevent", "keyring", "livekit", "locust", "pipecat", "ray"),
    "sounddevice",
}
"""Libraries of extras, which need not be installed."""
NO_MODULES = {
    ("tests/security/test_secrets_do_not_reach_logs.py", "softphone.test"),
    ("tests/test_coverage_report.py", "softphone.gone"),
}
"""Strings that only look like a module's name: a logger of a test, a package that is not there."""
IMPORT_ALL = """
import importlib, sys
failed = []
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        for exported in getattr(module, "__all__", ()):
            getattr(module, exported)
    except Exception as error:
        if getattr(error, "name", None) not in {extras}:
            failed.append(f"{name}: {error!r}")
print(*failed, sep="\\n", end="\\n" if failed else "")
"""


@functools.cache
def trees() -> dict[str, ast.Module]:
    """The tree of every Python file but those of this folder, whose names are invented."""
    paths = {path.relative_to(PROJECT).as_posix(): path for path in python_files()}
    return {
        name: ast.parse(path.read_text())
        for name, path in paths.items()
        if not name.startswith((HERE, "tests/freeze/"))
    }


@pytest.fixture(scope="module", autouse=True)
def _trees_go() -> Iterator[None]:
    """Millions of nodes: each collection of garbage of later tests would look at them."""
    yield
    trees.cache_clear()


def fail_with(wrong: list[str]) -> None:
    """Fail with every line: pytest would cut the comparison of long lists."""
    if wrong:
        pytest.fail("\n".join(sorted(wrong)), pytrace=False)


def texts_elsewhere() -> list[tuple[str, str]]:
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout: nothing says what is committed")
    return [pair for pair in committed_texts() if not pair[0].startswith(OLD_NAMES_ALLOWED_IN)]


def test_every_module_can_be_imported_and_gives_every_name_of_its_all():
    names = [module_of(path) for path in trees() if path.startswith(("softphone/", "codecs/"))]
    assert {"softphone", "softphone.sip", "softphone_codecs"} <= set(names)
    program = IMPORT_ALL.replace("{extras}", repr(EXTRAS))
    command = [sys.executable, "-c", program, *(name for name in names if "__main__" not in name)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    fail_with(ended.stdout.split("\n")[:-1])


def check_that_none_leads_nowhere(named: set[tuple[str, str]]) -> None:
    """Fail with every place that names what is not there."""
    nowhere = unreachable(name for _, name in named)
    fail_with([f"{path}: {name}" for path, name in named if name in nowhere])


def test_every_import_finds_its_module_and_its_name_inside_of_functions_too():
    imports = {(path, name) for path, tree in trees().items() for name in imported_names(tree)}
    assert len(imports) > 1000
    check_that_none_leads_nowhere(imports)


def test_every_import_of_a_program_in_a_string_finds_its_module_and_its_name():
    imports = {
        (path, name)
        for path, tree in trees().items()
        for program in programs(tree)
        for name in imported_names(program)
    }
    assert len(imports) > 20
    check_that_none_leads_nowhere(imports)


def test_every_string_that_is_a_name_of_a_module_of_ours_names_one():
    names = {(path, name) for path, tree in trees().items() for name in module_strings(tree)}
    assert names > NO_MODULES
    check_that_none_leads_nowhere(names - NO_MODULES)


def test_every_dotted_name_in_a_text_leads_somewhere():
    """Docstrings, comments and documents name modules, classes and methods that are there."""
    told = {
        (path, name)
        for path, text in texts_elsewhere()
        if path.endswith(".md") or PRODUCT.match(path)
        for name in DOTTED.findall(text)
    }
    assert len(told) > 500
    check_that_none_leads_nowhere(told)


def test_every_target_of_m_can_be_started():
    started = {(path, name) for path, tree in trees().items() for name in started_modules(tree)}
    texts = {(path, name) for path, text in texts_elsewhere() for name in targets_in_text(text)}
    assert {"softphone", "tests.suite"} <= {name for _, name in started | texts}
    wrong = [f"{path}: {name}" for path, name in started | texts if not can_be_started(name)]
    fail_with(wrong)


def test_no_text_names_a_file_or_a_module_by_its_old_name():
    moves = read_moves((PROJECT / MOVES).read_text())
    paths = [path.relative_to(PROJECT).as_posix() for path in python_files()]
    old = old_names(moves, paths)
    dotted = {name for name in old if "/" not in name}
    wanted = (old - dotted) | unreachable(dotted)
    assert wanted
    found = {path: sorted(names_in_text(text, wanted)) for path, text in texts_elsewhere()}
    fail_with([f"{path}: {', '.join(names)}" for path, names in found.items() if names])


MOVED = {
    "softphone/first/queue.py": "softphone/first/queue/queue.py",
    "softphone/first/bell.py": "softphone/first/queue/alarm.py",
    "softphone/first/stays.py": "softphone/first/stays.py",
    "softphone/lamp.py": "softphone/light.py",
    "codecs/softphone_codecs/old.py": "codecs/softphone_codecs/new.py",
}
EXISTING = [*MOVED.values(), "softphone/first/queue/__init__.py"]


def test_moves_are_read():
    text = "# old = new\n\na/b.py = a/c/d.py\na/e.py =\na/f.py = a/g.py  # merged\n"
    assert read_moves(text) == {"a/b.py": "a/c/d.py", "a/e.py": "a/e.py", "a/f.py": "a/g.py"}


def test_a_name_that_something_new_has_is_not_old():
    assert old_names(MOVED, EXISTING) == {
        "codecs/softphone_codecs/old.py",
        "first/bell.py",
        "first/queue.py",
        "softphone.first.bell",
        "softphone.lamp",
        "softphone/first/bell.py",
        "softphone/first/queue.py",
        "softphone/lamp.py",
        "softphone_codecs.old",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see softphone.first.bell.", {"softphone.first.bell"}),
        ("softphone.first.bell.Bell.ring", {"softphone.first.bell"}),
        ('File "/x/softphone/first/bell.py", line 2', {"softphone/first/bell.py"}),
        ("softphone/first/queue.py:12", {"softphone/first/queue.py"}),
        ("`first/queue.py` has it", {"first/queue.py"}),
        ("softphone_codecs.old", {"softphone_codecs.old"}),
        ("softphone.first.bells", set()),
        ("a.softphone.first.bell", set()),
        ("softphone.first.queue.Queue", set()),
        ("softphone/first/queue/queue.py", set()),
        ("tests/first/queue.py", set()),
        ("softphone/lamp.pyi softphone/lamps.py", set()),
    ],
)
def test_an_old_name_is_found_as_a_whole(text, expected):
    assert names_in_text(text, old_names(MOVED, EXISTING)) == expected


def test_targets_of_m_are_found():
    tree = ast.parse("run(p, '-m', 'softphone.a')\nb = [p, '-m', 'tests.b', '-m', 'pip']")
    assert started_modules(tree) == {"softphone.a", "tests.b"}
    texts = ("`python -m softphone call`", "-m tests.peers.matrix", "-m pytest", "--m=softphone.x")
    found = set().union(*map(targets_in_text, texts))
    assert found == {"softphone", "tests.peers.matrix"}


def test_programs_in_strings_are_found():
    indented = "A = '''\n    import os\n    from softphone.a import b\n'''"
    tree = ast.parse(f"{indented}\nB = 'import softphone'\nC = 'import softphone without end'")
    assert set().union(*map(imported_names, programs(tree))) == {"softphone.a.b", "softphone"}


def test_a_name_is_followed_through_modules_and_attributes():
    assert is_module("softphone.sip")
    assert not is_module("softphone.nothing.at_all")
    assert is_reachable("softphone.sip.Request.method")
    assert not is_reachable("softphone.sip.Request.nothing")
    assert not is_reachable("softphone.sip.nothing")
    assert unreachable(["softphone.sip.nothing", "softphone.sip"]) == {"softphone.sip.nothing"}


def test_what_m_can_start_is_known():
    assert can_be_started("softphone")
    assert can_be_started("tests.suite")
    assert not can_be_started("softphone.sip")
    assert not can_be_started("softphone.sip.nothing")
    assert not can_be_started("softphone.errors")
