"""Checks what a program gives in Python against the types of a setting's fields.

Values of a file are checked where it is read.  Here a wrong value is a ConfigurationError that says
what is expected, before it causes a TypeError elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from softphone.errors import ConfigurationError

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def settle_types(config: Any, table: str, **examples: str) -> None:
    """Check each field of a frozen dataclass, and convert values of equivalent types.

    The value of an enumeration becomes its member, a list a tuple, a set a frozenset.  Raises
    ConfigurationError with `table.field`, the expected type, an example if there is one, and the
    given value.
    """
    kind: Any = type(config)
    for name, accepted, exact in _types(kind):
        value = getattr(config, name)
        if type(value) in exact:
            continue
        settled = _settled(value, accepted)
        if settled is _WRONG:
            example = f", as in {name}={examples[name]}" if name in examples else ""
            raise ConfigurationError(
                f"{table}.{name}: give {_wanted(accepted)}{example}, and not {_shown(value)}"
            )
        if settled is not value:
            object.__setattr__(config, name, settled)


def check_config(given: object, kind: type | UnionType, *, taker: str, reader: str) -> None:
    """Raise ConfigurationError unless `given` is a `kind`; what it is, is not shown.

    `taker` is the call that it was given to, `reader` the expression that reads one from a file.
    """
    if not isinstance(given, kind):
        raise ConfigurationError(
            f"{taker} takes {_wanted(kind)}, not {type(given).__name__}: give {reader}"
        )


def check_names(kind: type, names: Any, table: str) -> None:
    """Raise ConfigurationError for a name that is no field of `kind`."""
    known = [each.name for each in fields(kind)]
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 1)
            said = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ConfigurationError(f"{table}.{name}: there is no such setting; {said}")


_WRONG = object()


@cache
def _types(kind: Any) -> tuple[tuple[str, Any, frozenset[type]], ...]:
    """Each field with its type, and the classes whose values need no closer look."""
    return tuple((name, hint, frozenset(_classes(hint))) for name, hint in _hints(kind).items())


def _hints(kind: type) -> dict[str, Any]:
    known = get_type_hints(kind)
    return {each.name: _without_parameters(known[each.name]) for each in fields(kind)}


def _without_parameters(accepted: Any) -> Any:
    """A type with `PathLike` for `PathLike[str]`: items are looked at in tuples and sets only."""
    origin, items = get_origin(accepted), get_args(accepted)
    if origin in (Union, UnionType):
        return reduce(or_, map(_without_parameters, items))
    if origin in (tuple, frozenset):
        plain = (each if each is ... else _without_parameters(each) for each in items)
        return origin[tuple(plain)]
    return origin or accepted


def _classes(accepted: Any) -> Iterator[type]:
    if get_origin(accepted) in (tuple, frozenset):
        return
    if get_args(accepted):
        for each in get_args(accepted):
            yield from _classes(each)
    else:
        yield accepted


def _settled(value: object, accepted: Any) -> object:
    """The value as `accepted` has it; `_WRONG` if it is none."""
    if get_origin(accepted) in (tuple, frozenset):
        return _settled_items(value, accepted)
    options = get_args(accepted)
    if options:
        found = (_settled(value, each) for each in options)
        return next((each for each in found if each is not _WRONG), _WRONG)
    if issubclass(accepted, Enum) and type(value) is str:
        return next((each for each in accepted if each.value == value), _WRONG)
    if accepted is float and type(value) is int:
        return value
    # bool is a subclass of int in Python, but no number for users.
    wrong = isinstance(value, bool) is not (accepted is bool)
    return _WRONG if wrong or not isinstance(value, accepted) else value


def _settled_items(value: object, accepted: Any) -> object:
    origin, items = get_origin(accepted), get_args(accepted)
    if not isinstance(value, (list, tuple) if origin is tuple else (set, frozenset, list, tuple)):
        return _WRONG
    kinds = items if origin is tuple and ... not in items else (items[0],) * len(value)
    if len(kinds) != len(value):
        return _WRONG
    found = [_settled(each, kind) for each, kind in zip(value, kinds, strict=True)]
    if _WRONG in found:
        return _WRONG
    same = isinstance(value, origin) and all(a is b for a, b in zip(found, value, strict=True))
    return value if same else origin(found)


def _wanted(accepted: Any) -> str:
    """The accepted values in words."""
    origin, items = get_origin(accepted), get_args(accepted)
    if origin is tuple and ... not in items:
        return f"a tuple ({', '.join(map(_wanted, items))})"
    if origin in (tuple, frozenset):
        return f"a {origin.__name__} of {_wanted(items[0])}"
    if items:
        return " or ".join(map(_wanted, items))
    if accepted is NoneType:
        return "None"
    if issubclass(accepted, Enum):
        return f"{accepted.__name__} ({', '.join(str(each.value) for each in accepted)})"
    return _WORDS.get(accepted) or str(accepted.__name__)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
