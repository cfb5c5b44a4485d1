"""A configuration file is read key by key; complaints name the line, also in nested tables."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum

import pytest

from softphone.config.toml_reader import TomlFile, TomlTable, read_text, read_toml
from softphone.errors import ConfigurationError

TEXT = """\
first = "a"

[outer.inner]
second = 2
ca = "nowhere.crt"

[outer.inner.attributes]
third = "x"
"""


def table(tmp_path, name="outer.inner", values=None, text=TEXT):
    return TomlTable(name, values or {}, TomlFile(tmp_path / "file.toml", text))


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("", "first", 1),
        ("outer.inner", "second", 4),
        ("outer.inner.attributes", "third", 8),
        ("outer.inner", "attributes", 7),
        ("outer", "inner", 3),
        ("outer.inner", "missing", 3),
        ("nowhere", "missing", 1),
    ],
)
def test_the_line_of_a_key(tmp_path, name, key, line):
    assert table(tmp_path, name).line_of(key) == line


def test_an_unknown_key_is_refused_with_the_nearest_known(tmp_path):
    with pytest.raises(ConfigurationError, match=r"file\.toml:4: outer\.inner\.secnd: .*'second'"):
        table(tmp_path, values={"secnd": 2}, text=TEXT.replace("second", "secnd")).check_keys(
            "second", "ca", "pin"
        )


def test_tls_of_a_nested_table_names_its_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"file\.toml:5: outer\.inner\.ca: there is no "):
        table(tmp_path, values={"ca": "nowhere.crt"}).tls()


@pytest.mark.parametrize(
    "values", [{}, {"password": "a", "password_env": "B"}], ids=["none", "two"]
)
def test_one_source_of_a_password_is_given(tmp_path, values):
    with pytest.raises(ConfigurationError, match=r":3: outer\.inner: give one of password"):
        table(tmp_path, values=values).password({})


def test_a_password_is_read_from_where_it_is_said_to_be(tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "file.toml").write_text(TEXT)
    places = ({"password": "here"}, {"password_file": "secret"}, {"password_env": "NAME"})
    environment = {"NAME": "from the environment"}
    found = [table(tmp_path, values=each).password(environment) for each in places]
    assert [each.reveal() for each in found] == [b"here", b"from a file", b"from the environment"]
    assert "here" not in repr(found[0])
    with pytest.raises(ConfigurationError, match=re.escape("the environment has no OTHER")):
        table(tmp_path, values={"password_env": "OTHER"}).password(environment)


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path):
    path = tmp_path / "file.toml"
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(ConfigurationError, match="too much"):
        read_text(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="no UTF-8"):
        read_text(path)


class Shade(Enum):
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True)
class Lamp:
    """Fields of every kind that a table is read into."""

    name: str = ""
    on: bool | None = None
    watts: int = 0
    warm_up: float = 0.0
    shade: Shade | None = None
    shades: frozenset[Shade] = frozenset()
    rooms: tuple[str, ...] = ()
    hours: str | tuple[str, ...] = "always"
    manual: str | os.PathLike[str] | None = None
    serial: str = "not in a file"


def test_a_table_is_read_by_the_types_of_the_fields(tmp_path):
    (tmp_path / "lamp.txt").touch()
    values = {
        "name": "desk",
        "on": True,
        "watts": 5,
        "warm_up": 2,
        "shade": "dark",
        "shades": ["light", "dark"],
        "rooms": ["a", "b"],
        "hours": "never",
        "manual": "lamp.txt",
        "serial": "7",
    }
    read = table(tmp_path, values=values).fields(Lamp, "serial")
    assert read == {
        "name": "desk",
        "on": True,
        "watts": 5,
        "warm_up": 2.0,
        "shade": Shade.DARK,
        "shades": frozenset(Shade),
        "rooms": ("a", "b"),
        "hours": "never",
        "manual": tmp_path / "lamp.txt",
    }
    assert table(tmp_path, values={"hours": ["1", "2"]}).fields(Lamp) == {"hours": ("1", "2")}
    assert table(tmp_path).fields(Lamp) == {}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", 1, "expected a text"),
        ("on", "yes", "expected true or false"),
        ("watts", True, "expected a whole number"),
        ("warm_up", "1", "expected a number of seconds"),
        ("shade", "pink", "'pink' is unknown; known are light, dark"),
        ("shades", ["pink"], "'pink' is unknown"),
        ("rooms", "a", "expected a list of texts"),
        ("rooms", ["a", "a"], "something is listed twice"),
        ("hours", 3, "expected a text"),
        ("manual", "none.txt", "there is no "),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_key(tmp_path, key, value, expected):
    with pytest.raises(ConfigurationError, match=rf"outer\.inner\.{key}: {expected}"):
        table(tmp_path, values={key: value}).fields(Lamp)


def test_values_that_are_nested_too_deeply_are_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f"a = {'[' * 9000}{']' * 9000}")
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        read_toml(path, "file", "make one")
