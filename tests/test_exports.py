"""Every package says in `__all__` what it gives, all of it, each name once and in order."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import typing
from pathlib import Path

import pytest

import softphone

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(
    path.parent.relative_to(base).as_posix().replace("/", ".")
    for base in (PROJECT, PROJECT / "codecs")
    for top in ("softphone", "softphone_codecs")
    for path in (base / top).rglob("__init__.py")
)


def kind_then_name(name: str) -> tuple[int, list[tuple[int, int | str]]]:
    """Constants, then classes, then the rest; digits count as numbers."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    pieces = [piece for piece in re.split(r"(\d+)", name) if piece]
    return kind, [(0, int(one)) if one.isdigit() else (1, one) for one in pieces]


def bound_names(package: str) -> set[str]:
    """The public names that `__init__` defines or takes from the package's own modules.

    A name that is taken for type checkers only, and for the rest on first use, counts too.
    """
    base = PROJECT / "codecs" if package.startswith("softphone_codecs") else PROJECT
    tree = ast.parse((base / package.replace(".", "/") / "__init__.py").read_text())
    names: set[str] = set()
    # What a function takes for itself is nobody else's.
    outside = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    for node in (inner for each in outside for inner in ast.walk(each)):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}."):
            names |= {alias.asname or alias.name for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    # `TYPE_CHECKING = False` spares a package the import of typing.
    return {name for name in names if not name.startswith("_")} - {"TYPE_CHECKING"}


def test_there_are_packages():
    assert {"softphone", "softphone.sip", "softphone_codecs"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_complete_unique_and_in_order(package):
    exported = importlib.import_module(package).__all__
    assert len(set(exported)) == len(exported)
    public = {name for name in exported if not name.startswith("_")}
    assert public == bound_names(package)
    plain = [name for name in exported if not name.startswith("_")]
    assert plain == sorted(plain, key=kind_then_name)


# The names of these need what the packages are named after: tests of theirs import them.
NEEDING = ("softphone.agents.livekit", "softphone.agents.pipecat", "softphone.load.locust")


@pytest.mark.parametrize("package", [one for one in PACKAGES if one not in NEEDING])
def test_every_exported_name_can_be_imported(package):
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def paths_wanted(name: str) -> set[str]:
    """The parameters of an exported name, and of its methods, for which only a `Path` will do."""
    given = getattr(softphone, name)
    methods = {"": given}
    if inspect.isclass(given):
        shown = inspect.getmembers(given, inspect.isroutine)
        methods = {label: each for label, each in shown if not label.startswith("_")}
        methods["__init__"] = given.__init__
    wanted = set()
    for label, each in methods.items():
        if not inspect.isroutine(each):
            continue
        try:
            hints = typing.get_type_hints(each)
        except (NameError, AttributeError):  # a name for type checkers, or none of ours
            hints = getattr(each, "__annotations__", {})
        for parameter, hint in hints.items():
            if parameter != "return" and re.search(r"\bPath\b", str(hint)):
                wanted.add(f"{name}.{label}.{parameter}")
    return wanted


def test_every_path_of_the_public_interface_may_be_text():
    wanted = set().union(*map(paths_wanted, softphone.__all__))
    assert wanted == {"AccountFile.__init__.path"}  # what `load_account` tells
