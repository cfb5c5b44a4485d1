"""Finds every identifier that Python source defines, and the words that it is made of.

A definition is a class, a function, a parameter, a target of an assignment, loop, `with`,
`except`, `match`, walrus, comprehension or `type` statement, an attribute set on `self` or `cls`, a
name in `__slots__`, an import alias, a type parameter, or a module or folder itself.  What a
library defines (its attributes, its keywords, what is imported under its own name) is none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
TYPE_PARAMETERS = ("TypeVar", "ParamSpec", "TypeVarTuple")
"""The nodes of `class Name[T]`, which the parser knows from Python 3.12 on."""
NAMED = (
    ast.ClassDef,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
    *(getattr(ast, kind) for kind in TYPE_PARAMETERS if hasattr(ast, kind)),
)
"""The nodes whose attribute `name` is what they define."""


@dataclass(frozen=True, order=True)
class Definition:
    """A name and the place that defines it; line 0 stands for the file itself."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


def words(identifier: str) -> list[str]:
    """Split an identifier at `_`, at digits and at CamelCase, in lower case."""
    return [word.lower() for word in WORD.findall(identifier)]


def definitions(path: str, source: str) -> list[Definition]:
    """List every definition of a file, its own path first, each name once a line."""
    stems = [part.removesuffix(".py") for part in PurePosixPath(path).parts]
    found = {Definition(path, 0, stem) for stem in stems}
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        found |= {Definition(path, line, name) for name in defined_names(node)}
    return sorted(found)


def defined_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that this node defines by itself, without the nodes below it."""
    if isinstance(node, NAMED):
        yield node.name or ""
        return
    match node:
        case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
            yield name
        case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
            yield from _strings(value)
        case ast.AnnAssign(target=ast.Name(id="__slots__"), value=ast.expr() as value):
            yield from _strings(value)


def _strings(value: ast.AST) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
