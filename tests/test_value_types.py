"""What a program gives as a setting: settled where it is as good as right, else told in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from os import PathLike
from pathlib import Path

import pytest

from softphone import MediaPreferences, PortRange
from softphone.errors import ConfigurationError
from softphone.security import SecurityLevel, SecurityPolicy, SrtpPolicy
from softphone.value_types import check_names, settle_types


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Paint:
    color: Color = Color.RED
    coats: int = 1
    price: float = 1.0
    name: str | None = None
    glossy: bool = False
    mixed: tuple[Color, ...] = ()
    size: tuple[int, int] | None = None
    tags: frozenset[Color] = frozenset()
    file: str | PathLike[str] | None = None

    def __post_init__(self) -> None:
        settle_types(self, "paint", size="(1, 2)")


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ({}, {}),
        ({"color": "blue"}, {"color": Color.BLUE}),
        ({"price": 2}, {"price": 2}),
        ({"name": "wall"}, {"name": "wall"}),
        ({"mixed": ["red", Color.BLUE]}, {"mixed": (Color.RED, Color.BLUE)}),
        ({"size": [1, 2]}, {"size": (1, 2)}),
        ({"tags": {"red"}}, {"tags": frozenset({Color.RED})}),
        ({"file": Path("x")}, {"file": Path("x")}),
    ],
)
def test_what_is_as_good_as_right_is_settled(given, settled):
    made = Paint(**given)
    for name, value in settled.items():
        assert getattr(made, name) == value
        assert type(getattr(made, name)) is type(value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"color": "green"}, "paint.color: give Color (red, blue), and not 'green'"),
        ({"coats": "1"}, "paint.coats: give a whole number, and not '1'"),
        ({"coats": True}, "paint.coats: give a whole number, and not True"),
        ({"coats": 1.5}, "paint.coats: give a whole number, and not 1.5"),
        ({"price": None}, "paint.price: give a number, and not None"),
        ({"name": 5}, "paint.name: give a text or None, and not 5"),
        ({"glossy": 1}, "paint.glossy: give True or False, and not 1"),
        ({"mixed": "red"}, "paint.mixed: give a tuple of Color (red, blue), and not 'red'"),
        (
            {"mixed": ("red", 1)},
            "paint.mixed: give a tuple of Color (red, blue), and not ('red', 1)",
        ),
        (
            {"size": (1,)},
            "paint.size: give a tuple (a whole number, a whole number) or None, as in size=(1, 2),"
            " and not (1,)",
        ),
        ({"file": b"x"}, "paint.file: give a text or PathLike or None, and not b'x'"),
        ({"tags": "red"}, "paint.tags: give a frozenset of Color (red, blue), and not 'red'"),
        ({"name": b"x" * 90}, f"paint.name: give a text or None, and not b'{'x' * 55}..."),
    ],
)
def test_what_is_wrong_is_told_with_what_is_wanted(given, words):
    with pytest.raises(ConfigurationError) as caught:
        Paint(**given)
    assert str(caught.value) == words


def test_a_name_that_is_no_setting_is_told_with_the_one_that_was_meant():
    with pytest.raises(ConfigurationError, match=r"paint\.colour: .* did you mean 'color'\?"):
        check_names(Paint, {"colour": "red"}, "paint")
    with pytest.raises(ConfigurationError, match=r"paint\.zzz: .*; known are color, coats"):
        check_names(Paint, {"zzz": "red"}, "paint")
    check_names(Paint, ["color", "size"], "paint")


def test_the_word_of_a_policy_is_as_good_as_its_member():
    assert SecurityPolicy(srtp="required").srtp is SrtpPolicy.REQUIRED
    assert SecurityPolicy().with_srtp("required").minimum is SecurityLevel.ENCRYPTED
    assert SecurityPolicy().with_srtp("off").minimum is SecurityLevel.NOT_SECURE
    with pytest.raises(ConfigurationError, match=r"policy\.srtp: give SrtpPolicy"):
        SecurityPolicy().with_srtp("must")


def test_media_preferences_say_how_ports_are_given():
    with pytest.raises(ConfigurationError, match=r"media\.ports: .* as in ports=\(40000, 49999\)"):
        MediaPreferences(ports=PortRange())
