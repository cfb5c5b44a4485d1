"""`softphone.fast_dataclass`: a faster `__init__`, and nothing else that is different."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import FrozenInstanceError, InitVar, dataclass, field, replace

import pytest

from softphone.fast_dataclass import fast_init
from softphone.sip import NameAddr


@dataclass(frozen=True, slots=True)
class Plain:
    """What `quick` has to match."""

    number: int
    words: list[str] = field(default_factory=list)
    text: str = field(default="x", repr=False)
    last: int | None = field(default=3, kw_only=True)


@fast_init
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, made quickly."""

    number: int
    words: list[str] = field(default_factory=list)
    text: str = field(default="x", repr=False)
    last: int | None = field(default=3, kw_only=True)


@fast_init
@dataclass(frozen=True, slots=True)
class Checked:
    """One that looks at what it was given."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("below zero")


@fast_init
@dataclass(frozen=True, slots=True)
class Empty:
    """One without fields."""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((1,), {}), ((1, ["a"]), {}), ((1, ["a"], "y"), {"last": None}), ((), {"number": 2})],
)
def test_fields_are_set_as_a_dataclass_sets_them(
    arguments: tuple[int], named: dict[str, int]
) -> None:
    made, expected = Quick(*arguments, **named), Plain(*arguments, **named)
    for name in ("number", "words", "text", "last"):
        assert getattr(made, name) == getattr(expected, name)
    assert repr(made) == repr(expected).replace("Plain", "Quick")
    assert made == Quick(*arguments, **named)


@pytest.mark.parametrize(
    ("arguments", "named"), [((), {}), ((1, [], "y", 4), {}), ((1,), {"unknown": 1})]
)
def test_what_a_dataclass_refuses_is_refused(arguments: tuple[int], named: dict[str, int]) -> None:
    with pytest.raises(TypeError) as plain:
        Plain(*arguments, **named)
    with pytest.raises(TypeError) as made:
        Quick(*arguments, **named)
    assert str(made.value) == str(plain.value).replace("Plain", "Quick")


def test_a_factory_makes_each_instance_its_own() -> None:
    assert Quick(1).words is not Quick(1).words


def test_an_instance_stays_frozen() -> None:
    made = Quick(1)
    with pytest.raises(FrozenInstanceError):
        made.number = 2  # type: ignore[misc]
    assert made.number == 1


def test_replace_pickle_and_hash_work() -> None:
    made = Quick(1, ["a"])
    assert replace(made, number=2) == Quick(2, ["a"])
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(Checked(1)) == hash(Checked(1))


def test_the_signature_names_parameters_and_types() -> None:
    given = inspect.signature(Quick)
    assert list(given.parameters) == ["number", "words", "text", "last"]
    assert given.parameters["last"].kind is inspect.Parameter.KEYWORD_ONLY
    assert given.parameters["number"].annotation == "int"


def test_what_looks_at_the_fields_is_called_after_them() -> None:
    with pytest.raises(ValueError, match="below zero"):
        Checked(-1)
    assert Checked(1).number == 1


def test_a_class_without_fields_is_made() -> None:
    assert Empty() == Empty()


def test_fields_that_are_no_slots_are_refused() -> None:
    with pytest.raises(TypeError, match="no slot"):

        @fast_init
        @dataclass(frozen=True)
        class Loose:
            number: int


def test_fields_that_init_does_not_set_are_refused() -> None:
    with pytest.raises(TypeError, match="no slot"):

        @fast_init
        @dataclass(frozen=True, slots=True)
        class Hidden:
            number: int = field(default=1, init=False)


def test_a_field_by_name_only_may_stand_before_others() -> None:
    @fast_init
    @dataclass(frozen=True, slots=True)
    class Mixed:
        last: int = field(kw_only=True)
        first: int

    made = Mixed(1, last=2)
    assert (made.first, made.last) == (1, 2)


def test_parameters_that_are_no_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="no fields"):

        @fast_init
        @dataclass(frozen=True, slots=True)
        class Derived:
            number: int
            factor: InitVar[int]

            def __post_init__(self, factor: int) -> None:
                object.__setattr__(self, "number", self.number * factor)


def test_the_values_of_messages_are_made_so() -> None:
    assert "object.__setattr__" not in str(NameAddr.__init__.__code__.co_names)
    assert any(name.startswith("_set_") for name in NameAddr.__init__.__code__.co_names)
