"""What header field values with parameters share: one of them, a list of them, their parameters.

RFC 3261 sections 7.3.1 and 20.  Each class says itself what stands before the parameters.
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
    """A frozen dataclass with `parameters`, values as written."""

    __slots__ = ()

    KIND: ClassVar[str]
    """What is malformed, where it is."""

    parameters: Parameters

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value.  Raises MalformedMessage, also when more than one value stands there."""
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
        """The value that begins at `position`, and where it ends.  Raises MalformedMessage."""

    def parameter(self, name: str) -> str | None:
        """The unquoted value of a parameter, "" when it has none, None when it is absent."""
        return find_parameter(self.parameters, name.lower())

    def with_parameter(self, name: str, value: str | None = None) -> Self:
        """This value with a parameter set; `value` is plain text, quoted when it has to be."""
        return self._with(set_parameter(self.parameters, name, value))

    def without_parameter(self, name: str) -> Self:
        """This value without a parameter."""
        return self._with(drop_parameter(self.parameters, name))

    def _with(self, parameters: Parameters) -> Self:
        return cast("Self", replace(cast("Any", self), parameters=parameters))
