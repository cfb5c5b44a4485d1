"""The variables of a call, and how they are printed and tested."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, MutableMapping
from typing import TypeAlias

Value: TypeAlias = str | float | bool

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "greater_than": operator.gt,
    "less_than": operator.lt,
    "greater_than_equal": operator.ge,
    "less_than_equal": operator.le,
}


class Variables:
    """The variables of one call; those that the scenario declares so are all calls' or a user's.

    Each of `shared` has values that outlive the call, and the names that it holds them of.
    """

    def __init__(self, *shared: tuple[MutableMapping[str, Value], frozenset[str]]) -> None:
        self._own: dict[str, Value] = {}
        self._shared = shared

    def assign(self, name: str, value: Value) -> None:
        """Give a variable a value."""
        self._holder(name)[name] = value

    def get(self, name: str) -> Value | None:
        """Return a variable's value, None before it has one."""
        return self._holder(name).get(name)

    def _holder(self, name: str) -> MutableMapping[str, Value]:
        return next((values for values, names in self._shared if name in names), self._own)

    def is_set(self, name: str) -> bool:
        """Whether a test of it succeeds: a text that was matched, True, or a number but 0."""
        value = self.get(name)
        return value is not None and value is not False and value != 0.0

    def text(self, name: str) -> str:
        """Return it as `[$name]` prints it; "" before it has a value, and for 0."""
        value = self.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return value
        return f"{value:f}" if value else ""

    def number(self, name: str) -> float:
        """Return it as a finite number; 0.0 for what is none, as a far end may have written it."""
        return finite_number(self.get(name) or 0.0)


def finite_number(text: Value) -> float:
    """Read a text as a finite number; 0.0 for what is none."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
