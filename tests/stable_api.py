"""The stable names with their signatures, compared with those that were promised.

    python -m tests.stable_api           what was promised and is not there any more
    python -m tests.stable_api --write   promise what is there now: at a release, or for a break
                                         that the CHANGELOG tells

New names and optional parameters may come at any time; docs/reference/versioning.md says what may
not change.  A snapshot serves where a tool that compares revisions cannot: before the first
release there is none to compare with, and it needs no history of the repository.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

SNAPSHOT = Path(__file__).parent / "data" / "stable_api.txt"

STABLE: dict[str, tuple[str, ...]] = {
    "softphone": (),
    "softphone.errors": (),
    "softphone.events": (),
    "softphone.blocking": (),
    "softphone.load": ("Scenario", "ScenarioRun"),
}
"""The modules whose names are stable: all that they export, or those that are listed."""


def stable_names() -> Iterator[tuple[str, object]]:
    """Each stable name with its module, once, and what it names."""
    seen: set[int] = set()
    for module, listed in STABLE.items():
        loaded = importlib.import_module(module)
        for name in listed or loaded.__all__:
            value = getattr(loaded, name)
            # An error or event that `softphone` exports, too, is listed there only.
            if name != "__version__" and id(value) not in seen:
                seen.add(id(value))
                yield f"{module}.{name}", value


def described() -> dict[str, str]:
    """What each stable name and member is: `def (...)`, `async def (...)`, `property`, a value."""
    found: dict[str, str] = {}
    for name, value in stable_names():
        if inspect.isclass(value):
            found |= described_class(name, value)
        elif inspect.isfunction(value):
            found[name] = described_function(value)
        else:
            found[name] = "alias"
    return found


def described_class(name: str, kind: type) -> dict[str, str]:
    """A class: how it is made, its members and, of an enumeration, its values."""
    found = {name: "class"}
    if issubclass(kind, enum.Enum):
        return found | {f"{name}.{each.name}": repr(each.value) for each in kind}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("softphone"):
            continue
        for label, value in vars(base).items():
            if label.startswith("_") and label not in ("__init__", "__aenter__", "__enter__"):
                continue
            if ":meta private:" in (inspect.getdoc(value) or ""):
                found.pop(f"{name}.{label}", None)
                continue
            value = getattr(value, "__func__", value)
            if inspect.isfunction(value):
                found[f"{name}.{label}"] = described_function(value)
            elif isinstance(value, property):
                found[f"{name}.{label}"] = f"property -> {annotation(value.fget)}"
    return found


def annotation(function: object) -> str:
    """The return annotation as it is written."""
    return str(getattr(function, "__annotations__", {}).get("return", ""))


def described_function(function: object) -> str:
    """The signature as Python writes it, with `...` for defaults that are no plain values."""
    assert callable(function)
    signature = inspect.signature(function)
    parameters = []
    for each in signature.parameters.values():
        if each.name in ("self", "cls"):
            continue
        # The text of an annotation, whatever the version of Python makes of it.
        hint = function.__annotations__.get(each.name, each.annotation)
        parameters.append(each.replace(annotation=hint))
    text = ", ".join(_parameters(parameters))
    kind = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{kind} ({text}) -> {annotation(function)}"


def _parameters(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """The parameters with their marks, their annotations unquoted."""
    starred = False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        starred |= each.kind is each.VAR_POSITIONAL
        mark = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        hint = "" if each.annotation is each.empty else f": {each.annotation}"
        default = ""
        if each.default is not each.empty:
            default = f" = {_value(each.default)}"
        yield f"{mark}{each.name}{hint}{default}"


def _value(value: object) -> str:
    """A default as Python reads it; `...` for one that is made anew or has no text of its own."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if type(value) is tuple:
        return "(" + "".join(f"{_value(each)}, " for each in value) + ")"
    plain = type(value) in (bool, int, float, str, bytes, type(None))
    return repr(value) if plain else "..."


def breaks(promised: dict[str, str], there: dict[str, str]) -> list[str]:
    """What a program written for the one would miss in the other."""
    found = []
    for name, before in promised.items():
        now = there.get(name)
        if now is None:
            found.append(f"{name} is gone")
        elif now != before and not compatible(before, now):
            found.append(f"{name} was {before}, and is {now}")
    return found


def compatible(before: str, now: str) -> bool:
    """Whether every call that one signature takes is taken by the other, and gives the same."""
    if "def (" not in before or before.partition("(")[0] != now.partition("(")[0]:
        return False
    old, new = _parsed(before), _parsed(now)
    if ast.unparse(old.returns or ast.Tuple()) != ast.unparse(new.returns or ast.Tuple()):
        return False
    first, later = _positional(old.args), _positional(new.args)
    if later[: len(first)] != first or any(
        default is None for _, _, default in later[len(first) :]
    ):
        return False
    keywords, more = _keywords(old.args), _keywords(new.args)
    named = more | {name: (hint, default) for name, hint, default in later}
    if any(named.get(name) != kept for name, kept in keywords.items()):
        return False
    return all(name in keywords or default is not None for name, (_, default) in more.items())


def _parsed(text: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    (node,) = ast.parse(text.replace("def (", "def f(", 1) + ": ...").body
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return node


def _text(node: ast.AST | None) -> str | None:
    return None if node is None else ast.unparse(node)


def _positional(arguments: ast.arguments) -> list[tuple[str, str | None, str | None]]:
    missing = len(arguments.args) - len(arguments.defaults)
    defaults = [None] * missing + list(arguments.defaults)
    found = [
        (each.arg, _text(each.annotation), _text(default))
        for each, default in zip(arguments.args, defaults, strict=True)
    ]
    if arguments.vararg is not None:
        found.append(("*" + arguments.vararg.arg, _text(arguments.vararg.annotation), "()"))
    return found


def _keywords(arguments: ast.arguments) -> dict[str, tuple[str | None, str | None]]:
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {each.arg: (_text(each.annotation), _text(default)) for each, default in pairs}


def read_snapshot() -> dict[str, str]:
    """What was promised."""
    lines = SNAPSHOT.read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def main() -> int:
    """Compare, or write."""
    there = described()
    if sys.argv[1:] == ["--write"]:
        SNAPSHOT.write_text("".join(f"{name}: {what}\n" for name, what in there.items()))
        return 0
    found = breaks(read_snapshot(), there)
    print("\n".join(found) or "every stable name is there as it was promised")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
