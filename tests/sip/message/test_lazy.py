"""Attributes that are computed once."""

from dataclasses import FrozenInstanceError, dataclass

import pytest

from softphone.sip.message.header_access import CachedAttribute, cached_attribute


class Counted:
    """Counts how often it is computed."""

    __slots__ = ("__dict__",)


@dataclass(frozen=True, slots=True)
class Sample(Counted):
    number: int
    computed: list[int]

    @cached_attribute
    def half(self) -> float:
        """Half of it."""
        self.computed.append(self.number)
        if self.number < 0:
            raise ValueError("negative")
        return self.number / 2


def test_it_is_computed_when_it_is_asked_for_and_once():
    sample = Sample(3, [])
    assert not sample.computed
    assert (sample.half, sample.half) == (1.5, 1.5)
    assert sample.computed == [3]


def test_an_exception_is_not_kept():
    sample = Sample(-1, [])
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            _ = sample.half
    assert sample.computed == [-1, -1]


def test_a_frozen_object_stays_frozen_and_equal():
    sample = Sample(3, [])
    assert sample.half == 1.5
    with pytest.raises((FrozenInstanceError, TypeError)):
        sample.half = 2.0  # type: ignore[misc]
    # What was computed is no part of the object's value.
    assert sample == Sample(3, [3])
    assert "half" not in repr(sample)


def test_the_class_has_the_descriptor_and_its_documentation():
    assert isinstance(Sample.half, CachedAttribute)
    assert Sample.half.__doc__ == "Half of it."
