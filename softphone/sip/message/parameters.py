"""The base class of header field values with parameters: parsing of values and lists, and access.

RFC 3261 sections 7.3.1 and 20.  Each subclass parses the part before the parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

from softphone.sip.message.grammar import (
    MalformedMessage,
    Parameters,
    drop_parameter,
    find_parameter,
    set_parameter,
)


class Parameterized(ABC):
    """A frozen dataclass with `parameters`, whose values are as written."""

    __slots__ = ()

    KIND: ClassVar[str]
    """The name of the value in error texts."""

    parameters: Parameters

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value.  Raises MalformedMessage, also for more than one value."""
        value, end = cls.parse_at(text, 0)
        if end != len(text):
            raise MalformedMessage(f"Malformed {cls.KIND}")
        return value

    @classmethod
    def parse_list(cls, text: str) -> list[Self]:
        """Parse a comma-separated list of at least one value.  Raises MalformedMessage."""
        values: list[Self] = []
        position = 0
        while True:
            value, position = cls.parse_at(text, position)
            values.append(value)
            if position == len(text):
                return values
            if text[position] != ",":
                raise MalformedMessage(f"Malformed {cls.KIND}")
            position += 1

    @classmethod
    @abstractmethod
    def parse_at(cls, text: str, position: int) -> tuple[Self, int]:
        """Parse the value at `position`; returns it and its end.  Raises MalformedMessage."""

    def parameter(self, name: str) -> str | None:
        """Return the unquoted value of a parameter, "" without a value, None when absent."""
        return find_parameter(self.parameters, name.lower())

    def with_parameter(self, name: str, value: str | None = None) -> Self:
        """Return this value with a parameter set; the plain text `value` is quoted if necessary."""
        return self._with(set_parameter(self.parameters, name, value))

    def without_parameter(self, name: str) -> Self:
        """Return this value without a parameter."""
        return self._with(drop_parameter(self.parameters, name))

    def _with(self, parameters: Parameters) -> Self:
        return cast("Self", replace(cast("Any", self), parameters=parameters))
