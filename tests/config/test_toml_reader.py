"""A configuration file is read key by key; complaints name the line, also in nested tables."""

from __future__ import annotations

import re

import pytest

from softphone.config.toml_reader import TomlReader, password_of, read_text, tls_of
from softphone.errors import ConfigurationError

TEXT = """\
first = "a"

[outer.inner]
second = 2
ca = "nowhere.crt"

[outer.inner.attributes]
third = "x"
"""
KEYS = {"outer.inner": ("second", "ca", "pin")}


def reader(tmp_path, text=TEXT):
    return TomlReader(tmp_path / "file.toml", text, KEYS)


@pytest.mark.parametrize(
    ("table", "key", "line"),
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
def test_the_line_of_a_key(tmp_path, table, key, line):
    assert reader(tmp_path).line_of(table, key) == line


def test_an_unknown_key_is_refused_with_the_nearest_known(tmp_path):
    with pytest.raises(ConfigurationError, match=r"file\.toml:4: outer\.inner\.secnd: .*'second'"):
        reader(tmp_path, TEXT.replace("second", "secnd")).check_keys("outer.inner", {"secnd": 2})


def test_tls_of_a_nested_table_names_its_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"file\.toml:5: outer\.inner\.ca: there is no "):
        tls_of(reader(tmp_path), "outer.inner", {"ca": "nowhere.crt"})


@pytest.mark.parametrize(
    "values", [{}, {"password": "a", "password_env": "B"}], ids=["none", "two"]
)
def test_one_source_of_a_password_is_given(tmp_path, values):
    with pytest.raises(ConfigurationError, match=r":3: outer\.inner: give one of password"):
        password_of(reader(tmp_path), "outer.inner", values, {})


def test_a_password_is_read_from_where_it_is_said_to_be(tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "file.toml").write_text(TEXT)
    places = ({"password": "here"}, {"password_file": "secret"}, {"password_env": "NAME"})
    environment = {"NAME": "from the environment"}
    found = [password_of(reader(tmp_path), "outer.inner", each, environment) for each in places]
    assert [each.reveal() for each in found] == [b"here", b"from a file", b"from the environment"]
    assert "here" not in repr(found[0])
    with pytest.raises(ConfigurationError, match=re.escape("the environment has no OTHER")):
        password_of(reader(tmp_path), "outer.inner", {"password_env": "OTHER"}, environment)


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path):
    path = tmp_path / "file.toml"
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(ConfigurationError, match="too much"):
        read_text(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="no UTF-8"):
        read_text(path)
