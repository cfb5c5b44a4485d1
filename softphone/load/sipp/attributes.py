"""The attributes of one element of a scenario: read by name; those not read are reported."""

from __future__ import annotations

import math

from softphone.load.sipp.elements.xml_elements import Element
from softphone.load.sipp.pattern import ExtendedPattern, compile_extended


class AttributeReader:
    """Reads the attributes of an element; what is wrong is added to `problems` with its line."""

    def __init__(self, element: Element, problems: list[str]) -> None:
        self._element = element
        self._problems = problems
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether the attribute is there."""
        return name in self._element.attributes

    def text(self, name: str) -> str:
        """Return its value, "" without it."""
        self._read.add(name)
        return self._element.attributes.get(name, "")

    def needed(self, name: str) -> str:
        """Return its value; without it is a problem."""
        if not self.text(name):
            self._add(f"needs {name}")
        return self.text(name)

    def names(self, name: str) -> tuple[str, ...]:
        """Return the names of a list that is set apart by commas."""
        return tuple(each.strip() for each in self.text(name).split(",") if each.strip())

    def flag(self, name: str) -> bool:
        """Return whether it says "true"; a value other than "true" and "false" is a problem."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def choice(self, name: str, known: tuple[str, ...], default: str) -> str:
        """Return its value, which has to be one of `known`."""
        return self.member(name, self.text(name).strip() or default, known, default)

    def member(self, name: str, value: str, known: tuple[str, ...], default: str = "") -> str:
        """Return what an attribute says, one of `known`; anything else is a problem."""
        if value not in known:
            self._add(f'{name}="{value}" is not supported')
            return default or known[0]
        return value

    def number(self, name: str, default: float | None) -> float:
        """Return it as a finite number that is not negative; None as the default demands it."""
        text = self.text(name).strip()
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not math.isfinite(value) or value < 0:
            self._add(f'{name}="{text}": expected a number of 0 or more')
            return 0.0
        return value

    def pattern(self, text: str) -> ExtendedPattern | None:
        """Return a text as a pattern."""
        try:
            return compile_extended(text)
        except ValueError as error:
            self._add(str(error))
            return None

    def done(self, *names: str) -> None:
        """Name every attribute that was not read and is none of `names`."""
        for name in self._element.attributes:
            if name not in self._read and name not in names:
                self._add(f'{name}="…" is not supported')

    def _add(self, what: str) -> None:
        self._problems.append(f"{self._element.line}: <{self._element.name}>: {what}")
