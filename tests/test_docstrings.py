"""Every module of the product and every public class, function and property is described."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FOLDERS = ("softphone", "codecs/softphone_codecs")
DEFINED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def undescribed(tree: ast.Module) -> Iterator[str]:
    """The public definitions of a module without a docstring; "" is the module itself."""
    if not ast.get_docstring(tree):
        yield ""
    yield from _undescribed(tree.body, "")


def _undescribed(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _undescribed([*node.body, *node.orelse], prefix)
        elif isinstance(node, DEFINED) and not node.name.startswith("_"):
            if not ast.get_docstring(node) and not described_elsewhere(node):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _undescribed(node.body, f"{prefix}{node.name}.")


def described_elsewhere(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is a setter, which shares its property's text, or one form of a function."""
    marks = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
    return bool(marks & {"setter", "deleter", "overload"})


def test_everything_public_is_described():
    found = [
        f"{path.relative_to(PROJECT)}: {name}"
        for folder in FOLDERS
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for name in undescribed(ast.parse(path.read_bytes()))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1", [""]),
        ('"""A."""\ndef f(): ...\ndef _g(): ...', ["f"]),
        ('"""A."""\nasync def f(): ...', ["f"]),
        ('"""A."""\nclass A:\n  """B."""\n  @property\n  def p(self): ...', ["A.p"]),
        ('"""A."""\nif True:\n  pass\nelse:\n  class A:\n    def m(self):\n      "B."', ["A"]),
        ('"""A."""\nclass A:\n  "B."\n  @p.setter\n  def p(self, value): ...', []),
        ('"""A."""\nclass _A:\n  def m(self): ...', []),
    ],
)
def test_what_is_not_described_is_found(source, names):
    assert list(undescribed(ast.parse(source))) == names
