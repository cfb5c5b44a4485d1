"""An attribute that is computed when it is first asked for, and kept with its object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["Lazy", "lazy"]

T = TypeVar("T")


class Lazy(Generic[T]):
    """A descriptor that stands back: what it has computed is found before it.

    The value goes into the object's `__dict__`, where Python looks before it asks a descriptor
    that does not set, so that a second reading costs no call.  Frozen objects stay frozen: nobody
    else writes there.  An exception is kept nowhere, and raised again by the next reading.
    (`functools.cached_property` takes a lock, which costs more than most fields do.)
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.compute(instance)
        return value


def lazy(compute: Callable[[Any], T]) -> Lazy[T]:
    """Make a method without arguments such an attribute."""
    return Lazy(compute)
