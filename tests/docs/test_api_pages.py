"""The API pages show what an application calls: all of it, and nothing that only the engine calls.

A public member that is there for the rest of the engine says `:meta private:` in its docstring,
which Sphinx reads: it is not shown.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from functools import cache
from pathlib import Path

import pytest

import softphone
from softphone import errors, events

PROJECT = Path(__file__).resolve().parents[2]
REFERENCE = PROJECT / "docs" / "reference"
SHOWN = re.compile(r"^\.\. (?:auto|py:)(?P<kind>class|function|data):: (?P<name>\S+)$", re.M)
MODULE = re.compile(r"^\.\. currentmodule:: (?P<name>\S+)$", re.M)
INTERNAL = ":meta private:"


@cache
def names_of(page: str) -> dict[str, str]:
    """The names that a page shows, each with the module that it is imported from."""
    names, module = {}, ""
    for line in (REFERENCE / page).read_text().splitlines():
        if found := MODULE.match(line):
            module = found["name"]
        elif found := SHOWN.match(line):
            names[found["name"]] = module
    return names


@cache
def documented() -> frozenset[str]:
    """What an application may know of: both tiers, with events and errors."""
    pages = {*names_of("api.md"), *names_of("provisional.md")}
    return frozenset(pages | set(errors.__all__) | set(events.__all__))


def stable_classes() -> list[type]:
    found = [getattr(importlib.import_module(m), n) for n, m in names_of("api.md").items()]
    return [each for each in found if inspect.isclass(each)]


@cache
def imports_of(module: str) -> dict[str, str]:
    """Where each name that a module imports comes from, those for type checkers included."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        alias.asname or alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@cache
def defined_in(module: str) -> set[str]:
    """The classes and type aliases that a module defines."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    aliases = {
        ast.unparse(node.target)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"
    }
    return classes | aliases


def own_names(annotation: object, module: str) -> set[str]:
    """The names of an annotation that are this project's and on no page."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    named = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    ours = {name for name in named if imports_of(module).get(name, "").startswith("softphone")}
    return (ours | named & defined_in(module)) - documented()


def members_of(kind: type) -> dict[str, object]:
    """The members that are shown, inherited ones included; those of foreign bases are not ours."""
    found: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("softphone"):
            found |= {name: each for name, each in vars(base).items() if not name.startswith("_")}
    if inspect.isfunction(kind.__init__) and kind.__init__.__module__ != "typing":
        found["__init__"] = kind.__init__
    return {
        name: each for name, each in found.items() if INTERNAL not in (inspect.getdoc(each) or "")
    }


def unwrapped(member: object) -> object:
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


@pytest.mark.parametrize("kind", stable_classes(), ids=lambda kind: kind.__name__)
def test_a_stable_member_names_no_type_that_is_on_no_page(kind):
    strangers = {}
    for name, member in members_of(kind).items():
        function = unwrapped(member)
        if not inspect.isfunction(function):
            continue
        for annotation in function.__annotations__.values():
            if found := own_names(annotation, function.__module__):
                strangers.setdefault(f"{kind.__name__}.{name}", set()).update(found)
    assert strangers == {}, f"show the type on a page, or say {INTERNAL} in the docstring"


@pytest.mark.parametrize("kind", stable_classes(), ids=lambda kind: kind.__name__)
def test_every_stable_method_says_what_it_does(kind):
    silent = [
        name
        for name, member in members_of(kind).items()
        if name != "__init__"
        and inspect.isfunction(unwrapped(member))
        and not inspect.getdoc(member)
    ]
    assert silent == []


def test_everything_that_softphone_exports_is_on_the_stable_page():
    shown = {name for name, module in names_of("api.md").items() if module == "softphone"}
    assert shown | {"__version__"} == set(softphone.__all__)


def test_what_the_documentation_and_the_examples_import_is_on_a_page():
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
    blocks = [path.read_text() for path in (PROJECT / "examples").rglob("*.py")]
    blocks += [
        block
        for page in pages
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)
    ]
    imported = {
        alias.name
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softphone")
        for alias in node.names
    }
    assert "Phone" in imported
    assert imported - documented() == set()
